package raftgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// behind makes one follower so stale that it needs a snapshot, and returns it, stopped, with the leader.
func behind(c *cluster) (leader, stale *node) {
	leader = c.leader()
	leader.propose("first")
	stale = c.others(leader)[0]
	c.caughtUp(leader, c.nodes...)
	stale.stop()
	for i := range 30 {
		leader.propose(fmt.Sprint(i))
	}
	if err := leader.group.Compact(); err != nil {
		c.t.Fatal(err)
	}
	leader.propose("behind the marker")
	return leader, stale
}

func TestCrashWhileASnapshotReplacesTheState(t *testing.T) {
	inCluster(t, 3, 0, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		leader, stale := behind(c)
		stale.machine.set(func() { stale.machine.restoring = errTest })
		stale.start()
		c.until("a fault", func() bool { return stale.faults.Load() == 1 })
		if err := stale.group.ReadIndex(t.Context()); !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
		stale.stop()
		if len(stale.machine.commands()) != 0 {
			t.Fatal("the state is whole; the test shows nothing")
		}
		stale.machine.set(func() { stale.machine.restoring = nil })
		stale.start()
		if got := stale.machine.commands(); len(got) < 31 {
			t.Fatalf("%d commands when it was opened", len(got))
		}
		if _, err := os.Stat(filepath.Join(stale.dir, "group", spoolName)); err == nil {
			t.Fatal("the spool is still there")
		}
		c.caughtUp(leader, stale)
		leader.propose("in the end")
		c.caughtUp(leader, c.nodes...)
		if n := len(stale.machine.restores); n != 2 { // the leader may send it again, which the guard answers
			t.Fatalf("restored %d times", n)
		}
	})
}

func TestDamagedSpoolIsRefused(t *testing.T) {
	inCluster(t, 3, 0, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		_, stale := behind(c)
		stale.machine.set(func() { stale.machine.restoring = errTest })
		stale.start()
		c.until("a fault", func() bool { return stale.faults.Load() == 1 })
		stale.group.Close()
		path := stale.group.snapshots.spoolPath()
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		restored := len(stale.machine.restores)
		check := func(what string, bad []byte) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := stale.host.Open(stale.group.cfg); !errors.Is(err, ErrDamaged) {
				t.Fatal(what, err)
			}
		}
		for i := 0; i < len(good); i += 5 {
			bad := append([]byte(nil), good...)
			bad[i] ^= 0x10
			check(fmt.Sprint("bit in byte ", i), bad)
		}
		for _, n := range []int{0, 1, 40, len(good) / 2, len(good) - 1} {
			check(fmt.Sprint("cut at ", n), good[:n])
		}
		if len(stale.machine.restores) != restored {
			t.Fatal("a damaged spool touched the state")
		}
	})
}

// The deposed leader's log ends behind the snapshot, with entries that were never committed. hashicorp/raft keeps them and is
// sent the snapshot again for ever (#697).
func TestSnapshotOverEntriesThatWereNotCommitted(t *testing.T) {
	inCluster(t, 3, 0, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		old := c.leader()
		old.propose("first")
		c.caughtUp(old, c.nodes...)
		c.wires.isolate(old.id, true)
		for i := range 60 {
			old.group.Propose([]byte(fmt.Sprint("lost ", i)))
		}
		next := c.leader(c.others(old)...)
		for i := range 20 {
			next.propose(fmt.Sprint(i))
		}
		if err := next.group.Compact(); err != nil {
			t.Fatal(err)
		}
		if _, last, _ := old.group.log.bounds(); last <= next.group.Status().Marker {
			t.Fatal("the log does not end behind the snapshot; the test shows nothing")
		}
		first := old.group.instance.Load()
		before := c.wires.sent(kindInstall)
		c.wires.isolate(old.id, false)
		c.caughtUp(next, old)
		next.propose("in the end")
		c.caughtUp(next, c.nodes...)
		if old.group.instance.Load() == first {
			t.Fatal("Raft was not started again")
		}
		if n := c.wires.sent(kindInstall) - before; n > 3 {
			t.Fatalf("%d snapshots were sent", n)
		}
	})
}

func TestOlderSnapshotIsNotInstalled(t *testing.T) {
	inCluster(t, 3, 0, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		l := c.leader()
		for i := range 20 {
			l.propose(fmt.Sprint(i))
		}
		if err := l.group.Compact(); err != nil {
			t.Fatal(err)
		}
		meta, old, err := l.group.snapshots.Open("")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			l.propose(fmt.Sprint(20 + i))
		}
		f := c.others(l)[0]
		c.caughtUp(l, c.nodes...)
		if err := f.group.Compact(); err != nil {
			t.Fatal(err)
		}
		if err := installOn(l, f, meta, old); err != nil {
			t.Fatal(err)
		}
		if len(f.machine.restores) != 0 {
			t.Fatal("an older snapshot was installed")
		}
		l.propose("in the end")
		c.caughtUp(l, c.nodes...)
	})
}

// Should the guard fail, the state does not go back: the replica stops.
func TestOlderSnapshotBehindTheGuardIsAFault(t *testing.T) {
	a := newAlone(t).open().lead()
	for i := range 10 {
		a.propose(fmt.Sprint(i))
	}
	g := a.group
	k, err := g.snapshots.Create(1, 5, 2, testConfiguration(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	machine := &adapter{group: g, last: g.progress.index.Load()}
	if err := machine.Restore(nil); err == nil {
		t.Fatal("it was restored")
	}
	if err := <-a.faults; !errors.Is(err, ErrFailed) || len(a.machine.restores) != 0 {
		t.Fatal(err, a.machine.restores)
	}
}

func TestMarkerDoesNotGoBack(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	at := a.group.snapshots.index()
	if err := a.group.snapshots.set(&marker{index: at - 1, term: 1}); !errors.Is(err, ErrNothingToCompact) {
		t.Fatal(err)
	}
	if a.group.snapshots.index() != at {
		t.Fatal("it went back")
	}
}

func TestReadsFollowTheConfiguration(t *testing.T) {
	inCluster(t, 1, 2, Timing{}, func(t *testing.T, c *cluster) {
		l, b := c.nodes[0], c.nodes[1]
		c.leader(l)
		want := func(step string, others int, asks bool) {
			t.Helper()
			before := c.wires.sent(kindConfirm)
			if err := l.group.ReadIndex(t.Context()); err != nil {
				t.Fatal(step, err)
			}
			if n := len(l.group.voters.load().others); n != others || asks != (c.wires.sent(kindConfirm) > before) {
				t.Fatal(step, n)
			}
		}
		want("alone", 0, false)
		for _, n := range c.nodes[1:] {
			p := Peer{ID: n.id, Addr: n.id}
			if err := l.group.AddNonvoter(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			want("nonvoter added", len(l.group.voters.load().others), len(l.group.voters.load().others) > 0)
			c.caughtUp(l, n)
			if err := l.group.AddVoter(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		want("three", 2, true)
		if err := l.group.Remove(t.Context(), c.nodes[2].id); err != nil {
			t.Fatal(err)
		}
		c.nodes[2].stop()
		want("two", 1, true)
		if err := l.group.TransferLeadership(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		c.leader(b)
		if err := b.group.Remove(t.Context(), l.id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := l.group.ReadIndex(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Fatal("the removed one reads:", err)
		}
		l = b
		want("the other alone", 0, false)
	})
}

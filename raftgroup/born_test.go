package raftgroup

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// A replica that has no state to which the log can be applied takes nothing of it, however complete it is, and is filled by a snapshot
// when the leader's log begins behind what it must not see.
func TestEmptyReplicaTakesASnapshotOnly(t *testing.T) {
	inCluster(t, 2, 1, Timing{}, func(t *testing.T, c *cluster) {
		late := c.nodes[2]
		late.stop()
		late.tune = func(cfg *GroupConfig) {
			cfg.Filled = func() bool { return len(late.machine.commands()) > 0 }
		}
		late.start()
		leader := c.leader()
		for i := range 5 {
			leader.propose(fmt.Sprint(i))
		}
		index := leader.machine.Applied()
		if err := leader.group.AddNonvoter(t.Context(), Peer{ID: late.id, Addr: late.id}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := late.machine.commands(); len(got) > 0 {
			t.Fatalf("it has taken %v", got)
		}
		if err := leader.group.CompactPast(index); err != nil {
			t.Fatal(err)
		}
		if first := leader.group.Status().First; first <= index {
			t.Fatalf("the log begins at %d", first)
		}
		leader.propose("behind")
		c.caughtUp(leader, c.nodes...)
		if n := len(late.machine.restores); n == 0 {
			t.Fatal("no snapshot was installed")
		}
		if err := leader.group.CompactPast(index); err != nil {
			t.Fatal("again: ", err)
		}
	})
}

// A snapshot that may not be installed now is refused before anything of the replica's state is touched, and comes again.
func TestRefusedSnapshotComesAgain(t *testing.T) {
	inCluster(t, 3, 0, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		leader, stale := behind(c)
		had := len(stale.machine.commands())
		refused := 0
		stale.tune = func(cfg *GroupConfig) {
			cfg.Admit = func(stream io.Reader) error {
				if b, err := io.ReadAll(stream); err != nil || len(b) == 0 {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if refused++; refused < 3 {
					return errors.New("not now")
				}
				if got := len(stale.machine.commands()); got != had {
					t.Errorf("%d commands, there were %d", got, had)
				}
				return nil
			}
		}
		stale.start()
		c.caughtUp(leader, stale)
		if len(stale.machine.restores) != 1 || refused < 3 {
			t.Errorf("restored %d times, refused %d times", len(stale.machine.restores), refused)
		}
	})
}

package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kahuna/raftgroup/wal"
)

// alone is a node whose groups have no other voters, over a real log.
type alone struct {
	t       testing.TB
	dir     string
	machine *memoryMachine
	log     *wal.Log
	host    *Host
	group   *Group
	timing  Timing
	leads   chan uint64
	follows atomic.Int32
	faults  chan error
}

func newAlone(t testing.TB) *alone {
	a := &alone{t: t, dir: t.TempDir(), machine: &memoryMachine{}, leads: make(chan uint64, 100), faults: make(chan error, 100)}
	t.Cleanup(a.close)
	return a
}

func (a *alone) open() *alone {
	a.t.Helper()
	if err := a.tryOpen(); err != nil {
		a.t.Fatal(err)
	}
	return a
}

func (a *alone) tryOpen() (err error) {
	logger := zerolog.Nop()
	if a.log, err = wal.Open(wal.Options{Dir: filepath.Join(a.dir, "wal"), Logger: logger, SegmentBytes: 1 << 20}); err != nil {
		return err
	}
	a.host = NewHost(HostConfig{NodeID: "a", Network: NewLoopback("addr-a"), Logger: logger, Timing: a.timing,
		Logs:    func(group uint32) LogStore { return a.log.Group(group) },
		OnFault: func(_ uint32, err error) { a.faults <- err }})
	a.group, err = a.host.Open(GroupConfig{ID: 7, Machine: a.machine, Dir: filepath.Join(a.dir, "group"),
		Bootstrap: []Peer{{ID: "a", Addr: "addr-a", Voter: true}},
		OnLeader:  func(term uint64) { a.leads <- term }, OnFollower: func() { a.follows.Add(1) }})
	return err
}

func (a *alone) close() {
	if a.host != nil {
		if err := a.host.Close(); err != nil {
			a.t.Error(err)
		}
	}
	if a.log != nil {
		if err := a.log.Close(); err != nil {
			a.t.Error(err)
		}
	}
	a.host, a.log = nil, nil
}

func (a *alone) lead() *alone {
	a.t.Helper()
	select {
	case <-a.leads:
	case <-time.After(20 * time.Second):
		a.t.Fatal("no leader")
	}
	return a
}

func (a *alone) propose(data string) (uint64, any) {
	a.t.Helper()
	index, result, err := a.group.Propose([]byte(data)).Wait(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	return index, result
}

func TestSingleVoterProposesAndReads(t *testing.T) {
	a := newAlone(t).open().lead()
	for i := range 100 {
		if _, result := a.propose(fmt.Sprint(i)); result != i+1 {
			t.Fatalf("result %v of proposal %d", result, i)
		}
		if err := a.group.ReadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(a.machine.commands()); got != i+1 {
			t.Fatalf("read %d commands after %d", got, i+1)
		}
	}
	if s := a.group.Status(); !s.Leader || !s.Ready || s.LeaderID != "a" || len(s.Peers) != 1 || s.Applied != s.Commit {
		t.Fatalf("%+v", s)
	}
}

func TestSingleVoterElectsItselfAtOnce(t *testing.T) {
	a := newAlone(t)
	a.timing = Timing{HeartbeatTimeout: time.Hour, ElectionTimeout: time.Hour} // it would not within the test otherwise
	a.open().lead().close()
	a.open().lead()
}

func TestRestartDeliversNothingTwice(t *testing.T) {
	a := newAlone(t).open().lead()
	for i := range 50 {
		a.propose(fmt.Sprint(i))
	}
	a.close()
	a.open().lead()
	a.propose("last")
	if n := a.machine.applies; n != 51 {
		t.Fatalf("%d commands were applied, want 51", n)
	}
}

func TestPowerCutReplaysFromTheMarker(t *testing.T) {
	a := newAlone(t)
	a.timing.TrailingLogs = 5
	a.open().lead()
	for i := range 40 {
		a.propose(fmt.Sprint(i))
	}
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		a.propose(fmt.Sprint(40 + i))
	}
	s := a.group.Status()
	if s.Marker < 40 || s.First < s.Marker-5 || s.First > s.Marker+1 {
		t.Fatalf("%+v", s)
	}
	a.close()
	a.machine.cutPower()
	if n := len(a.machine.commands()); n != 40 {
		t.Fatalf("%d commands after the cut", n)
	}
	a.open().lead()
	if n := len(a.machine.commands()); n != 50 {
		t.Fatalf("%d commands after the replay", n)
	}
}

func TestCompactSaysWhenThereIsNothing(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := a.group.Compact(); !errors.Is(err, ErrNothingToCompact) {
		t.Fatal(err)
	}
}

func TestCompactAfterAChangeOfMembersInAnIdleGroup(t *testing.T) {
	a := newAlone(t).open().lead()
	if err := a.group.AddNonvoter(t.Context(), Peer{ID: "b", Addr: "addr-b"}); err != nil {
		t.Fatal(err)
	}
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := a.group.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.close()
	a.open().lead()
	if peers := a.group.Status().Peers; len(peers) != 2 || peers[1] != (Peer{ID: "b", Addr: "addr-b"}) {
		t.Fatalf("%v", peers)
	}
}

func TestStateThatWasLostIsRefused(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	a.close()
	a.machine.state = machineState{}
	if err := a.tryOpen(); !errors.Is(err, ErrLostState) {
		t.Fatal(err)
	}
	a.close()
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	a.machine.state = machineState{Index: 3}
	if err := a.tryOpen(); !errors.Is(err, ErrLostState) {
		t.Fatal(err)
	}
}

func TestDamagedMarkerIsRefused(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	if err := a.group.Compact(); err != nil {
		t.Fatal(err)
	}
	a.close()
	path := filepath.Join(a.dir, "group", markerName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 7 {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.tryOpen(); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d: %v", i, err)
		}
		a.close()
	}
}

func TestGroupBornWithAState(t *testing.T) {
	a := newAlone(t)
	a.machine.state = machineState{Index: 1000, Commands: []string{"old"}}
	a.log = nil
	if err := a.openBorn(1000); err != nil {
		t.Fatal(err)
	}
	a.lead()
	if index, result := a.propose("new"); index <= 1000 || result != 2 {
		t.Fatalf("index %d, result %v", index, result)
	}
	a.close()
	a.open().lead() // without BornAt: the state is there
	if _, result := a.propose("newer"); result != 3 {
		t.Fatalf("result %v", result)
	}
}

func (a *alone) openBorn(at uint64) (err error) {
	if a.log, err = wal.Open(wal.Options{Dir: filepath.Join(a.dir, "wal"), Logger: zerolog.Nop(), SegmentBytes: 1 << 20}); err != nil {
		return err
	}
	a.host = NewHost(HostConfig{NodeID: "a", Network: NewLoopback("addr-a"), Logs: func(group uint32) LogStore { return a.log.Group(group) }})
	a.group, err = a.host.Open(GroupConfig{ID: 7, Machine: a.machine, Dir: filepath.Join(a.dir, "group"), BornAt: at,
		Bootstrap: []Peer{{ID: "a", Addr: "addr-a", Voter: true}}, OnLeader: func(term uint64) { a.leads <- term }})
	return err
}

func TestFaultStopsTheGroup(t *testing.T) {
	for name, refuse := range map[string]func(Entry) error{
		"error": func(e Entry) error {
			if string(e.Data) == "bad" {
				return errTest
			}
			return nil
		},
		"panic": func(e Entry) error {
			if string(e.Data) == "bad" {
				panic(errTest.Error())
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAlone(t)
			a.machine.refuse = refuse
			a.open().lead()
			a.propose("good")
			var proposals []Proposal
			for _, data := range []string{"bad", "after", "after"} {
				proposals = append(proposals, a.group.Propose([]byte(data)))
			}
			for _, p := range proposals {
				if _, _, err := p.Wait(t.Context()); !errors.Is(err, ErrFailed) {
					t.Fatal(err)
				}
			}
			err := <-a.faults
			if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), errTest.Error()) {
				t.Fatal(err)
			}
			if err := a.group.ReadIndex(t.Context()); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			if err := a.group.Compact(); !errors.Is(err, ErrFailed) {
				t.Fatal(err)
			}
			a.close()
			if len(a.faults) != 0 || a.follows.Load() != 1 {
				t.Fatalf("%d more faults, followed %d times", len(a.faults), a.follows.Load())
			}
		})
	}
}

func TestDurableThatFailsIsAFault(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	a.machine.set(func() { a.machine.durable = errTest })
	if err := a.group.Compact(); !errors.Is(err, ErrFailed) || !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	<-a.faults
}

func TestMarkerNeedsWhatWasApplied(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	a.machine.set(func() { a.machine.behind = 1 })
	if err := a.group.Compact(); !errors.Is(err, ErrNothingToCompact) || a.group.Status().Marker != 0 {
		t.Fatal(err, a.group.Status().Marker)
	}
}

// A configuration counts from its entry on, not only when it is committed and applied.
func TestReadsCountAVoterFromItsEntryOn(t *testing.T) {
	a := newAlone(t).open().lead()
	gate := make(chan struct{})
	a.machine.set(func() { a.machine.gate = gate }) // so that no committed configuration gets through
	stuck := a.group.Propose([]byte("x"))
	added := make(chan error)
	go func() { added <- a.group.AddVoter(context.Background(), Peer{ID: "ghost", Addr: "nowhere"}) }()
	for len(a.group.Status().Peers) < 2 {
		runtime.Gosched()
	}
	if err := a.group.ReadIndex(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Error(err)
	}
	close(gate)
	_, _, _ = stuck.Wait(t.Context())
	<-added
}

func TestWaitHonoursItsContextAndClose(t *testing.T) {
	a := newAlone(t).open().lead()
	gate := make(chan struct{})
	a.machine.set(func() { a.machine.gate = gate })
	p, q := a.group.Propose([]byte("x")), a.group.Propose([]byte("y"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.Wait(ctx); !errors.Is(err, ErrUncertain) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for s := a.group.Status(); s.Commit < s.Last || s.Commit == s.Applied; s = a.group.Status() {
		runtime.Gosched()
	}
	read := make(chan error)
	go func() { read <- a.group.ReadIndex(context.Background()) }()
	closed := make(chan error)
	go func() { closed <- a.group.Close() }()
	if err := <-read; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotLeader) {
		t.Fatal(err)
	}
	close(gate)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, result, err := q.Wait(context.Background()); err == nil && result != 2 || err != nil && !errors.Is(err, ErrUncertain) {
		t.Fatal(result, err)
	}
	if _, _, err := a.group.Propose(nil).Wait(context.Background()); !errors.Is(err, ErrNotProposed) {
		t.Fatal(err)
	}
}

func TestReadIndexAllocatesNothing(t *testing.T) {
	a := newAlone(t).open().lead()
	a.propose("x")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if err := a.group.ReadIndex(ctx); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestManyGroupsShareANode(t *testing.T) {
	a := newAlone(t).open().lead()
	var wg sync.WaitGroup
	for id := uint32(100); id < 120; id++ {
		leads := make(chan uint64, 1)
		g, err := a.host.Open(GroupConfig{ID: id, Machine: &memoryMachine{}, Dir: filepath.Join(a.dir, fmt.Sprint(id)),
			Bootstrap: []Peer{{ID: "a", Addr: "addr-a", Voter: true}}, OnLeader: func(term uint64) { leads <- term }})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			<-leads
			for range 50 {
				if _, _, err := g.Propose([]byte("x")).Wait(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := a.host.Open(GroupConfig{ID: 100, Machine: &memoryMachine{}, Dir: t.TempDir()}); err == nil {
		t.Fatal("a group was opened twice")
	}
}

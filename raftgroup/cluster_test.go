package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"kahuna/raftgroup/wal"
)

// node is one node of a test cluster. Its machine and its log survive when it is stopped.
type node struct {
	c       *cluster
	id      string
	dir     string
	machine *memoryMachine
	log     *wal.Log
	host    *Host
	group   *Group
	events  []string // of the leadership, in order; under mu
	mu      sync.Mutex
	inside  atomic.Int32
	faults  atomic.Int32
	slow    atomic.Pointer[chan struct{}] // OnLeader waits for it
	hang    atomic.Pointer[chan struct{}] // writes to the log wait for it
	tune    func(*GroupConfig)            // may be nil
}

type cluster struct {
	t      *testing.T
	wires  *wires
	nodes  []*node
	timing Timing
	peers  []Peer
}

// inCluster runs f in a bubble with a cluster of n voters and some nodes that are none yet.
func inCluster(t *testing.T, voters, others int, timing Timing, f func(*testing.T, *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, wires: newWires(), timing: timing}
		for i := range voters + others {
			id := string(rune('a' + i))
			c.nodes = append(c.nodes, &node{c: c, id: id, dir: t.TempDir(), machine: &memoryMachine{}})
			if i < voters {
				c.peers = append(c.peers, Peer{ID: id, Addr: id, Voter: true})
			}
		}
		for _, n := range c.nodes {
			n.start()
		}
		defer func() {
			for _, n := range c.nodes {
				n.stop()
			}
		}()
		f(t, c)
	})
}

func (n *node) start() {
	n.c.t.Helper()
	var err error
	if n.log, err = wal.Open(wal.Options{Dir: filepath.Join(n.dir, "wal"), Logger: zerolog.Nop(), SegmentBytes: 1 << 20}); err != nil {
		n.c.t.Fatal(err)
	}
	n.host = NewHost(HostConfig{NodeID: n.id, Network: plug{n.c.wires, n.id}, Timing: n.c.timing,
		Logger:  zerolog.New(zerolog.NewTestWriter(n.c.t)).With().Str("node", n.id).Logger(),
		Logs:    func(group uint32) LogStore { return &hanging{n.log.Group(group), n} },
		OnFault: func(uint32, error) { n.faults.Add(1) }})
	var bootstrap []Peer
	if slices.ContainsFunc(n.c.peers, func(p Peer) bool { return p.ID == n.id }) {
		bootstrap = n.c.peers
	}
	cfg := GroupConfig{ID: 7, Machine: n.machine, Dir: filepath.Join(n.dir, "group"), Bootstrap: bootstrap,
		OnLeader:   func(term uint64) { n.event(fmt.Sprint("lead ", term)) },
		OnFollower: func() { n.event("follow") }}
	if n.tune != nil {
		n.tune(&cfg)
	}
	n.group, err = n.host.Open(cfg)
	if err != nil {
		n.c.t.Fatal(err)
	}
}

// hanging is a log whose writes take as long as node.hang says.
type hanging struct {
	LogStore
	n *node
}

func (h *hanging) StoreLogs(entries []*raft.Log) error {
	if gate := h.n.hang.Load(); gate != nil {
		<-*gate
	}
	return h.LogStore.StoreLogs(entries)
}

func (n *node) event(what string) {
	if n.inside.Add(1) != 1 {
		n.c.t.Error("callbacks run at the same time")
	}
	defer n.inside.Add(-1)
	n.mu.Lock()
	n.events = append(n.events, what)
	n.mu.Unlock()
	if gate := n.slow.Load(); gate != nil && what != "follow" {
		<-*gate
	}
}

func (n *node) stop() {
	if n.host == nil {
		return
	}
	n.c.wires.set(func() { delete(n.c.wires.handlers, n.id) })
	if err := n.host.Close(); err != nil {
		n.c.t.Error(err)
	}
	if err := n.log.Close(); err != nil {
		n.c.t.Error(err)
	}
	n.host = nil
}

// until waits for a condition, in virtual time.
func (c *cluster) until(what string, condition func() bool) {
	c.t.Helper()
	for range 60000 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatalf("never happened: %s", what)
}

// leader waits for a ready leader among nodes, all if none are given.
func (c *cluster) leader(among ...*node) (found *node) {
	c.t.Helper()
	if len(among) == 0 {
		among = c.nodes
	}
	c.until("a ready leader", func() bool {
		for _, n := range among {
			if n.host != nil && n.group.Status().Ready {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

func (c *cluster) others(n *node) (others []*node) {
	for _, o := range c.nodes {
		if o != n {
			others = append(others, o)
		}
	}
	return others
}

func (n *node) propose(data string) {
	n.c.t.Helper()
	if _, _, err := n.group.Propose([]byte(data)).Wait(context.Background()); err != nil {
		n.c.t.Fatal(err)
	}
}

// caughtUp waits until nodes have all that the leader's state machine has.
func (c *cluster) caughtUp(leader *node, nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		c.until(n.id+" has caught up", func() bool {
			if f := n.group.failure(); f != nil {
				c.t.Fatal(n.id, f)
			}
			return slices.Equal(n.machine.commands(), leader.machine.commands())
		})
	}
}

func TestClusterReplicatesAndReads(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		l := c.leader()
		for i := range 20 {
			l.propose(fmt.Sprint(i))
			if err := l.group.ReadIndex(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.caughtUp(l, c.nodes...)
		for _, n := range c.others(l) {
			if err := n.group.ReadIndex(t.Context()); !errors.Is(err, ErrNotLeader) {
				t.Fatal(err)
			}
			if _, _, err := n.group.Propose([]byte("x")).Wait(t.Context()); !errors.Is(err, ErrNotProposed) {
				t.Fatal(err)
			}
			if id, addr := n.group.Leader(); id != l.id || addr != l.id {
				t.Fatal(id, addr)
			}
		}
	})
}

func TestDeposedLeaderDoesNotRead(t *testing.T) {
	// With so long a lease the old leader goes on believing that it leads.
	inCluster(t, 3, 0, Timing{HeartbeatTimeout: 2 * time.Minute, ElectionTimeout: 2 * time.Minute, LeaseTimeout: 2 * time.Minute}, func(t *testing.T, c *cluster) {
		old := c.leader()
		old.propose("before")
		rest := c.others(old)
		c.caughtUp(old, rest...)
		if err := old.group.TransferLeadership(t.Context(), old.id); err != nil {
			t.Fatal(err)
		}
		c.wires.isolate(old.id, true)
		// As if its timeout had run out.
		if _, err := rest[0].host.mux.HandleCall(t.Context(), encodeRequest(putRequest(nil, kindTimeoutNow, 7), timeoutNow(old))); err != nil {
			t.Fatal(err)
		}
		next := c.leader(rest...)
		next.propose("after")
		if !old.group.Status().Leader {
			t.Fatal("the old leader has noticed; the test shows nothing")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := old.group.ReadIndex(ctx); !errors.Is(err, ErrNotLeader) {
			t.Fatal("a deposed leader's read ended with", err)
		}
		// Nor when its questions get through again, and before it hears of the new term by other ways.
		c.wires.set(func() {
			c.wires.before = func(from, to string, request []byte) error {
				if request[0] != kindConfirm {
					return errCut
				}
				return nil
			}
		})
		c.wires.isolate(old.id, false)
		if err := old.group.ReadIndex(ctx); !errors.Is(err, ErrNotLeader) {
			t.Fatal("a deposed leader's read ended with", err)
		}
		c.wires.set(func() { c.wires.before = nil })
	})
}

// A leader whose disk hangs is replaced while it does, and follows when it is back; what it could not write is not lost for those who
// wait for its end.
func TestLeaderWithAHungDiskIsReplaced(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		old := c.leader()
		old.propose("before")
		gate := make(chan struct{})
		old.hang.Store(&gate)
		stuck := old.group.Propose([]byte("stuck"))
		next := c.leader(c.others(old)...)
		next.propose("after")
		old.hang.Store(nil)
		close(gate)
		if _, _, err := stuck.Wait(t.Context()); !errors.Is(err, ErrUncertain) {
			t.Fatal(err)
		}
		next.propose("healed")
		c.caughtUp(next, c.nodes...)
		if got := next.machine.commands(); !slices.Equal(got, []string{"before", "after", "healed"}) {
			t.Fatal(got)
		}
	})
}

// A disk that is only slow keeps its leader.
func TestLeaderWithASlowDiskStays(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		old := c.leader()
		for range 3 {
			gate := make(chan struct{})
			old.hang.Store(&gate)
			slow := old.group.Propose([]byte("slow"))
			time.Sleep(2 * time.Second)
			old.hang.Store(nil)
			close(gate)
			if _, _, err := slow.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !old.group.Status().Leader {
			t.Fatal("it has lost the leadership")
		}
	})
}

func TestIsolatedLeaderIsReplacedAndComesBack(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		old := c.leader()
		old.propose("before")
		c.wires.isolate(old.id, true)
		lost := old.group.Propose([]byte("lost"))
		next := c.leader(c.others(old)...)
		next.propose("after")
		if _, _, err := lost.Wait(t.Context()); !errors.Is(err, ErrUncertain) {
			t.Fatal(err)
		}
		c.wires.isolate(old.id, false)
		next.propose("healed")
		c.caughtUp(next, c.nodes...)
		if got := next.machine.commands(); !slices.Equal(got, []string{"before", "after", "healed"}) {
			t.Fatal(got)
		}
		old.mu.Lock()
		defer old.mu.Unlock()
		if len(old.events) != 2 || old.events[1] != "follow" {
			t.Fatal(old.events)
		}
	})
}

func TestSlowOnLeaderIsFollowedByOnFollower(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		old := c.leader()
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		for _, n := range c.others(old) {
			n.slow.Store(&gate)
		}
		c.wires.isolate(old.id, true)
		next := c.leader(c.others(old)...)
		c.wires.isolate(old.id, false)
		next.propose("x")
		c.caughtUp(next, old)
		if err := next.group.TransferLeadership(t.Context(), old.id); err != nil {
			t.Fatal(err)
		}
		c.until("the first leads again", func() bool { return old.group.Status().Ready && !next.group.Status().Leader })
		if err := next.group.ReadIndex(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Fatal(err)
		}
		release()
		c.until("it was told", func() bool {
			next.mu.Lock()
			defer next.mu.Unlock()
			return len(next.events) == 2 && next.events[1] == "follow"
		})
	})
}

func TestRestartOfEveryNode(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		for round := range 4 {
			l := c.leader()
			for i := range 10 {
				l.propose(fmt.Sprint(round, i))
			}
			for _, n := range c.nodes {
				n.stop()
			}
			for _, n := range c.nodes {
				n.start()
			}
		}
		l := c.leader()
		if n := len(l.machine.commands()); n != 40 {
			t.Fatal(n)
		}
		c.caughtUp(l, c.nodes...)
	})
}

func votersOf(peers []Peer) (n int) {
	for _, p := range peers {
		if p.Voter {
			n++
		}
	}
	return n
}

func TestSnapshotReachesAStaleAndAnEmptyNode(t *testing.T) {
	inCluster(t, 3, 1, Timing{TrailingLogs: 5}, func(t *testing.T, c *cluster) {
		l := c.leader(c.nodes[:3]...)
		for i := range 10 {
			l.propose(fmt.Sprint(i))
		}
		stale := c.others(l)[0]
		c.caughtUp(l, c.nodes[:3]...)
		stale.stop()
		for i := range 50 {
			l.propose(fmt.Sprint(10 + i))
		}
		if err := l.group.Compact(); err != nil {
			t.Fatal(err)
		}
		l.propose("behind the marker")
		stale.start()
		c.caughtUp(l, stale)
		empty := c.nodes[3]
		if err := l.group.AddNonvoter(t.Context(), Peer{ID: empty.id, Addr: empty.id}); err != nil {
			t.Fatal(err)
		}
		c.caughtUp(l, empty)
		if err := l.group.AddVoter(t.Context(), Peer{ID: empty.id, Addr: empty.id}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []*node{stale, empty} {
			if len(n.machine.restores) != 1 {
				t.Fatalf("%s restored %v", n.id, n.machine.restores)
			}
			n.stop()
			n.machine.cutPower()
			n.start()
		}
		l = c.leader()
		l.propose("in the end")
		c.caughtUp(l, c.nodes...)
		if peers := l.group.Status().Peers; len(peers) != 4 {
			t.Fatal(peers)
		}
		if err := l.group.ReadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := c.others(l)[0]
		if err := l.group.Demote(t.Context(), other.id); err != nil || votersOf(l.group.Status().Peers) != 3 {
			t.Fatal(err, l.group.Status().Peers)
		}
		if err := l.group.Remove(t.Context(), stale.id); err != nil && stale != l {
			t.Fatal(err)
		}
	})
}

func TestSnapshotStreamMayBeAheadOfItsMarker(t *testing.T) {
	inCluster(t, 2, 1, Timing{TrailingLogs: 1}, func(t *testing.T, c *cluster) {
		l := c.leader(c.nodes[:2]...)
		for i := range 30 {
			l.propose(fmt.Sprint(i))
		}
		if err := l.group.Compact(); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			l.propose(fmt.Sprint(30 + i))
		}
		var once sync.Once
		l.machine.set(func() {
			l.machine.streaming = func() { // a second marker while the stream of the first is on its way
				once.Do(func() {
					if err := l.group.Compact(); err != nil {
						t.Error(err)
					}
				})
			}
		})
		empty := c.nodes[2]
		if err := l.group.AddNonvoter(t.Context(), Peer{ID: empty.id, Addr: empty.id}); err != nil {
			t.Fatal(err)
		}
		c.caughtUp(l, empty)
		l.propose("in the end")
		c.caughtUp(l, c.nodes...)
		if empty.machine.applies > 5 {
			t.Fatalf("%d commands were applied that the stream had", empty.machine.applies)
		}
	})
}

func TestTransferLeadership(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		l := c.leader()
		to := c.others(l)[0]
		if err := l.group.TransferLeadership(t.Context(), to.id); err != nil {
			t.Fatal(err)
		}
		c.until("the other leads", func() bool { return to.group.Status().Ready })
		if err := to.group.TransferLeadership(t.Context(), "nobody"); err == nil {
			t.Fatal("transferred to nobody")
		}
	})
}

// A call that never ends keeps Raft's transfer going for ever, as hashicorp/raft#696 does.
func TestTransferThatDoesNotEndRestartsTheReplica(t *testing.T) {
	inCluster(t, 3, 0, Timing{HeartbeatTimeout: 300 * time.Millisecond, ElectionTimeout: 300 * time.Millisecond}, func(t *testing.T, c *cluster) {
		l := c.leader()
		first := l.group.instance.Load()
		c.wires.set(func() {
			c.wires.before = func(_, _ string, request []byte) error {
				if request[0] == kindTimeoutNow {
					<-first.ctx.Done()
					return errCut
				}
				return nil
			}
		})
		if err := l.group.TransferLeadership(t.Context(), c.others(l)[0].id); err == nil {
			t.Fatal("transferred")
		}
		c.until("the replica was restarted", func() bool {
			_, _, err := l.group.Propose([]byte("x")).Wait(t.Context())
			if err != nil && !errors.Is(err, ErrNotProposed) {
				t.Fatal(err)
			}
			inst := l.group.instance.Load()
			return inst != nil && inst != first
		})
		c.wires.set(func() { c.wires.before = nil })
		c.leader().propose("in the end")
	})
}

func TestReadsShareRounds(t *testing.T) {
	inCluster(t, 3, 0, Timing{}, func(t *testing.T, c *cluster) {
		l := c.leader()
		l.propose("x")
		before := c.wires.sent(kindConfirm)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if err := l.group.ReadIndex(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := c.wires.sent(kindConfirm) - before; n > 8 {
			t.Fatalf("%d messages for 1000 reads at once", n)
		}
		// A voter that does not answer holds up nobody.
		c.wires.isolate(c.others(l)[0].id, true)
		start := time.Now()
		if err := l.group.ReadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 100*time.Millisecond { // virtual time
			t.Fatal(d)
		}
	})
}

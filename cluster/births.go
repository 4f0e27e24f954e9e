package cluster

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/partition"
	"kahuna/raftgroup"
)

// A partition that is born from a split has its record in the store when its parent has applied that. Its replica is opened here, beside
// the log of the parent. It is the same on all nodes that have the parent, so one of them is chosen to lead at once: the one that
// leads the parent.

// births are partitions that were born on this node and are not open yet, and ids of replicas that are being opened.
type births struct {
	mu      sync.Mutex
	waiting []birth
	opening map[uint32]bool
	wake    chan struct{}
}

type birth struct{ parent, child uint32 }

func newBirths() births { return births{opening: map[uint32]bool{}, wake: make(chan struct{}, 1)} }

// put is called by state machines.
func (b *births) put(parent uint32, born []uint32) {
	b.mu.Lock()
	for _, child := range born {
		b.waiting = append(b.waiting, birth{parent, child})
	}
	b.mu.Unlock()
	b.signal()
}

func (b *births) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *births) take() (all []birth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, b.waiting = b.waiting, nil
	return all
}

// begin notes that a replica is being opened; false: somebody else does it. end must follow.
func (b *births) begin(id uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opening[id] {
		return false
	}
	b.opening[id] = true
	return true
}

func (b *births) end(id uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.opening, id)
}

// bear opens the replicas of partitions that are born here, until the node stops.
func (n *Node) bear() {
	for {
		for _, b := range n.births.take() {
			if err := n.deliver(b); err != nil {
				n.fault(err)
				return
			}
		}
		select {
		case <-n.births.wake:
		case <-n.ctx.Done():
			return
		}
	}
}

// deliver opens the replica of a child, or clears what a child has left that this node is not to have.
func (n *Node) deliver(b birth) error {
	for !n.births.begin(b.child) {
		if !clock.Pause(n.ctx, time.Millisecond) {
			return nil
		}
	}
	opened, err := n.deliverOnce(b.child)
	n.births.end(b.child)
	if err != nil || !opened {
		return err
	}
	if parent := n.Replica(b.parent); parent != nil && parent.Leads() {
		n.start(func() { n.enthrone(parent, b.child) })
		n.signalSteps()
	}
	return nil
}

func (n *Node) deliverOnce(id uint32) (opened bool, err error) {
	if n.Replica(id) != nil {
		return true, nil
	}
	if graves, err := fsm.Graves(n.store); err != nil {
		return false, err
	} else if slices.ContainsFunc(graves, func(g fsm.Grave) bool { return g.ID == id && !g.Cleared }) {
		return false, n.clearGrave(id)
	}
	return true, n.openReplica(id)
}

// birthOf is how the group of a partition begins that was born here; false when it was not.
func (n *Node) birthOf(id uint32) (peers []raftgroup.Peer, born bool, err error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	b, born, err := fsm.LoadBirth(snap, id)
	for _, m := range b.Members {
		peers = append(peers, raftgroup.Peer{ID: m.ID, Addr: m.ID, Voter: m.Voter})
	}
	return peers, born, err
}

// bornTimeout is for how long a node is waited for that is to have a child. Without it the child's members elect a leader by
// themselves, after the usual timeout.
const bornTimeout = time.Second

// enthrone has this node stand for election in a child's group as soon as a quorum has it. That its parent's followers know that the
// split is committed, another entry tells them.
func (n *Node) enthrone(parent *partition.Replica, child uint32) {
	parent.Nudge()
	r := n.Replica(child)
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, bornTimeout)
	defer cancel()
	voters, there := 0, make(chan struct{}, 16)
	for _, p := range r.Group().Status().Peers {
		if !p.Voter {
			continue
		}
		if voters++; p.ID == n.identity.Node() {
			there <- struct{}{}
			continue
		}
		n.start(func() {
			if _, err := n.hub.Call(ctx, p.ID, callBorn, binary.AppendUvarint(nil, uint64(child))); err == nil {
				there <- struct{}{}
			}
		})
	}
	for have := 0; have < voters/2+1; have++ {
		select {
		case <-there:
		case <-ctx.Done():
			return
		}
	}
	r.Group().Campaign()
}

// handleBorn answers when this node has the replica of a partition that was just born.
func (n *Node) handleBorn(ctx context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	for n.Replica(id) == nil {
		if !clock.Pause(ctx, time.Millisecond) || n.ctx.Err() != nil {
			return nil, notDone(partition.ErrNotLeader)
		}
	}
	return nil, nil
}

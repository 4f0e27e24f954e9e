package cluster

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/placement"
)

// Nodes look at each other: the leaders of groups at their members, to know who is alive and has caught up, and the leader of the
// meta group at all nodes, to know what there is to do. What was seen is a hint for decisions that are checked where they are
// carried out; no read or write rests on it.
//
// Who looks again is told only what is new since the last time: replicas of which nothing is asked cost nothing.
const (
	lookInterval = time.Second
	lookTimeout  = time.Second
	// liveFor is for how long a node that answered is taken for alive.
	liveFor = 3 * time.Second
	// caughtUpWithin is how many entries a replica that has caught up may be behind.
	caughtUpWithin = 256
)

// sights are what other nodes said last, and when.
type sights struct {
	mu   sync.Mutex
	seen map[string]seenNode
}

type seenNode struct {
	sight *sight
	at    time.Duration // monotonic
}

func (s *sights) get(node string) (seenNode, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.seen[node]
	return seen, ok
}

// of is what a node said, also if that is nothing yet.
func (s *sights) of(node string) *sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen, ok := s.seen[node]; ok {
		return seen.sight
	}
	return newSight()
}

func (s *sights) put(node string, what *sight, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]seenNode{}
	}
	s.seen[node] = seenNode{what, max(at, s.seen[node].at)}
}

// keep drops what nodes said that are not members any more.
func (s *sights) keep(members []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.seen, func(node string, _ seenNode) bool { return !slices.Contains(members, node) })
}

// lookAround asks the nodes that this one has to know about, at the same time, until they have answered or lookTimeout has passed.
func (n *Node) lookAround() {
	ctx, cancel := context.WithTimeout(n.ctx, lookTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, node := range n.watched() {
		asking.Go(func() {
			began := n.cfg.Clock.Mono()
			if what, err := n.look(ctx, node, n.sights.of(node)); err == nil {
				n.sights.put(node, what, began)
			}
		})
	}
	asking.Wait()
}

// look asks a node what is new since it was asked last, adds that to what it said then, and gives it.
func (n *Node) look(ctx context.Context, node string, old *sight) (*sight, error) {
	began := n.cfg.Clock.Mono()
	since := old.version()
	answer, err := n.hub.Call(ctx, node, callLook, binary.AppendUvarint(binary.AppendUvarint(nil, since.life), since.seq))
	if err != nil {
		return nil, err
	}
	return old, old.learn(answer, began)
}

// watched are the nodes that this one has to know about.
func (n *Node) watched() (nodes []string) {
	want := map[string]bool{}
	for _, r := range n.Replicas() {
		if !r.Leads() {
			continue
		}
		if r.ID() == fsm.Meta {
			for _, id := range n.router.State().Members() {
				want[id] = true
			}
		}
		for _, p := range r.Group().Status().Peers {
			want[p.ID] = true
		}
	}
	delete(want, n.identity.Node())
	for id := range want {
		nodes = append(nodes, id)
	}
	return nodes
}

// handleLook tells how this node and its replicas are.
func (n *Node) handleLook(_ context.Context, body []byte) ([]byte, error) {
	life, rest, err := takeUint(body)
	if err != nil {
		return nil, notDone(errRequest)
	}
	seq, rest, err := takeUint(rest)
	if err != nil || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	n.refresh(life == 0) // who asks for everything asks for an operator, who may just have changed something
	return n.own.since(version{life, seq}, n.cfg.Clock.Mono()), nil
}

// ownReport is what this node says of itself; now, or of the last moments.
func (n *Node) ownReport(now bool) placement.NodeReport {
	n.refresh(now)
	return n.own.report(n.cfg.Clock.Mono())
}

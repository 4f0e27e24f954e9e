package cluster

import (
	"context"
	"encoding/json"
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
const (
	lookInterval = time.Second
	lookTimeout  = time.Second
	// liveFor is for how long a node that answered is taken for alive.
	liveFor = 3 * time.Second
	// caughtUpWithin is how many entries a replica that has caught up may be behind.
	caughtUpWithin = 256
)

// sight is what a node says about itself.
type sight struct {
	Replicas []placement.ReplicaReport
}

func (s *sight) replica(id uint32) *placement.ReplicaReport {
	for i := range s.Replicas {
		if s.Replicas[i].Range == id {
			return &s.Replicas[i]
		}
	}
	return nil
}

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

func (s *sights) put(node string, what *sight, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]seenNode{}
	}
	s.seen[node] = seenNode{what, at}
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
			answer, err := n.hub.Call(ctx, node, callLook, nil)
			var what sight
			if err == nil && json.Unmarshal(answer, &what) == nil {
				n.sights.put(node, &what, began)
			}
		})
	}
	asking.Wait()
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

// handleLook tells how this node's replicas are.
func (n *Node) handleLook(context.Context, []byte) ([]byte, error) { return json.Marshal(n.ownSight()) }

func (n *Node) ownSight() *sight {
	var s sight
	for _, r := range n.Replicas() {
		status := r.Group().Status()
		one := placement.ReplicaReport{Range: r.ID(), Leads: r.Leads(), Term: status.Term, Applied: status.Applied, Members: n.members(r), Empty: !r.Machine().Filled()}
		s.Replicas = append(s.Replicas, one)
	}
	return &s
}

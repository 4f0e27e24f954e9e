package placement

import (
	"errors"
	"fmt"
	"slices"
)

// These say why a change of the State's nodes is refused. Nothing was changed.
var (
	// ErrRemoved is for a node that has left: it has to come back with a new data directory, and so a new id.
	ErrRemoved = errors.New("placement: the node was removed from the cluster; start it with an empty data directory to join as a new one")
	// ErrUnknownNode is for an id that is no member's.
	ErrUnknownNode = errors.New("placement: there is no such node; NODE LIST shows the nodes")
	// ErrInUse is for a node that can't leave because groups still want it.
	ErrInUse = errors.New("placement: the node still has replicas; NODE DRAIN moves them away")
	// ErrTooMany is for a node more than MaxNodes.
	ErrTooMany = fmt.Errorf("placement: the cluster has %d nodes, more are not allowed", MaxNodes)
)

// Join adds a node, or takes over the addresses, the name and the zone of one that is there; its status stays. A node that has
// left is refused with ErrRemoved. Another member with the same peer address lost its identity to the new one and will not come
// back: it becomes Draining, so that it is replaced at once.
func (s *State) Join(n Node) error {
	n.Status, n.Departed = Active, 0
	at, found := s.nodeAt(n.ID)
	switch {
	case found && s.Nodes[at].Status == Left:
		return ErrRemoved
	case found:
		n.Status = s.Nodes[at].Status
		s.Nodes[at] = n
	case len(s.Nodes) >= MaxNodes:
		return ErrTooMany
	default:
		s.Nodes = slices.Insert(s.Nodes, at, n)
	}
	for i := range s.Nodes {
		if other := &s.Nodes[i]; other.ID != n.ID && other.Status == Active && other.PeerAddr == n.PeerAddr {
			other.Status = Draining
		}
	}
	return nil
}

// Drain has a node relieved of what it has; on false, that ends. ErrUnknownNode and ErrRemoved refuse it.
func (s *State) Drain(id string, on bool) error {
	n := s.Node(id)
	switch {
	case n == nil:
		return ErrUnknownNode
	case n.Status == Left:
		return ErrRemoved
	}
	n.Status = Active
	if on {
		n.Status = Draining
	}
	return nil
}

// Leave makes a tombstone of a node. It is ErrInUse while a range or the meta group wants it. Leaving twice is no error.
func (s *State) Leave(id string) error {
	n := s.Node(id)
	switch {
	case n == nil:
		return ErrUnknownNode
	case n.Status == Left:
		return nil
	case contains(s.MetaVoters, id):
		return fmt.Errorf("%w (it votes in the meta group)", ErrInUse)
	}
	for i := range s.Ranges {
		if contains(s.Ranges[i].Replicas, id) {
			return fmt.Errorf("%w (partition %d, among others)", ErrInUse, s.Ranges[i].ID)
		}
	}
	last := uint32(0)
	for i := range s.Nodes {
		last = max(last, s.Nodes[i].Departed)
	}
	n.Status, n.Departed = Left, last+1
	s.forget()
	return nil
}

// forget drops the oldest tombstones above the limit.
func (s *State) forget() {
	var order []uint32
	for i := range s.Nodes {
		if s.Nodes[i].Status == Left {
			order = append(order, s.Nodes[i].Departed)
		}
	}
	if len(order) <= MaxTombstones {
		return
	}
	slices.Sort(order)
	oldest := order[len(order)-MaxTombstones]
	s.Nodes = slices.DeleteFunc(s.Nodes, func(n Node) bool { return n.Status == Left && n.Departed < oldest })
}

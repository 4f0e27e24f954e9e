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
// back: it becomes Leaving, so that it is replaced at once.
func (s *State) Join(n Node) error {
	n.Status, n.Relieve, n.Departed = Active, 0, 0
	at, found := s.nodeAt(n.ID)
	switch {
	case found && s.Nodes[at].Status == Left:
		return ErrRemoved
	case found:
		n.Status, n.Relieve = s.Nodes[at].Status, s.Nodes[at].Relieve
		s.Nodes[at] = n
	case len(s.Nodes) >= MaxNodes:
		return ErrTooMany
	default:
		s.Nodes = slices.Insert(s.Nodes, at, n)
	}
	for i := range s.Nodes {
		if other := &s.Nodes[i]; other.ID != n.ID && other.Status != Left && other.PeerAddr == n.PeerAddr {
			s.relieve(other, Leaving)
		}
	}
	return nil
}

// SetStatus makes a member Active, Draining or Leaving: the last two have it relieved of all it has, and Plan ends Leaving with
// Left. ErrUnknownNode and ErrRemoved refuse it. Whether a quorum survives that, CanLeave knows.
func (s *State) SetStatus(id string, status NodeStatus) error {
	n := s.Node(id)
	switch {
	case n == nil:
		return ErrUnknownNode
	case n.Status == Left:
		return ErrRemoved
	case status == Active:
		n.Status, n.Relieve = Active, 0
	case status == Draining || status == Leaving:
		s.relieve(n, status)
	default:
		return fmt.Errorf("placement: a node is not made %s", status)
	}
	return nil
}

func (s *State) relieve(n *Node, status NodeStatus) {
	if n.Status == Active {
		n.Relieve = s.groupsOf(n.ID)
	}
	n.Status = status
}

// groupsOf counts the groups that want a node as a voter.
func (s *State) groupsOf(id string) (n int) {
	for i := range s.Ranges {
		if contains(s.Ranges[i].Replicas, id) {
			n++
		}
	}
	if contains(s.MetaVoters, id) {
		n++
	}
	return n
}

// Leave makes a tombstone of a node. It is ErrInUse while a range or the meta group wants it. Leaving twice is no error.
func (s *State) Leave(id string) error {
	n := s.Node(id)
	if n == nil {
		return ErrUnknownNode
	}
	if n.Status == Left {
		return nil
	}
	if groups := s.groupsOf(id); groups > 0 {
		return fmt.Errorf("%w (%d groups)", ErrInUse, groups)
	}
	last := uint32(0)
	for i := range s.Nodes {
		last = max(last, s.Nodes[i].Departed)
	}
	n.Status, n.Relieve, n.Departed = Left, 0, last+1
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
	s.forgetUnknown()
}

// forgetUnknown drops what is said of nodes that are not even tombstones any more.
func (s *State) forgetUnknown() {
	s.Cooldowns = slices.DeleteFunc(s.Cooldowns, func(c Cooldown) bool { return c.Node != "" && s.Node(c.Node) == nil })
	for i := range s.Changes {
		for _, id := range []*string{&s.Changes[i].From, &s.Changes[i].To} {
			if s.Node(*id) == nil {
				*id = ""
			}
		}
	}
}

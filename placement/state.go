package placement

import (
	"slices"
	"strings"

	"kahuna/op"
)

// Limits of a State. They bound what is decoded and what Plan has to look at.
const (
	MaxNodes      = 4096 // with tombstones
	MaxTombstones = 1024 // nodes that have left; the oldest are forgotten
	MaxRanges     = 1 << 20
	MaxReplicas   = 9 // of one range
	MaxMetaVoters = 5
	MaxTextBytes  = 512 // an id, a name, an address, a zone
)

// State is what the cluster agrees on about itself.
type State struct {
	ClusterID   string
	Replication int      // wanted replicas per partition; with fewer nodes, as many as there are
	NextID      uint32   // the next partition's id; ids are never used again
	Nodes       []Node   // by ID, in order
	MetaVoters  []string // ids of the voters of the meta group, at most MaxMetaVoters; every other node follows without a vote
	Floor       int      // ranges are not merged further than to so many
	Ranges      []Range  // tile the space, in order
	Changes     []Change // steps in flight, by Range, in order
	Cooldowns   []Cooldown
}

// NodeStatus says what a node is to the cluster. The numbers are stored; they are only ever added to.
type NodeStatus byte

const (
	Active   NodeStatus = 1 // takes replicas
	Draining NodeStatus = 2 // is relieved of leaderships, then of replicas
	Leaving  NodeStatus = 3 // as Draining, and then becomes Left
	Left     NodeStatus = 4 // a tombstone: no longer a member, and may not come back under this id
)

func (s NodeStatus) String() string {
	switch s {
	case Active:
		return "active"
	case Draining:
		return "draining"
	case Leaving:
		return "leaving"
	case Left:
		return "left"
	}
	return "unknown"
}

// Node is a member of the cluster, or was one.
type Node struct {
	ID          string // made once, with its data directory
	Name        string // for people
	PeerAddr    string // for the other nodes
	ClientAddr  string // for ordinary clients
	ClusterAddr string // for cluster-aware clients
	Zone        string // replicas of a range are kept in different zones; empty: unknown
	Status      NodeStatus
	Relieve     int    // of a node that drains or leaves: how many groups wanted it when that began; else 0
	Departed    uint32 // of a node that has left: in which order, from 1; else 0
}

// Range is a partition with the part of the ordered space [slot][name] that it owns.
type Range struct {
	ID          uint32
	Epoch       uint64 // raised when From or To change
	From        op.Position
	To          op.Position // the zero Position: to the end
	Replication int         // wanted replicas; 0: the cluster's
	Replicas    []string    // ids of the nodes that are to be the group's voters
	Born        []string    // ids of the first members, the only ones that may bootstrap the group; empty: nobody may any more
}

// Clone gives a copy that shares no slice with s, except the names in positions, which nobody changes.
func (s *State) Clone() *State {
	c := *s
	c.Nodes = slices.Clone(s.Nodes)
	c.MetaVoters = slices.Clone(s.MetaVoters)
	c.Ranges = slices.Clone(s.Ranges)
	c.Changes, c.Cooldowns = slices.Clone(s.Changes), slices.Clone(s.Cooldowns)
	for i := range c.Ranges {
		r := &c.Ranges[i]
		r.Replicas, r.Born = slices.Clone(r.Replicas), slices.Clone(r.Born)
	}
	return &c
}

// Node gives the node with that id, a tombstone too; nil if there is none. It points into s.
func (s *State) Node(id string) *Node {
	if i, ok := s.nodeAt(id); ok {
		return &s.Nodes[i]
	}
	return nil
}

func (s *State) nodeAt(id string) (int, bool) {
	return slices.BinarySearchFunc(s.Nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
}

// Members gives the ids of all nodes that have not left, in order.
func (s *State) Members() (ids []string) {
	for i := range s.Nodes {
		if s.Nodes[i].Status != Left {
			ids = append(ids, s.Nodes[i].ID)
		}
	}
	return ids
}

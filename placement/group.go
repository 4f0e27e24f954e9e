package placement

import (
	"math"

	"kahuna/fsm"
)

// peer is a member of a group's configuration.
type peer struct {
	node                  int // its place; -1: no node of the State
	voter, caughtUp, live bool
}

// group is a range, or the meta group.
type group struct {
	id      uint32
	want    int   // replicas, with those on nodes that are silent
	least   int   // replicas there have to be before one is given up to a node that drains
	wanted  []int // places of nodes
	leader  int   // place; -1: none known
	conf    []peer
	touched bool           // a step was planned for it
	busy    bool           // it is being split or merged: its members stay
	resting bool           // it has changed lately: only repairs change it
	stuck   bool           // the new replica, on filled, does not get ready
	filled  int            // place
	avoid   []int          // places of nodes that are not to get a replica of it
	load    *ReplicaReport // what its leader has measured; nil: it has none
	weight  int64          // of a replica of it
	leading int64          // weight of its leadership
}

func (g *group) wants(node int) bool {
	for _, n := range g.wanted {
		if n == node {
			return true
		}
	}
	return false
}

// bytes is how much a new replica of it has to be sent, as far as that is known.
func (g *group) bytes() int64 {
	if g.load == nil {
		return 0
	}
	return int64(min(g.load.Bytes, math.MaxInt64))
}

func (g *group) peer(node int) *peer {
	for i := range g.conf {
		if g.conf[i].node == node {
			return &g.conf[i]
		}
	}
	return nil
}

func (g *group) votes(node int) bool {
	p := g.peer(node)
	return p != nil && p.voter
}

// settled tells whether the configuration is what is wanted.
func (g *group) settled() bool {
	voters := 0
	for i := range g.conf {
		switch p := &g.conf[i]; {
		case p.voter && !g.wants(p.node):
			return false
		case p.voter:
			voters++
		case g.id != fsm.Meta:
			return false
		}
	}
	return voters == len(g.wanted)
}

// margin is how many of the live voters the group can lose and still have a quorum; below 0 it has none.
func (g *group) margin() int {
	voters, live := 0, 0
	for i := range g.conf {
		if p := &g.conf[i]; p.voter {
			voters++
			if p.live {
				live++
			}
		}
	}
	return live - quorum(voters)
}

// movable tells whether the group can change its members: it has a leader, a quorum is live, and it is neither split nor merged.
func (g *group) movable() bool { return !g.busy && g.leader >= 0 && g.margin() >= 0 }

// inFlight tells whether a change is on its way and can end.
func (g *group) inFlight() bool { return len(g.conf) > 0 && g.margin() >= 0 && !g.settled() }

// survives tells whether a quorum would be live with from's vote gone to to; either may be -1 for none.
func (g *group) survives(from, to int) bool {
	voters, live := 0, 0
	for _, n := range g.wanted {
		if n == from {
			continue
		}
		voters++
		if p := g.peer(n); p != nil && p.live {
			live++
		}
	}
	if to >= 0 {
		voters, live = voters+1, live+1
	}
	return voters > 0 && live >= quorum(voters)
}

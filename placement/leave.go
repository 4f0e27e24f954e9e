package placement

import (
	"errors"
	"fmt"

	"kahuna/fsm"
)

// ErrQuorum is for a node that can't leave because a group would lose its quorum. Nothing was changed.
var ErrQuorum = errors.New("placement: the node can't leave")

// CanLeave tells why a node must stay, as an ErrQuorum: some group would be without a live quorum, or without a place to be. It is
// nil for a node that may drain or leave.
func CanLeave(s *State, r Reports, limits Limits, id string) error {
	v := newView(s, r, 0, limits)
	at, found := v.index[id]
	if !found {
		return ErrUnknownNode
	}
	if v.nodes[at].left {
		return nil
	}
	others := v.count(func(n *node) bool { return n.active && n.live }) - number(v.nodes[at].active && v.nodes[at].live)
	for i := range v.groups {
		if err := v.canLeave(&v.groups[i], at, others); err != nil {
			return fmt.Errorf("%w: %w", ErrQuorum, err)
		}
	}
	return nil
}

// canLeave looks at one group. One of the others, that are live and active, may take the place of the one that leaves.
func (v *view) canLeave(g *group, at, others int) error {
	if !g.wants(at) && !g.votes(at) {
		return nil
	}
	if g.leader < 0 {
		return fmt.Errorf("%s has no known leader, and so can't be moved away from it; wait until it has one", g.label())
	}
	if g.margin() < 0 {
		return fmt.Errorf("%s has no live quorum; bring its other nodes back first", g.label())
	}
	if others == 0 {
		return fmt.Errorf("no other node could keep %s, as none is live and active; add a node first", g.label())
	}
	voters, live := 0, 0
	for i := range g.conf {
		if c := &g.conf[i]; c.voter && c.node != at {
			voters, live = voters+1, live+number(c.live)
			others -= number(c.node >= 0 && v.nodes[c.node].active && v.nodes[c.node].live)
		}
	}
	if others > 0 {
		voters, live = voters+1, live+1
	}
	if live < quorum(voters) {
		return fmt.Errorf("%s would have %d of %d voters live; bring its other nodes back, or add a node, first", g.label(), live, voters)
	}
	return nil
}

func (g *group) label() string {
	if g.id == fsm.Meta {
		return "the meta group"
	}
	return fmt.Sprintf("partition %d", g.id)
}

// Drained tells how many of the groups that a node had when it began to drain it is rid of. They are equal when it has nothing
// left: nothing wants it, and no group that can be seen has it. Both are 0 for a node that does not drain and has nothing.
func Drained(s *State, r Reports, limits Limits, id string) (done, total int) {
	v := newView(s, r, 0, limits)
	at, found := v.index[id]
	if !found {
		return 0, 0
	}
	has, _ := v.remaining()
	total = max(s.Nodes[at].Relieve, has[at])
	return total - has[at], total
}

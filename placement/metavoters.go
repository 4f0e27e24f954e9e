package placement

import (
	"cmp"
	"slices"

	"kahuna/fsm"
)

// metaVoters keeps the meta group's voters live, an odd number of them, and the same as long as they are.
func (p *planner) metaVoters() {
	g := p.meta()
	switch {
	case !g.movable():
	case !g.settled():
		if from, to, ok := p.redirect(g, p.voter); ok {
			p.exchange(SetMetaVoters, g, from, to, whyRedirect)
		}
	case p.replaceVoter(g, dead, "its node is dead"), p.replaceVoter(g, drains, "its node drains"):
	case len(g.wanted) > g.least && p.first(g.wanted, drains) >= 0:
		p.dropVoter(g, drains)
	case len(g.wanted) < g.want:
		if to := p.voter(g, -1); to >= 0 && g.survives(-1, to) {
			p.exchange(SetMetaVoters, g, -1, to, "there are too few voters")
		}
	case len(g.wanted) > g.want:
		p.dropVoter(g, func(*node) bool { return true })
	}
}

func (p *planner) replaceVoter(g *group, is func(*node) bool, why string) bool {
	for _, from := range g.leaderLast() {
		if !is(&p.nodes[from]) {
			continue
		}
		if to := p.voter(g, from); to >= 0 && g.survives(from, to) {
			p.exchange(SetMetaVoters, g, from, to, why)
			return true
		}
	}
	return false
}

// dropVoter gives up a vote of a node that is so: rather of one that drains, or is silent, than of another, and last the leader's.
func (p *planner) dropVoter(g *group, is func(*node) bool) {
	order := g.leaderLast()
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &p.nodes[a], &p.nodes[b]
		return cmp.Or(cmp.Compare(number(x.active), number(y.active)), cmp.Compare(number(x.live), number(y.live)))
	})
	for _, from := range order {
		if is(&p.nodes[from]) && g.survives(from, -1) {
			p.exchange(SetMetaVoters, g, from, -1, "there are too many voters")
			return
		}
	}
}

// voter chooses who gets a vote: a node that follows closely, in a zone with few voters. It is -1 when there is none.
func (p *planner) voter(g *group, from int) int {
	found := -1
	better := func(a, b int) int {
		return cmp.Or(cmp.Compare(number(p.follows(g, b)), number(p.follows(g, a))),
			cmp.Compare(p.sharing(g, from, p.nodes[a].zone), p.sharing(g, from, p.nodes[b].zone)))
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.live && n.active && !g.wants(i) && !p.clashes(g, i, from) && (found < 0 || better(i, found) < 0) {
			found = i
		}
	}
	return found
}

func (p *planner) follows(g *group, n int) bool {
	c := g.peer(n)
	return c != nil && c.live && c.caughtUp
}

// forget makes tombstones of nodes that are leaving and have nothing left. Where it can't be seen what a node has, it is asked for
// its own word.
func (p *planner) forget() {
	var leaving []int
	for i := range p.nodes {
		if p.s.Nodes[i].Status == Leaving {
			leaving = append(leaving, i)
		}
	}
	if len(leaving) == 0 {
		return
	}
	has, unseen := p.remaining()
	for _, n := range leaving {
		if has[n] == 0 && !contains(p.s.MetaVoters, p.nodes[n].id) && (unseen == 0 || p.nodes[n].live && p.nodes[n].reported == 0) {
			p.steps = append(p.steps, Step{Kind: Forget, From: p.nodes[n].id, Why: "it is leaving, and has nothing left"})
		}
	}
}

// remaining counts, for each node, the groups that want it or have it (the meta group only as a voter), and how many groups have
// no known leader, so that it can't be said who has them.
func (v *view) remaining() (has []int, unseen int) {
	has = make([]int, len(v.nodes))
	for i := range v.groups {
		g := &v.groups[i]
		for _, n := range g.wanted {
			has[n]++
		}
		for j := range g.conf {
			if c := &g.conf[j]; c.node >= 0 && !g.wants(c.node) && (c.voter || g.id != fsm.Meta) {
				has[c.node]++
			}
		}
		unseen += number(g.leader < 0)
	}
	return has, unseen
}

package placement

import (
	"cmp"
	"slices"
)

// spread moves replicas from nodes that have more than others by more than the slack. Each move makes the counts more even, so it
// comes to an end.
func (p *planner) spread() {
	if p.budget <= 0 || p.pool.empty() {
		return
	}
	total := 0
	for i := range p.nodes {
		total += p.nodes[i].replicas
	}
	slack := p.slack(total)
	full := p.above(p.nodes[p.pool.zones[0][0]].replicas + slack)
	if len(full) == 0 {
		return
	}
	hosts := p.movableOf(full)
	for _, from := range full {
		for _, led := range []bool{false, true} { // a leader is the last to move
			p.unload(from, hosts[from], led, slack)
		}
	}
}

// above lists the live, active nodes with more replicas than that, the fullest first.
func (p *planner) above(most int) (full []int) {
	for i := range p.nodes {
		if n := &p.nodes[i]; n.live && n.active && n.replicas > most {
			full = append(full, i)
		}
	}
	slices.SortStableFunc(full, func(a, b int) int { return cmp.Compare(p.nodes[b].replicas, p.nodes[a].replicas) })
	return full
}

// movableOf lists, by place, the ranges that some nodes have and that may change.
func (p *planner) movableOf(nodes []int) [][]*group {
	hosts := make([][]*group, len(p.nodes))
	for _, n := range nodes {
		hosts[n] = make([]*group, 0, p.nodes[n].replicas)
	}
	ranges := p.ranges()
	for i := range ranges {
		g := &ranges[i]
		if g.touched || !g.movable() || !g.settled() || p.trouble(g) < hasCrowd {
			continue
		}
		for _, n := range g.wanted {
			if hosts[n] != nil {
				hosts[n] = append(hosts[n], g)
			}
		}
	}
	return hosts
}

// unload moves ranges that a node leads, or does not, from it as long as the counts tell it to.
func (p *planner) unload(from int, ranges []*group, led bool, slack int) {
	for _, g := range ranges {
		if p.budget <= 0 || p.pool.empty() || p.nodes[from].replicas <= p.nodes[p.pool.zones[0][0]].replicas+slack {
			return
		}
		if g.touched || (g.leader == from) != led {
			continue
		}
		if to := p.pool.pickBelow(g, from, p.nodes[from].replicas-slack); to >= 0 && g.survives(from, to) {
			p.move(g, from, to, "its node has more replicas than others")
			p.budget--
		}
	}
}

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
	for moved := true; moved; { // by turns, so that no node falls below those that wait
		moved = false
		for _, from := range full {
			var done bool
			hosts[from], done = p.unload(from, hosts[from], slack)
			moved = moved || done
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

// movableOf lists, by place, the ranges that some nodes have and that may change; those that a node leads come last.
func (p *planner) movableOf(nodes []int) [][]*group {
	hosts, led := make([][]*group, len(p.nodes)), make([][]*group, len(p.nodes))
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
			switch {
			case hosts[n] == nil:
			case n == g.leader:
				led[n] = append(led[n], g)
			default:
				hosts[n] = append(hosts[n], g)
			}
		}
	}
	for _, n := range nodes {
		hosts[n] = append(hosts[n], led[n]...)
	}
	return hosts
}

// unload moves one of some ranges from a node, if the counts tell it to. It gives those that were not looked at.
func (p *planner) unload(from int, ranges []*group, slack int) (rest []*group, moved bool) {
	for i, g := range ranges {
		if p.budget <= 0 || p.pool.empty() || p.nodes[from].replicas <= p.nodes[p.pool.zones[0][0]].replicas+slack {
			return ranges[i:], false
		}
		if g.touched {
			continue
		}
		if to := p.pool.pickBelow(g, from, p.nodes[from].replicas-slack); to >= 0 && g.survives(from, to) {
			p.move(g, from, to, "its node has more replicas than others")
			p.budget--
			return ranges[i+1:], true
		}
	}
	return nil, false
}

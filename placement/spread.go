package placement

import (
	"cmp"
	"slices"
)

// spread moves replicas from nodes that have more than others by more than the slack. Each move makes the weights more even, so it
// comes to an end.
func (p *planner) spread() {
	if !p.mayMove() {
		return
	}
	total := int64(0)
	for i := range p.nodes {
		total += p.nodes[i].weight
	}
	slack := p.slack(total, p.mean.bytes > 0 || p.mean.writes > 0)
	full := p.above(p.nodes[p.pool.zones[0][0]].weight + slack)
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

// mayMove tells whether a change that is no repair may begin: some of the budget is kept for repairs.
func (p *planner) mayMove() bool { return p.budget > p.limits.StepsAtOnce/2 && !p.pool.empty() }

// above lists the live, active nodes that have more than that, the fullest first.
func (p *planner) above(most int64) (full []int) {
	for i := range p.nodes {
		if n := &p.nodes[i]; n.live && n.active && n.weight > most {
			full = append(full, i)
		}
	}
	slices.SortStableFunc(full, func(a, b int) int { return cmp.Compare(p.nodes[b].weight, p.nodes[a].weight) })
	return full
}

// movableOf lists, by place, the ranges that some nodes have and that may change; those that a node leads come last.
func (p *planner) movableOf(nodes []int) [][]*group {
	hosts, led := make([][]*group, len(p.nodes)), make([][]*group, len(p.nodes))
	for _, n := range nodes {
		hosts[n] = []*group{}
	}
	ranges := p.ranges()
	for i := range ranges {
		g := &ranges[i]
		if g.touched || g.resting || !g.movable() || !g.settled() || p.trouble(g) < hasCrowd {
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
func (p *planner) unload(from int, ranges []*group, slack int64) (rest []*group, moved bool) {
	for i, g := range ranges {
		if !p.mayMove() || p.nodes[from].weight <= p.nodes[p.pool.zones[0][0]].weight+slack {
			return ranges[i:], false
		}
		if g.touched {
			continue
		}
		if to := p.pool.pickBelow(g, from, slack); to >= 0 && g.survives(from, to) {
			p.move(g, from, to, "its node has more than others")
			p.budget--
			return ranges[i+1:], true
		}
	}
	return nil, false
}

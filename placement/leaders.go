package placement

import (
	"cmp"
	"slices"
)

// leaders has nodes that drain lead nothing, and the others about as much each: by count, and by load where there is some.
func (p *planner) leaders() {
	room := p.limits.Transfers
	led := make([][]*group, len(p.nodes))
	total, leaderless := int64(0), int64(0)
	for i := range p.groups {
		g := &p.groups[i]
		switch {
		case g.leader >= 0:
			led[g.leader] = append(led[g.leader], g)
			total += g.leading
		case g.margin() >= 0:
			leaderless++
		}
	}
	// Those without a known leader may be anybody's by now: as long as there are some, orders are given only for what is sure.
	slack := p.slack(total, p.mean.ops > 0) + leaderless*unit
	for _, from := range p.byLeads() {
		for _, g := range led[from] {
			if room <= 0 {
				return
			}
			if p.transfer(g, slack) {
				room--
			}
		}
	}
}

// byLeads lists the nodes: those that drain, then those that lead most.
func (p *planner) byLeads() []int {
	order := make([]int, len(p.nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &p.nodes[a], &p.nodes[b]
		return cmp.Or(cmp.Compare(number(x.active), number(y.active)), cmp.Compare(y.leads, x.leads))
	})
	return order
}

// transfer plans that a group's leader hands over, if it should and can.
func (p *planner) transfer(g *group, slack int64) bool {
	from := &p.nodes[g.leader]
	to := p.successor(g)
	if to < 0 {
		return false
	}
	why := "its node drains"
	if from.active {
		if g == p.meta() || g.touched || !g.settled() || !evens(g.leading, from.leads, p.nodes[to].leads, slack) || p.unsure(g, to) {
			return false
		}
		why = "its node leads more than others"
	}
	if g != p.meta() {
		from.leads -= g.leading
		p.nodes[to].leads += g.leading
	}
	p.steps = append(p.steps, Step{Kind: TransferLeader, Range: g.id, From: from.id, To: p.nodes[to].id, Why: why})
	return true
}

// unsure tells whether the loads that a transfer would even out are not known well enough: those of what was handed over lately.
func (p *planner) unsure(g *group, to int) bool {
	return p.mean.ops > 0 && (g.load.Measured < freshFor || p.nodes[to].fresh)
}

// successor is the voter that leads least among those that could take over at once; -1 if there is none.
func (p *planner) successor(g *group) int {
	found := -1
	for i := range g.conf {
		c := &g.conf[i]
		if !c.voter || !c.live || !c.caughtUp || c.node == g.leader || !p.nodes[c.node].active || !g.wants(c.node) {
			continue
		}
		if found < 0 || p.nodes[c.node].leads < p.nodes[found].leads {
			found = c.node
		}
	}
	return found
}

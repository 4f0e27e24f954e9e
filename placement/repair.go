package placement

import (
	"cmp"
	"slices"
)

// What a range's replicas may suffer from, in the order of urgency.
const (
	hasDead = iota
	hasDraining
	hasFew
	hasMany
	hasCrowd
	troubles
)

// repair replaces what is dead or drains, adds what is missing, drops what is too much, and parts what shares a zone. Of what is
// equally urgent, the range that can lose the fewest nodes goes first.
func (p *planner) repair() {
	p.pool = newPool(p.view)
	p.budget = p.limits.StepsAtOnce
	var queues [troubles][]*group
	ranges := p.ranges()
	for i := range ranges {
		g := &ranges[i]
		if g.inFlight() {
			p.budget--
			if from, to, ok := p.redirect(g, p.pool.pick); ok {
				why := whyRedirect
				if g.stuck {
					why = whyStuck
				}
				p.move(g, from, to, why)
			}
		} else if trouble := p.trouble(g); trouble < troubles && g.movable() {
			queues[trouble] = append(queues[trouble], g)
		}
	}
	for trouble, queue := range queues {
		slices.SortStableFunc(queue, func(a, b *group) int { return cmp.Compare(a.margin(), b.margin()) })
		for _, g := range queue {
			if p.budget <= 0 || p.pool.empty() && trouble != hasDraining && trouble != hasMany {
				break
			}
			if p.fix(g, trouble) {
				p.budget--
			}
		}
	}
}

// trouble is the most urgent one of a range; troubles if it has none.
func (p *planner) trouble(g *group) int {
	switch {
	case p.first(g.wanted, dead) >= 0:
		return hasDead
	case p.first(g.wanted, drains) >= 0:
		return hasDraining
	case len(g.wanted) < g.want:
		return hasFew
	case len(g.wanted) > g.want:
		return hasMany
	case p.crowded(g):
		return hasCrowd
	}
	return troubles
}

func dead(n *node) bool   { return n.dead }
func drains(n *node) bool { return !n.active }

// first is the first of some nodes that is so; -1 if none is.
func (p *planner) first(nodes []int, is func(*node) bool) int {
	for _, n := range nodes {
		if is(&p.nodes[n]) {
			return n
		}
	}
	return -1
}

// fix tells whether it planned something.
func (p *planner) fix(g *group, trouble int) bool {
	switch trouble {
	case hasDead:
		return p.replace(g, dead, "its node is dead") || p.relieve(g)
	case hasDraining:
		return p.relieve(g)
	case hasFew:
		if to := p.pool.pick(g, -1); to >= 0 && g.survives(-1, to) {
			p.move(g, -1, to, "there are too few replicas")
			return true
		}
	case hasMany:
		return p.drop(g)
	case hasCrowd:
		return p.part(g)
	}
	return false
}

// replace replaces the first replica that is so and can be.
func (p *planner) replace(g *group, is func(*node) bool, why string) bool {
	for _, from := range g.leaderLast() {
		if !is(&p.nodes[from]) {
			continue
		}
		if to := p.pool.pick(g, from); to >= 0 && g.survives(from, to) {
			p.move(g, from, to, why)
			return true
		}
	}
	return false
}

// relieve takes a replica from a node that drains: to another node, or, when the cluster has no more than the others, to none.
func (p *planner) relieve(g *group) bool {
	if p.replace(g, drains, "its node drains") {
		return true
	}
	for _, from := range g.leaderLast() {
		if drains(&p.nodes[from]) && len(g.wanted) > g.least && g.survives(from, -1) {
			p.move(g, from, -1, "its node drains, and no other can take it over")
			return true
		}
	}
	return false
}

// drop gives up a replica that is too much: one that is silent, shares a zone, or is on a full node.
func (p *planner) drop(g *group) bool {
	order := g.leaderLast()
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &p.nodes[a], &p.nodes[b]
		return cmp.Or(cmp.Compare(number(x.live), number(y.live)), cmp.Compare(number(a == g.leader), number(b == g.leader)),
			cmp.Compare(p.sharing(g, b, y.zone), p.sharing(g, a, x.zone)), cmp.Compare(y.weight, x.weight))
	})
	for _, from := range order {
		if g.survives(from, -1) {
			p.move(g, from, -1, "there are too many replicas")
			return true
		}
	}
	return false
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// crowded tells whether the replicas are in fewer zones than they could be.
func (p *planner) crowded(g *group) bool {
	distinct := 0
	for i, n := range g.wanted {
		alone := true
		for _, other := range g.wanted[:i] {
			alone = alone && p.nodes[n].zone != p.nodes[other].zone
		}
		distinct += number(alone)
	}
	return distinct < min(len(g.wanted), p.open)
}

// part moves a replica that shares its zone to a zone without one.
func (p *planner) part(g *group) bool {
	for _, from := range g.leaderLast() {
		if p.sharing(g, from, p.nodes[from].zone) == 0 {
			continue
		}
		if to := p.pool.pick(g, from); to >= 0 && p.sharing(g, from, p.nodes[to].zone) == 0 && g.survives(from, to) {
			p.move(g, from, to, "two replicas are in one zone")
			return true
		}
	}
	return false
}

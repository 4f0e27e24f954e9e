package placement

const (
	whyRedirect = "the node that is waited for is dead or drains"
	whyStuck    = "the new replica did not catch up in time"
)

// redirect turns a change that is on its way and can't end to another node: back to the one that is being replaced, if that is
// well, or else to one that is picked, or else to any that keeps the quorum; or it gives it up (to is -1), if it was for a node
// that drains or does not get ready, and the others are enough.
func (p *planner) redirect(g *group, pick func(g *group, from int) int) (from, to int, ok bool) {
	if from = p.awaited(g); from < 0 {
		return -1, -1, false
	}
	to = p.outgoing(g, func(n *node) bool { return n.active })
	if to < 0 {
		to = pick(g, from)
	}
	if to < 0 && (g.stuck || drains(&p.nodes[from])) && len(g.wanted) > g.least && g.survives(from, -1) {
		return from, -1, true
	}
	if to < 0 {
		to = p.outgoing(g, func(*node) bool { return true })
	}
	return from, to, to >= 0 && g.survives(from, to)
}

// awaited is the node that a change waits for in vain, -1 if there is none: one that was to get a replica and is dead or to go;
// or, when all have theirs and only the removal of others is left, a dead one without which these can't be spared.
func (p *planner) awaited(g *group) int {
	filling := false
	for _, n := range g.wanted {
		if g.votes(n) {
			continue
		}
		if filling = true; dead(&p.nodes[n]) || drains(&p.nodes[n]) || g.stuck && n == g.filled {
			return n
		}
	}
	if filling || g.survives(-1, -1) {
		return -1
	}
	return p.first(g.wanted, dead)
}

// outgoing is a live voter that is not wanted; -1 if there is none.
func (p *planner) outgoing(g *group, ok func(*node) bool) int {
	for i := range g.conf {
		if c := &g.conf[i]; c.voter && c.live && !g.wants(c.node) && ok(&p.nodes[c.node]) {
			return c.node
		}
	}
	return -1
}

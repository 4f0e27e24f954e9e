package placement

// follow looks at the steps in flight: it ends changes of replicas whose groups have come to what is wanted, finds those that do not
// come to it, and takes back splits and merges that take too long or are in the way of a repair.
func (p *planner) follow() {
	if len(p.s.Changes) == 0 {
		return
	}
	places := p.s.places()
	for i := range p.s.Changes {
		c := &p.s.Changes[i]
		g := &p.groups[places[c.Range]]
		if c.Kind == SetReplicas {
			p.followMove(c, g)
			continue
		}
		p.changing++
		ill := p.ill(g)
		g.busy, g.touched = true, true
		if c.Kind == Merge {
			right := &p.groups[places[c.Other]]
			ill = ill || p.ill(right)
			right.busy, right.touched = true, true
		}
		switch late := c.Began > 0 && p.now > c.Began.Add(p.limits.ChangeWithin.Milliseconds()); {
		case c.Cancel:
		case ill:
			p.steps = append(p.steps, Step{Kind: Cancel, Range: c.Range, Why: "a replica has to be replaced first"})
		case late:
			p.steps = append(p.steps, Step{Kind: Cancel, Range: c.Range, Why: "it takes too long"})
		}
	}
}

// ill tells whether a range has a replica on a node that is dead or to go.
func (p *planner) ill(g *group) bool {
	return p.first(g.wanted, dead) >= 0 || p.first(g.wanted, drains) >= 0
}

func (p *planner) followMove(c *Change, g *group) {
	if g.leader < 0 {
		return
	}
	if g.settled() {
		step := Step{Kind: Settle, Range: c.Range, Why: "its replicas are where they are to be"}
		if c.From != "" && c.To != "" {
			step.Until = p.now.Add(p.limits.RestFor.Milliseconds())
		}
		p.steps = append(p.steps, step)
		return
	}
	within := p.limits.FillWithin.Milliseconds() + 4*1000*g.bytes()/max(1, p.limits.CopyBytesPerSec)
	if g.filled = p.place(c.To); c.Began > 0 && p.now > c.Began.Add(within) && g.filled >= 0 && !g.votes(g.filled) {
		g.stuck = true
	}
}

package placement

// follow looks at the steps in flight: it ends changes of replicas whose groups have come to what is wanted, and takes back splits
// and merges that are in the way of a repair.
func (p *planner) follow() {
	if len(p.s.Changes) == 0 {
		return
	}
	places := p.s.places()
	for i := range p.s.Changes {
		c := &p.s.Changes[i]
		g := &p.groups[places[c.Range]]
		if c.Kind == SetReplicas {
			if g.leader >= 0 && g.settled() {
				p.steps = append(p.steps, Step{Kind: Settle, Range: c.Range, Why: "its replicas are where they are to be"})
			}
			continue
		}
		ill := p.ill(g)
		g.busy, g.touched = true, true
		if c.Kind == Merge {
			right := &p.groups[places[c.Other]]
			ill = ill || p.ill(right)
			right.busy, right.touched = true, true
		}
		if ill && !c.Cancel {
			p.steps = append(p.steps, Step{Kind: Cancel, Range: c.Range, Why: "a replica has to be replaced first"})
		}
	}
}

// ill tells whether a range has a replica on a node that is dead or to go.
func (p *planner) ill(g *group) bool {
	return p.first(g.wanted, dead) >= 0 || p.first(g.wanted, drains) >= 0
}

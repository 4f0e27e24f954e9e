package placement

import (
	"slices"

	"kahuna/op"
)

// Plan tells what is to be done now, most urgent first. The caller makes the edits with Apply in one compare-and-set, sends the
// orders, and asks again when it has newer reports; asked again with the same ones it says the same. It holds that
//
//   - no edit leaves a group without a live quorum, or gives a replica to a node that is not live and active;
//   - no more than limits.StepsAtOnce ranges are in flight, and one voter of the meta group;
//   - a group is changed only by one replica at a time, and only while it has a leader and a live quorum;
//   - a live replica on an active node moves only when that parts zones, brings neighbours together that are to be merged, or evens out
//     weights (counts, sizes, loads) that differ by more than the slack, and a range that has changed rests. So it comes to an end;
//   - what is merged is far from being split, and the other way round. So nothing flaps.
//
// Its time is linear in the replicas, but for what each step costs, which is linear in the nodes.
//
// now is the time of the cluster's clock.
func Plan(s *State, r Reports, now op.Timestamp, limits Limits) []Step {
	p := planner{view: newView(s, r, now, limits), now: now}
	p.follow()
	p.metaVoters()
	p.forget()
	p.repair()
	p.split()
	p.merge()
	p.spread()
	p.leaders()
	return p.steps
}

type planner struct {
	*view
	now      op.Timestamp
	steps    []Step
	budget   int // ranges that may still begin to change
	changing int // splits and merges in flight
	pool     pool
}

// exchange plans the edit that a replica, or a vote in the meta group, goes from one node to another; -1 for none.
func (p *planner) exchange(kind StepKind, g *group, from, to int, why string) {
	step := Step{Kind: kind, Range: g.id, From: p.name(from), To: p.name(to), Why: why}
	if why == whyStuck {
		step.Until = p.now.Add(p.limits.AvoidFor.Milliseconds())
	}
	p.steps = append(p.steps, step)
	g.touched = true
	next := make([]int, 0, len(g.wanted)+1)
	for _, n := range g.wanted {
		if n != from {
			next = append(next, n)
		}
	}
	if to >= 0 {
		next = append(next, to)
	}
	g.wanted = next
}

// move is an exchange for a range.
func (p *planner) move(g *group, from, to int, why string) {
	p.exchange(SetReplicas, g, from, to, why)
	if from >= 0 {
		p.nodes[from].weight -= g.weight
		p.pool.update(from)
	}
	if to >= 0 {
		p.nodes[to].weight += g.weight
		p.nodes[to].fills++
		p.nodes[to].filling += g.bytes()
		p.pool.copying += g.bytes()
		p.pool.update(to)
	}
}

func (p *planner) name(n int) string {
	if n < 0 {
		return ""
	}
	return p.nodes[n].id
}

// leaderLast lists the wanted replicas with the leader at the end: it is the last to be moved.
func (g *group) leaderLast() []int {
	order := slices.DeleteFunc(slices.Clone(g.wanted), func(n int) bool { return n == g.leader })
	if len(order) < len(g.wanted) {
		order = append(order, g.leader)
	}
	return order
}

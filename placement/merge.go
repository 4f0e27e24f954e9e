package placement

import "slices"

// merge merges neighbours that have been small and cold for long, as far as to the floor. The right one's replicas come to the left one's
// nodes first, one by one; once there they stay, also when that made them wait anew, or the two would never meet.
func (p *planner) merge() {
	if p.limits.MergeAfter <= 0 {
		return
	}
	live := p.count(func(n *node) bool { return n.live && n.active })
	over := len(p.ranges()) - max(p.s.Floor, live) - p.changing
	room := p.limits.SplitsAtOnce - p.changing
	for i := 0; i+1 < len(p.ranges()) && over > 0 && room > 0; i++ {
		if p.small(i) && p.small(i+1) && p.smallTogether(i) && p.join(i) {
			over--
			room--
			i++ // the right one is no other's left one
		}
	}
}

// small tells whether a range may be merged with a neighbour once it has been like this for long.
func (p *planner) small(i int) bool {
	g := &p.groups[i]
	return !g.touched && g.load != nil && g.load.Measured > 0 && little(g.load.Bytes, p.limits.SplitBytes) &&
		little(g.load.OpsPerSec, p.limits.SplitLoad) && g.movable() && p.trouble(g) == troubles
}

func (p *planner) cold(i int) bool { return p.groups[i].load.Measured >= p.limits.MergeAfter }

// little tells whether something is far below the limit from which a range is split; 0: there is none.
func little(what, limit uint64) bool { return limit == 0 || what*mergeBelow <= limit }

func (p *planner) smallTogether(i int) bool {
	a, b := p.groups[i].load, p.groups[i+1].load
	return little(a.Bytes+b.Bytes, p.limits.SplitBytes) && little(a.OpsPerSec+b.OpsPerSec, p.limits.SplitLoad) &&
		p.s.Ranges[i].Replication == p.s.Ranges[i+1].Replication
}

// join merges two neighbours, or brings the right one's replicas closer to that, or keeps them together until it can be. It is false when
// nothing can be done for it now.
func (p *planner) join(i int) bool {
	left, right := &p.groups[i], &p.groups[i+1]
	cold := p.cold(i) && p.cold(i+1)
	switch {
	case !left.settled():
		return false
	case !slices.Equal(p.s.Ranges[i].Replicas, p.s.Ranges[i+1].Replicas):
		if right.settled() && !(cold && p.approach(left, right)) {
			return false
		}
	case right.settled() && cold && !left.resting:
		p.steps = append(p.steps, Step{Kind: Merge, Range: left.id, Other: right.id, Why: "both are small and have little to do"})
		left.busy, right.busy = true, true
		p.changing++
	}
	left.touched, right.touched = true, true
	return true
}

// approach moves a replica of the right one to a node of the left one.
func (p *planner) approach(left, right *group) bool {
	from := among(right.leaderLast(), func(n int) bool { return !left.wants(n) })
	to := among(left.wanted, func(n int) bool { return !right.wants(n) })
	if from < 0 || to < 0 || !p.mayMove() || !p.pool.takes(&p.nodes[to]) || !p.pool.room(right) || slices.Contains(right.avoid, to) ||
		p.clashes(right, to, from) || !right.survives(from, to) {
		return false
	}
	p.move(right, from, to, "it is to be merged with its neighbour")
	p.budget--
	return true
}

// among gives the first of some nodes that is so; -1 if none is.
func among(nodes []int, is func(int) bool) int {
	if i := slices.IndexFunc(nodes, is); i >= 0 {
		return nodes[i]
	}
	return -1
}

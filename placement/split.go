package placement

import (
	"cmp"
	"slices"

	"kahuna/fsm"
	"kahuna/op"
)

// split splits ranges whose load has lasted, where that halves it, and large ones, where that halves them: first those that are the most
// too much. Where the leader has found no point that halves the load, as when all is asked of one name, no split would help, and none is made.
func (p *planner) split() {
	room := p.limits.SplitsAtOnce - p.changing
	if room <= 0 {
		return
	}
	var found []excess
	for i := range p.ranges() {
		if e, ok := p.excess(i); ok {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b excess) int { return cmp.Compare(b.pct, a.pct) })
	for _, e := range found[:min(room, len(found), MaxChanges-len(p.s.Changes))] {
		p.steps = append(p.steps, Step{Kind: Split, Range: e.g.id, At: e.at, Why: e.why})
		e.g.touched, e.g.busy = true, true
		p.changing++
	}
}

// excess is by how much a range is too large or has too much to do.
type excess struct {
	g   *group
	at  op.Position
	pct uint64 // of the limit
	why string
}

func (p *planner) excess(i int) (e excess, ok bool) {
	g, r := &p.groups[i], &p.s.Ranges[i]
	if g.load == nil || g.load.Measured == 0 || g.touched || g.resting || !g.settled() || !g.movable() || p.trouble(g) < hasFew {
		return e, false
	}
	l := p.limits
	if l.SplitBytes > 0 && g.load.Bytes >= l.SplitBytes && inside(r, g.load.HalfSize) {
		return excess{g, g.load.HalfSize, g.load.Bytes * 100 / l.SplitBytes, "it is large"}, true
	}
	if l.SplitLoad > 0 && g.load.OpsPerSec >= l.SplitLoad && g.load.Measured >= l.SplitAfter && inside(r, g.load.HalfLoad) && p.worthSplitting() {
		return excess{g, g.load.HalfLoad, g.load.OpsPerSec * 100 / l.SplitLoad, "it has much to do"}, true
	}
	return e, false
}

// worthSplitting tells whether a split can spread load: there is another node to take some of it, and not many ranges already, of which
// the leaderships could as well be handed over.
func (p *planner) worthSplitting() bool {
	takers := p.count(func(n *node) bool { return n.live && n.active })
	return takers > 1 && len(p.ranges())+p.changing < takers*p.limits.RangesPerNode
}

func inside(r *Range, at op.Position) bool {
	return fsm.Compare(at, r.From) > 0 && (fsm.IsEnd(r.To) || fsm.Compare(at, r.To) < 0)
}

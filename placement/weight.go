package placement

import (
	"time"

	"kahuna/op"
)

// What a node has is weighed: each replica counts as one, and as much more as it is larger and written more than the average one; each
// leadership as one, and as much more as it is asked more. So where all are alike the counts are made even, and where they are not, what
// they cost. Sizes and loads that are small altogether do not count: they would only move replicas to and fro.
const (
	unit = 1000 // the weight of one
	// meanBytes and meanOps are what an average range has to have for its bytes and its load to count.
	meanBytes = 4 << 20
	meanOps   = 20
	// freshFor is how long a leader measures before the load that it tells can be compared with others'.
	freshFor = 10 * time.Second
)

// mean is what an average range with a leader has; 0 where it is too little to count.
type mean struct{ bytes, ops, writes uint64 }

func newMean(groups []group) (m mean) {
	led := uint64(0)
	for i := range groups {
		if l := groups[i].load; l != nil {
			led++
			m.bytes, m.ops, m.writes = m.bytes+l.Bytes, m.ops+l.OpsPerSec, m.writes+l.WritesPerSec
		}
	}
	if led == 0 {
		return mean{}
	}
	m = mean{m.bytes / led, m.ops / led, m.writes / led}
	if m.bytes < meanBytes {
		m.bytes = 0
	}
	if m.ops < meanOps {
		m.ops = 0
	}
	if m.writes < meanOps {
		m.writes = 0
	}
	return m
}

// share is what something adds to a weight. One that is a thousand times the average counts no more than that.
func share(what, mean uint64) int64 {
	if mean == 0 {
		return 0
	}
	return int64(min(what/mean*unit+what%mean*unit/mean, 1000*unit))
}

// weigh weighs the groups, and what nodes have. The meta group costs next to nothing.
func (v *view) weigh() {
	v.mean = newMean(v.ranges())
	for i := range v.ranges() {
		g := &v.groups[i]
		g.weight, g.leading = unit, unit
		if g.load != nil {
			g.weight += share(g.load.Bytes, v.mean.bytes) + share(g.load.WritesPerSec, v.mean.writes)
			g.leading += share(g.load.OpsPerSec, v.mean.ops)
		}
		for _, n := range g.wanted {
			node := &v.nodes[n]
			node.weight += g.weight
			if len(g.conf) > 0 && !g.votes(n) {
				node.fills++
				node.filling += g.bytes()
			}
		}
		if g.leader >= 0 {
			node := &v.nodes[g.leader]
			node.leads += g.leading
			node.fresh = node.fresh || v.mean.ops > 0 && g.load.Measured < freshFor
		}
	}
}

// cool takes over the cooldowns that still last.
func (v *view) cool(now op.Timestamp) {
	if len(v.s.Cooldowns) == 0 {
		return
	}
	places := v.s.places()
	for i := range v.s.Cooldowns {
		c := &v.s.Cooldowns[i]
		at, there := places[c.Range]
		switch {
		case !there || c.Until <= now:
		case c.Node == "":
			v.groups[at].resting = true
		default:
			v.groups[at].avoid = append(v.groups[at].avoid, v.place(c.Node))
		}
	}
}

// slack is by how much two nodes may differ when all have total together: at least by one, and by more when loads or sizes, which are
// never still, are a part of it.
func (v *view) slack(total int64, measured bool) int64 {
	takers := max(1, v.count(func(n *node) bool { return n.active && n.live }))
	pct := int64(v.limits.SlackPct)
	if measured {
		pct += measuredSlackPct
	}
	return max(unit, total/int64(takers)*pct/100)
}

const measuredSlackPct = 10

// evens tells whether something of a weight, taken from a node that has more to one that has less, brings them closer together.
func evens(weight, more, less, slack int64) bool {
	return more-less > slack && 2*weight <= more-less+unit
}

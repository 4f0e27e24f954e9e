package placement

import (
	"cmp"
	"slices"
)

// pool is the nodes that may take a replica, by zone: live, active, with room on their disks, and not receiving too many or too much. In
// a zone the emptiest comes first, and so do the zones.
type pool struct {
	v       *view
	zones   [][]int
	lowest  func(a, b int) int
	copying int64 // bytes of all replicas that are being filled
}

func newPool(v *view) pool {
	p := pool{v: v, zones: make([][]int, v.zones)}
	p.lowest = func(a, b int) int {
		x, y := &v.nodes[a], &v.nodes[b]
		return cmp.Or(cmp.Compare(x.weight, y.weight), cmp.Compare(a, b))
	}
	for i := range v.nodes {
		n := &v.nodes[i]
		p.copying += n.filling
		if p.takes(n) {
			p.zones[n.zone] = append(p.zones[n.zone], i)
		}
	}
	for _, zone := range p.zones {
		slices.SortFunc(zone, p.lowest)
	}
	p.order()
	return p
}

func (p *pool) takes(n *node) bool {
	return n.active && n.live && !n.full && n.fills < p.v.limits.FillsAtOnce && n.filling < p.window()
}

// window is how many bytes may be on their way at once. One replica may always be.
func (p *pool) window() int64 { return max(1, p.v.limits.CopyBytesPerSec*copyWindow) }

// room tells whether one more copy of a range may begin.
func (p *pool) room(g *group) bool { return p.copying == 0 || p.copying+g.bytes() <= p.window() }

// order drops empty zones and sorts the others by their emptiest nodes.
func (p *pool) order() {
	p.zones = slices.DeleteFunc(p.zones, func(zone []int) bool { return len(zone) == 0 })
	slices.SortFunc(p.zones, func(a, b []int) int { return p.lowest(a[0], b[0]) })
}

func (p *pool) empty() bool { return len(p.zones) == 0 }

// update follows a change of what a node has.
func (p *pool) update(n int) {
	for i, zone := range p.zones {
		if p.v.nodes[zone[0]].zone != p.v.nodes[n].zone {
			continue
		}
		if !p.takes(&p.v.nodes[n]) {
			zone = slices.DeleteFunc(zone, func(m int) bool { return m == n })
		}
		slices.SortFunc(zone, p.lowest)
		p.zones[i] = zone
	}
	p.order()
}

// pick chooses who takes a replica of a range from a node (-1: one more): in a zone with as few of the others as possible, the
// emptiest. It is -1 when there is none.
func (p *pool) pick(g *group, from int) int {
	found, least := -1, 0
	if !p.room(g) {
		return -1
	}
	for _, zone := range p.zones {
		shared := p.v.sharing(g, from, p.v.nodes[zone[0]].zone)
		if found >= 0 && shared >= least {
			continue
		}
		if n := p.in(zone, g, from); n >= 0 {
			found, least = n, shared
		}
		if found >= 0 && least == 0 {
			break
		}
	}
	return found
}

// pickBelow chooses the emptiest node that takes a replica from a node, so that the two have more alike, without sharing its zone
// with more than that does. It is -1 when there is none. What it looks at before is what has the range already.
func (p *pool) pickBelow(g *group, from int, slack int64) int {
	allowed := p.v.sharing(g, from, p.v.nodes[from].zone)
	found := -1
	if !p.room(g) {
		return -1
	}
	evens := func(to int) bool { return evens(g.weight, p.v.nodes[from].weight, p.v.nodes[to].weight, slack) }
	for _, zone := range p.zones {
		if !evens(zone[0]) {
			break
		}
		if p.v.sharing(g, from, p.v.nodes[zone[0]].zone) > allowed {
			continue
		}
		if n := p.in(zone, g, from); n >= 0 && evens(n) && (found < 0 || p.lowest(n, found) < 0) {
			found = n
		}
	}
	return found
}

// in is the emptiest node of a zone that may take it.
func (p *pool) in(zone []int, g *group, from int) int {
	for _, n := range zone {
		if !g.wants(n) && g.peer(n) == nil && !slices.Contains(g.avoid, n) && !p.v.clashes(g, n, from) {
			return n
		}
	}
	return -1
}

// clashes tells whether a node has the address of one that is wanted, apart from one: Raft refuses two members with one address.
func (v *view) clashes(g *group, n, without int) bool {
	for _, m := range g.wanted {
		if m != without && v.nodes[m].addr == v.nodes[n].addr {
			return true
		}
	}
	return false
}

// sharing counts the wanted replicas of a range in a zone, apart from one.
func (v *view) sharing(g *group, without, zone int) (n int) {
	for _, m := range g.wanted {
		if m != without && v.nodes[m].zone == zone {
			n++
		}
	}
	return n
}

package cluster

import (
	"slices"
	"sort"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/storage"
)

// sizesInterval is how often it is found out how large the partitions are. It costs a look at the list of tables, and reads none.
const sizesInterval = 10 * time.Second

// sized is about how large a partition is.
type sized struct {
	from, to op.Position
	bytes    int64       // in tables: what is only in memory is not counted
	half     op.Position // about half of it is below; the zero Position: it is small, or no such point is known
}

// watchSizes keeps count of the partitions' sizes until the node stops.
func (n *Node) watchSizes() {
	tick := time.NewTicker(sizesInterval)
	defer tick.Stop()
	for {
		n.takeSizes()
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
	}
}

// takeSizes finds out how large the partitions are that this node leads.
func (n *Node) takeSizes() {
	spans, err := n.store.Spans()
	if err != nil {
		return // the store has told of it
	}
	used := uint64(n.log.Stats().DiskBytes)
	for i := range spans {
		used += uint64(spans[i].Bytes)
	}
	n.used.Store(used)
	var ids []uint32
	var all []sized
	for _, r := range n.Replicas() {
		if s := r.Machine().State(); r.ID() != fsm.Meta && r.Leads() {
			ids, all = append(ids, r.ID()), append(all, sized{from: s.From, to: s.To})
		}
	}
	measureSizes(spans, all, int64(n.limits().SplitBytes))
	sizes := make(map[uint32]sized, len(all))
	for i, id := range ids {
		sizes[id] = all[i]
	}
	n.sizes.Store(&sizes)
}

// sizeOf is what is known of a partition's size, with the range that it has now.
func (n *Node) sizeOf(id uint32, s *fsm.State) (size sized, known bool) {
	if all := n.sizes.Load(); all != nil {
		size, known = (*all)[id]
	}
	return size, known && fsm.Compare(size.from, s.From) == 0 && fsm.Compare(size.to, s.To) == 0
}

// measureSizes fills in how large ranges are, and where those that are large have their middle.
func measureSizes(spans []storage.Span, all []sized, large int64) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return fsm.Compare(all[a].from, all[b].from) })
	for i := range spans {
		first, last := spans[i].Slots()
		// The first range that does not end before the span.
		at := sort.Search(len(order), func(j int) bool { return fsm.IsEnd(all[order[j]].to) || all[order[j]].to.Slot >= first })
		for ; at < len(order) && all[order[at]].from.Slot <= last; at++ {
			r := &all[order[at]]
			r.bytes += spans[i].Share(r.from, r.to)
		}
	}
	for i := range all {
		if r := &all[i]; large > 0 && r.bytes >= large {
			r.half = middle(spans, r)
		}
	}
}

// middle is where a range has about half of its bytes below: between slots if that is possible, else at the first name of a table.
func middle(spans []storage.Span, r *sized) op.Position {
	var own []storage.Span
	for i := range spans {
		if spans[i].Share(r.from, r.to) > 0 {
			own = append(own, spans[i])
		}
	}
	below := func(at op.Position) (sum int64) {
		for i := range own {
			sum += own[i].Share(r.from, at)
		}
		return sum
	}
	fair := func(at op.Position) bool { b := below(at); return 4*b >= r.bytes && 4*b <= 3*r.bytes }
	first, end := int(r.from.Slot)+1, int(r.to.Slot)
	if fsm.IsEnd(r.to) {
		end = op.Slots - 1
	} else if len(r.to.Name) == 0 {
		end--
	}
	if first <= end {
		slot := first + sort.Search(end-first, func(i int) bool { return 2*below(op.Position{Slot: uint16(first + i)}) >= r.bytes })
		if at := (op.Position{Slot: uint16(slot)}); fair(at) {
			return at
		}
	}
	return middleTable(own, r, below, fair)
}

// middleTable is the first name of the table that has about half of a range's bytes below; the zero Position if there is none.
func middleTable(own []storage.Span, r *sized, below func(op.Position) int64, fair func(op.Position) bool) op.Position {
	var names []op.Position
	for i := range own {
		if storage.Kind(own[i].First[0]) != storage.KindCurrent {
			continue
		}
		name, err := storage.ParseCurrent(own[i].First)
		at := op.Position{Slot: name.Slot(), Name: name.Key}
		if err == nil && fsm.Compare(at, r.from) > 0 && (fsm.IsEnd(r.to) || fsm.Compare(at, r.to) < 0) {
			names = append(names, at)
		}
	}
	slices.SortFunc(names, fsm.Compare)
	at := sort.Search(len(names), func(i int) bool { return 2*below(names[i]) >= r.bytes })
	for _, i := range []int{at, at - 1} {
		if i >= 0 && i < len(names) && fair(names[i]) {
			return names[i]
		}
	}
	return op.Position{}
}

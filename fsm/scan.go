package fsm

import (
	"bytes"
	"container/heap"

	"kahuna/glob"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// scanSeenMax is how many names one call looks at, whatever it finds, so that a pattern that hits nothing is no long wait.
const scanSeenMax = 10_000

// scan lists names in the order of slots. Next is the position of the first one that was not looked at.
func scan(v *mvcc.At, o *op.Scan) (res op.Result, err error) {
	size, seen, limit := 0, 0, max(int(o.Limit), 1)
	err = v.Scan(o.Space, o.From, o.To, func(n op.Name, r mvcc.Record) (bool, error) {
		if seen++; len(res.Items) >= limit || seen > scanSeenMax || o.MaxBytes > 0 && size >= int(o.MaxBytes) {
			res.Next = &op.Position{Slot: n.Slot(), Name: clip(n.Key)}
			return false, nil
		}
		if wanted(o, n.Key) {
			it := item(o, n.Key, r)
			size += len(it.Key) + len(it.Value)
			res.Items = append(res.Items, it)
		}
		return true, nil
	})
	res.Done = true
	return res, err
}

func wanted(o *op.Scan, key []byte) bool {
	return bytes.HasPrefix(key, o.Prefix) && (len(o.Match) == 0 || glob.Match(o.Match, key))
}

func item(o *op.Scan, key []byte, r mvcc.Record) op.Item {
	it := op.Item{Key: clip(key), Rev: r.Rev, TS: r.TS, ExpireAt: r.ExpireAt, Type: ItemType(r.Type)}
	if o.Values {
		it.Value = clip(r.Value)
	}
	return it
}

// scanByName lists the first names of all slots of the range in the order of names. The store orders by slot first, so it goes
// from slot to slot, in each straight to the first name of interest, and keeps the smallest ones.
func scanByName(v *mvcc.At, o *op.Scan) (op.Result, error) {
	page := &page{limit: max(int(o.Limit), 1), bytesMax: int(o.MaxBytes)}
	lo, hi := storage.Bounds(storage.KindCurrent, o.Space, o.From, o.To)
	start := o.Start
	if bytes.Compare(o.Prefix, start) > 0 {
		start = o.Prefix
	}
	skip := func(n op.Name) (to []byte) {
		switch {
		case bytes.Compare(n.Key, start) < 0:
			to, _ = storage.Bounds(storage.KindCurrent, o.Space, op.Position{Slot: n.Slot(), Name: start}, op.Position{})
		case len(o.End) > 0 && bytes.Compare(n.Key, o.End) >= 0 || !bytes.HasPrefix(n.Key, o.Prefix) || page.past(n.Key):
			to = afterSlot(o.Space, n.Slot())
		}
		return to
	}
	err := v.WalkKeys(lo, hi, skip, func(n op.Name, r mvcc.Record) (bool, error) {
		if !(o.After && bytes.Equal(n.Key, o.Start)) && (len(o.Match) == 0 || glob.Match(o.Match, n.Key)) {
			page.add(item(o, n.Key, r))
		}
		return true, nil
	})
	if err != nil {
		return op.Result{}, err
	}
	return page.result(), nil
}

// nextSlot finds the first slot at or after a position that has any name in the range.
func nextSlot(r mvcc.Reader, o *op.Scan, from op.Position) (pos op.Position, ok bool, err error) {
	lo, hi := storage.Bounds(storage.KindCurrent, o.Space, from, o.To)
	err = r.Scan(lo, hi, false, true, func(key, _ []byte) (bool, error) {
		n, err := storage.ParseCurrent(key)
		if err != nil {
			return false, err
		}
		if pos, ok = (op.Position{Slot: n.Slot()}), true; pos.Slot == from.Slot {
			pos.Name = from.Name
		}
		return false, nil
	})
	return pos, ok, err
}

// slotEnd is where a slot ends, or the range if that is first.
func slotEnd(slot uint16, to op.Position) op.Position {
	end := op.Position{Slot: slot + 1}
	if slot == op.Slots-1 {
		end = op.Position{}
	}
	if !IsEnd(to) && (IsEnd(end) || Compare(to, end) < 0) {
		return to
	}
	return end
}

// afterSlot is the first stored key behind a slot of a space.
func afterSlot(sp op.Space, slot uint16) []byte {
	_, hi := storage.Bounds(storage.KindCurrent, sp, op.Position{}, slotEnd(slot, op.Position{}))
	return hi
}

// page keeps the smallest names, as many as it takes: a heap with the largest on top.
type page struct {
	items    []op.Item
	size     int // bytes of keys and values
	limit    int // items, at least 1
	bytesMax int // 0: no bound
	more     bool
}

func (p *page) Len() int           { return len(p.items) }
func (p *page) Less(i, j int) bool { return bytes.Compare(p.items[i].Key, p.items[j].Key) > 0 }
func (p *page) Swap(i, j int)      { p.items[i], p.items[j] = p.items[j], p.items[i] }
func (p *page) Push(x any)         { p.items = append(p.items, x.(op.Item)) }
func (p *page) Pop() any {
	last := p.items[len(p.items)-1]
	p.items = p.items[:len(p.items)-1]
	return last
}

func itemBytes(it *op.Item) int { return len(it.Key) + len(it.Value) }

// past tells whether a name comes after a page that is full.
func (p *page) past(key []byte) bool { return p.more && bytes.Compare(key, p.items[0].Key) > 0 }

// add puts a name in and drops the largest ones as long as the rest is a full page.
func (p *page) add(it op.Item) {
	heap.Push(p, it)
	p.size += itemBytes(&it)
	for len(p.items) > 1 && p.full(len(p.items)-1, p.size-itemBytes(&p.items[0])) {
		dropped := heap.Pop(p).(op.Item)
		p.size -= itemBytes(&dropped)
		p.more = true
	}
}

func (p *page) full(items, bytes int) bool {
	return items >= p.limit || p.bytesMax > 0 && bytes >= p.bytesMax
}

// result is the page in order. Next is set when there is more: its Name is the last one of the page.
func (p *page) result() op.Result {
	sorted := make([]op.Item, len(p.items))
	for i := len(sorted) - 1; i >= 0; i-- {
		sorted[i] = heap.Pop(p).(op.Item)
	}
	res := op.Result{Done: true, Items: sorted}
	if p.more {
		res.Next = &op.Position{Name: sorted[len(sorted)-1].Key}
	}
	return res
}

// count counts live names.
func count(v *mvcc.At, o *op.Count) (res op.Result, err error) {
	err = v.Scan(o.Space, o.From, o.To, func(op.Name, mvcc.Record) (bool, error) {
		res.Int++
		return true, nil
	})
	return res, err
}

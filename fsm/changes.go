package fsm

import (
	"bytes"
	"cmp"
	"slices"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// changeRowsMax is how many names one call looks at, so that a prefix with many names and few changes is no long wait. Going to a slot
// counts as slotRows of them.
const (
	changeRowsMax = 100_000
	slotRows      = 4
)

// changes lists what happened to the names of a range. The store orders by slot and name and not by time, so it goes through all names
// with the prefix, and for those that have changed into their history.
func changes(r mvcc.Reader, at op.Timestamp, o *op.Changes) (op.Result, error) {
	l := newLister(r, at, o)
	names := &op.Scan{Space: o.Space, To: o.To}
	pos, ok, err := nextSlot(r, names, o.From)
	for ok && err == nil && l.next == nil {
		if err = l.slot(pos); err != nil || pos.Slot == op.Slots-1 {
			break
		}
		pos, ok, err = nextSlot(r, names, op.Position{Slot: pos.Slot + 1})
	}
	if err != nil {
		return op.Result{}, err
	}
	return l.result()
}

// ReadChanges is Read for who knows which names may have changed: it looks at no others.
func (m *Machine) ReadChanges(r mvcc.Reader, at op.Timestamp, o *op.Changes, names []op.Name) (op.Result, error) {
	switch {
	case !m.owns(m.state.Load(), o):
		return op.Result{Status: op.Moved}, nil
	case m.collected(at, o):
		return op.Result{Status: op.Collected}, nil
	}
	l := newLister(r, at, o)
	for _, n := range names {
		if p := (op.Position{Slot: n.Slot(), Name: n.Key}); Compare(p, o.From) < 0 || !IsEnd(o.To) && Compare(p, o.To) >= 0 {
			continue
		}
		if err := l.name(n); err != nil {
			return outcome(op.Result{}, err)
		}
	}
	return outcome(l.result())
}

func newLister(r mvcc.Reader, at op.Timestamp, o *op.Changes) *lister {
	upTo := at
	if o.UpTo > 0 {
		upTo = min(at, o.UpTo)
	}
	return &lister{r: r, o: o, page: NewOldest(int(o.Limit), int(o.MaxBytes), upTo, measure, order), w: mvcc.Window{Since: o.Since, UpTo: upTo}}
}

// lister is a call of changes under way.
type lister struct {
	r    mvcc.Reader
	o    *op.Changes
	page *Oldest[mvcc.Version]
	w    mvcc.Window
	rows int
	next *op.Position // where the call has ended before the range has
}

// slot goes through the names of one slot from a position on.
func (l *lister) slot(at op.Position) error {
	if l.rows += slotRows; l.rows > changeRowsMax {
		l.next = &at
		return nil
	}
	start := at.Name
	if bytes.Compare(l.o.Prefix, start) > 0 {
		start = l.o.Prefix
	}
	lo, _ := storage.Bounds(storage.KindCurrent, l.o.Space, op.Position{Slot: at.Slot, Name: start}, op.Position{})
	_, hi := storage.Bounds(storage.KindCurrent, l.o.Space, op.Position{}, slotEnd(at.Slot, l.o.To))
	return mvcc.Changes(l.r, lo, hi, &l.w, l.stop, l.add)
}

// name looks at one name.
func (l *lister) name(n op.Name) error {
	at := op.Position{Slot: n.Slot(), Name: n.Key}
	next := op.Position{Slot: at.Slot, Name: append(bytes.Clone(n.Key), 0)}
	lo, hi := storage.Bounds(storage.KindCurrent, l.o.Space, at, next)
	return mvcc.Changes(l.r, lo, hi, &l.w, func(op.Name) bool { return false }, l.add)
}

func (l *lister) add(v mvcc.Version) error {
	l.rows++
	l.page.Add(v)
	l.w.UpTo = l.page.UpTo
	return nil
}

func (l *lister) stop(n op.Name) bool {
	if !bytes.HasPrefix(n.Key, l.o.Prefix) {
		return true
	}
	if l.rows++; l.rows > changeRowsMax {
		l.next = &op.Position{Slot: n.Slot(), Name: clip(n.Key)}
	}
	return l.next != nil
}

func (l *lister) result() (op.Result, error) {
	found := l.page.Take()
	res := op.Result{Done: true, TS: l.page.UpTo, Next: l.next, Items: make([]op.Item, 0, len(found))}
	for i := range found {
		v := &found[i]
		if err := v.Fetch(l.r); err != nil {
			return op.Result{}, err
		}
		res.Items = append(res.Items, op.Item{Key: v.Name.Key, Value: v.Value, Rev: v.Rev, TS: v.TS, ExpireAt: v.ExpireAt, Deleted: v.Deleted, Lost: v.Lost(), Type: ItemType(v.Type)})
	}
	return res, nil
}

func measure(v *mvcc.Version) (op.Timestamp, int) { return v.TS, len(v.Name.Key) + v.ValueBytes() }

func order(a, b *mvcc.Version) int {
	return cmp.Or(cmp.Compare(a.TS, b.TS), bytes.Compare(a.Name.Key, b.Name.Key))
}

// Oldest keeps the oldest of the things that it is given: as many as are asked for, and with the last of them all others of its
// timestamp.
type Oldest[T any] struct {
	// UpTo is the timestamp up to which all that was given is kept. It falls to the timestamp of the last thing kept, and whoever
	// knows that nothing above some timestamp is of use may lower it.
	UpTo op.Timestamp

	limit    int
	maxBytes int // 0: no bound
	all      []T
	bytes    int
	cutAt    int // to be cut when there are more, or more bytes than cutBytes
	cutBytes int
	measure  func(*T) (at op.Timestamp, bytes int)
	order    func(a, b *T) int
}

// NewOldest makes an empty one, for things of timestamps up to upTo. order puts them in the order of their timestamps.
func NewOldest[T any](limit, maxBytes int, upTo op.Timestamp, measure func(*T) (op.Timestamp, int), order func(a, b *T) int) *Oldest[T] {
	limit = max(limit, 1)
	return &Oldest[T]{UpTo: upTo, limit: limit, maxBytes: maxBytes, cutAt: 2 * limit, cutBytes: 2 * maxBytes, measure: measure, order: order}
}

// Add takes a thing. One above UpTo is dropped.
func (p *Oldest[T]) Add(v T) {
	at, bytes := p.measure(&v)
	if at > p.UpTo {
		return
	}
	p.all, p.bytes = append(p.all, v), p.bytes+bytes
	if len(p.all) > p.cutAt || p.maxBytes > 0 && p.bytes > p.cutBytes {
		p.cut()
		p.cutAt, p.cutBytes = len(p.all)+p.limit, p.bytes+p.maxBytes
	}
}

// cut drops what is not needed.
func (p *Oldest[T]) cut() {
	slices.SortFunc(p.all, func(a, b T) int { return p.order(&a, &b) })
	size, last := 0, op.Timestamp(0)
	for i := range p.all {
		at, bytes := p.measure(&p.all[i])
		full := at != last && i > 0 && (i >= p.limit || p.maxBytes > 0 && size >= p.maxBytes)
		if full {
			p.UpTo = last
		}
		if full || at > p.UpTo {
			clear(p.all[i:])
			p.all, p.bytes = p.all[:i], size
			return
		}
		last, size = at, size+bytes
	}
}

// Take gives what is kept, in order.
func (p *Oldest[T]) Take() []T {
	p.cut()
	return p.all
}

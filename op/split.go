package op

// Split gives a part of a partition's range to a new partition, its child: everything from At on, in one entry of the parent's log. It
// is nothing unless the partition has Epoch at its place in the log, and At lies inside of its range. Result: Done; Rev, the
// partition's epoch behind it.
type Split struct {
	write
	Child uint32 // an id that no partition ever had
	At    Position
	Epoch uint64
}

// Recount tells a partition how many names it had, of each space, when its own count began anew: after a change of its range. It is
// nothing unless the partition has Epoch and does not know. Result: Done.
type Recount struct {
	write
	Epoch uint64
	Live  []int64 // by space
}

// Fence raises a partition's epoch, so that nothing that was proposed for Epoch happens any more. Result: Done; Rev, the partition's
// epoch behind it.
type Fence struct {
	write
	Epoch uint64
}

// OfPartition tells whether an operation is about a partition itself, and not about names in it.
func OfPartition(o Op) bool {
	switch o.(type) {
	case *SafePoint, *Split, *Recount, *Fence:
		return true
	}
	return false
}

func (*Split) Kind() Kind   { return KindSplit }
func (*Split) Target() Name { return Name{} }
func (o *Split) wire(w *wire) {
	w.uint32(&o.Child)
	w.position(&o.At)
	w.uint(&o.Epoch)
}

func (*Recount) Kind() Kind   { return KindRecount }
func (*Recount) Target() Name { return Name{} }
func (o *Recount) wire(w *wire) {
	w.uint(&o.Epoch)
	list(w, &o.Live, w.int)
}

func (*Fence) Kind() Kind   { return KindFence }
func (*Fence) Target() Name { return Name{} }
func (o *Fence) wire(w *wire) {
	w.uint(&o.Epoch)
}

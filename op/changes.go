package op

// Changes lists the versions that names of a space got above Since and up to the timestamp of the read: the oldest ones, as far as the
// limits let it. It is run as a snapshot read. Result: Items, in no particular order (a deletion has Deleted set, a version that was not
// kept Lost); TS, up to where the list is complete for the part of the range that was looked at; Next, where to go on in the range, or
// nothing when it is done. The versions of one timestamp are never parted by the limits, so there may be more of them. Collected when
// Since is below the safe point.
type Changes struct {
	read
	Space    Space
	From     Position
	To       Position // the zero Position: no bound
	Prefix   []byte
	Since    Timestamp
	UpTo     Timestamp // versions above it are of no interest; never above the timestamp of the read
	Limit    uint32    // versions, 1 at least
	MaxBytes uint32    // of names and values
}

func (*Changes) Kind() Kind     { return KindChanges }
func (o *Changes) Target() Name { return Name{Space: o.Space} }
func (o *Changes) wire(w *wire) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
	w.bytes(&o.Prefix)
	w.time(&o.Since)
	w.time(&o.UpTo)
	w.uint32(&o.Limit)
	w.uint32(&o.MaxBytes)
}

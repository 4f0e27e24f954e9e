package op

// SafePoint raises the partition's safe point: reads, prewrites and checks below it are refused from now on, and what only they
// would need may be collected. It is a timestamp that the meta group has agreed on, in the past. Result: TS, the safe point in
// force.
type SafePoint struct {
	write
	At Timestamp
}

// Collect removes versions that nobody needs above the partition's safe point, of the names of a space in a range, some at a
// time. Result: Int, how many; Next, where to go on, or nothing when the range is done.
type Collect struct {
	write
	Space Space
	From  Position
	To    Position
}

func (*SafePoint) Kind() Kind   { return KindSafePoint }
func (*SafePoint) Target() Name { return Name{} }
func (o *SafePoint) wire(w *wire) {
	w.time(&o.At)
}

func (*Collect) Kind() Kind     { return KindCollect }
func (o *Collect) Target() Name { return Name{Space: o.Space} }
func (o *Collect) wire(w *wire) {
	w.byte((*byte)(&o.Space))
	w.position(&o.From)
	w.position(&o.To)
}

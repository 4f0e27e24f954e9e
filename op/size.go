package op

// What the fixed fields of an operation take at most, and those of each name, write and range in it.
const (
	headBytes  = 64
	nameBytes  = 24
	writeBytes = 48
	rangeBytes = 40
)

// Size is about how many bytes an operation takes in a log entry; never less than it does.
func Size(o Op) int {
	switch o := o.(type) {
	case *Set:
		return headBytes + len(o.Key) + len(o.Value) + len(o.CondValue)
	case *Delete:
		return headBytes + len(o.Key) + len(o.CondValue)
	case *AppendTo:
		return headBytes + len(o.Key) + len(o.Value)
	case *SetRange:
		return headBytes + len(o.Key) + len(o.Value)
	case *LockAcquire:
		return headBytes + len(o.Name) + len(o.Owner)
	case *LockRenew:
		return headBytes + len(o.Name) + len(o.Owner)
	case *LockRelease:
		return headBytes + len(o.Name) + len(o.Owner)
	case *LockExtend:
		return headBytes + len(o.Name) + len(o.Owner)
	case *LockBreak:
		return headBytes + len(o.Name) + len(o.Owner)
	case *LockExpire:
		return headBytes + len(o.Name) + len(o.Owner)
	case *SeqNext:
		return headBytes + len(o.Name) + len(o.Idem)
	case *MetaPut:
		return headBytes + len(o.Key) + len(o.Value)
	case *MetaGet:
		return headBytes + len(o.Key)
	case *MetaList:
		return headBytes + len(o.Prefix) + len(o.After)
	case *Split:
		return headBytes + nameBytes + len(o.At.Name)
	case *Recount:
		return headBytes + 10*len(o.Live)
	case *Collect:
		return headBytes + spanSize(o.From, o.To)
	case *DeleteRange:
		return headBytes + spanSize(o.From, o.To)
	case *Count:
		return headBytes + spanSize(o.From, o.To)
	case *Changes:
		return 2*headBytes + spanSize(o.From, o.To) + len(o.Prefix)
	case *Scan:
		return 2*headBytes + spanSize(o.From, o.To) + len(o.Prefix) + len(o.Match) + len(o.Start) + len(o.End)
	}
	return sizeOfMany(o)
}

// sizeOfMany is the size of an operation that is about several names, or about one and nothing else.
func sizeOfMany(o Op) (n int) {
	if n, ok := sizeOfHash(o); ok {
		return n
	}
	n = headBytes
	switch o := o.(type) {
	case *Multi:
		for _, sub := range o.Ops {
			n += Size(sub)
		}
		return n + seenSize(o.Watches)
	case *Prepare:
		return n + Size(&o.Multi) + nameSize(o.Home)
	case *CommitMulti:
		return n + Size(&o.Multi) + nameSize(o.Home) + namesSize(o.Names)
	case *PrewriteSince:
		return n + Size(&o.Prewrite)
	case *CheckSince:
		return n + Size(&o.Check)
	case *Advise:
		return n + namesSize(o.Names) + scansSize(o.Scans)
	case *Prewrite:
		for i := range o.Writes {
			n += writeBytes + nameSize(o.Writes[i].Name) + len(o.Writes[i].Value)
		}
		return n + nameSize(o.Home) + namesSize(o.Names)
	case *Check:
		return n + scansSize(o.Scans) + seenSize(o.Reads)
	case *Resolve:
		return n + namesSize(o.Names)
	}
	return n + nameSize(o.Target())
}

func nameSize(n Name) int { return nameBytes + len(n.Key) + len(n.Sub) }

func namesSize(ns []Name) (n int) {
	for i := range ns {
		n += nameSize(ns[i])
	}
	return n
}

func scansSize(scans []ScanSeen) (n int) {
	for i := range scans {
		s := &scans[i]
		n += rangeBytes + spanSize(s.From, s.To) + len(s.Prefix) + len(s.Start) + len(s.End)
	}
	return n
}

func seenSize(seen []Seen) (n int) {
	for i := range seen {
		n += nameSize(seen[i].Name)
	}
	return n
}

func spanSize(from, to Position) int { return 2*nameBytes + len(from.Name) + len(to.Name) }

// Timestamps is how many timestamps an operation takes: a Multi one for each of its operations.
func Timestamps(o Op) int {
	if m := MultiOf(o); m != nil {
		return max(1, len(m.Ops))
	}
	return 1
}

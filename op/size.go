package op

// Size is about how many bytes an operation takes in a log entry; never much less than it does.
func Size(o Op) int {
	const head = 48
	switch o := o.(type) {
	case *Set:
		return head + len(o.Key) + len(o.Value) + len(o.CondValue)
	case *Delete:
		return head + len(o.Key) + len(o.CondValue)
	case *AppendTo:
		return head + len(o.Key) + len(o.Value)
	case *SetRange:
		return head + len(o.Key) + len(o.Value)
	case *LockAcquire:
		return head + len(o.Name) + len(o.Owner)
	case *SeqNext:
		return head + len(o.Name) + len(o.Idem)
	case *Multi:
		n := head
		for _, sub := range o.Ops {
			n += Size(sub)
		}
		return n + 2*head*len(o.Watches)
	case *Prewrite:
		n := head
		for i := range o.Writes {
			n += head + len(o.Writes[i].Name.Key) + len(o.Writes[i].Value)
		}
		return n + namesSize(o.Names)
	case *Resolve:
		return head + namesSize(o.Names)
	}
	t := o.Target()
	return 2*head + len(t.Key) + len(t.Sub)
}

func namesSize(ns []Name) (n int) {
	for i := range ns {
		n += 16 + len(ns[i].Key) + len(ns[i].Sub)
	}
	return n
}

// Timestamps is how many timestamps an operation takes: a Multi one for each of its operations.
func Timestamps(o Op) int {
	if m, ok := o.(*Multi); ok {
		return max(1, len(m.Ops))
	}
	return 1
}

package fsm

import "kahuna/op"

// owns tells whether all that an operation is about lies in the partition's range. The meta group owns no names.
func (m *Machine) owns(s *State, o op.Op) bool {
	if op.OfMeta(o) {
		return m.id == Meta
	}
	return m.id != Meta && ownsAll(s, o)
}

func ownsAll(s *State, o op.Op) bool {
	switch o := o.(type) {
	case *op.Multi:
		return every(o.Ops, func(sub op.Op) bool { return ownsAll(s, sub) }) &&
			every(o.Watches, func(w op.Seen) bool { return s.Owns(w.Name.Key) })
	case *op.Prepare:
		return ownsAll(s, &o.Multi)
	case *op.CommitMulti:
		return s.Owns(o.Home.Key) && ownsAll(s, &o.Multi)
	case *op.PrewriteSince:
		return ownsAll(s, &o.Prewrite)
	case *op.CheckSince:
		return ownsAll(s, &o.Check)
	case *op.Prewrite:
		return (!o.AtHome || s.Owns(o.Home.Key)) && every(o.Writes, func(w op.Write) bool { return s.Owns(w.Name.Key) })
	case *op.Resolve:
		return every(o.Names, func(n op.Name) bool { return s.Owns(n.Key) })
	case *op.Check:
		return every(o.Reads, func(r op.Seen) bool { return s.Owns(r.Name.Key) }) && every(o.Scans, s.coversScan)
	case *op.Scan:
		return s.covers(o.From, o.To)
	case *op.Changes:
		return s.covers(o.From, o.To)
	case *op.Count:
		return s.covers(o.From, o.To)
	case *op.DeleteRange:
		return s.covers(o.From, o.To)
	case *op.Collect:
		return s.covers(o.From, o.To)
	}
	if op.OfPartition(o) {
		return !s.Empty
	}
	return s.Owns(o.Target().Key)
}

// covers tells whether a range lies within the partition's.
func (s *State) covers(from, to op.Position) bool {
	return !s.Empty && Compare(from, s.From) >= 0 && (IsEnd(s.To) || !IsEnd(to) && Compare(to, s.To) <= 0)
}

func (s *State) coversScan(r op.ScanSeen) bool { return s.covers(r.From, r.To) }

func every[T any](s []T, ok func(T) bool) bool {
	for _, v := range s {
		if !ok(v) {
			return false
		}
	}
	return true
}

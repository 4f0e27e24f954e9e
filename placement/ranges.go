package placement

import (
	"sort"

	"kahuna/fsm"
	"kahuna/op"
)

// Find gives the range that a name lies in. It points into s.
func (s *State) Find(name []byte) *Range {
	return s.FindAt(op.Position{Slot: op.Slot(name), Name: name})
}

// FindAt gives the range that a position lies in. It points into s.
func (s *State) FindAt(p op.Position) *Range { return &s.Ranges[s.at(p)] }

func (s *State) at(p op.Position) int {
	return sort.Search(len(s.Ranges), func(i int) bool { return fsm.Compare(s.Ranges[i].From, p) > 0 }) - 1
}

// FindRange gives the range with that id, or nil. It points into s. It looks at every range: it is for commands, not for each
// operation.
func (s *State) FindRange(id uint32) *Range {
	for i := range s.Ranges {
		if s.Ranges[i].ID == id {
			return &s.Ranges[i]
		}
	}
	return nil
}

// Parts cuts a range of positions at the borders of partitions: each part lies in one of them, and has its other fields.
func (s *State) Parts(from, to op.Position) (parts []Range) {
	for i := s.at(from); i < len(s.Ranges); i++ {
		r := s.Ranges[i]
		if !fsm.IsEnd(to) && fsm.Compare(r.From, to) >= 0 {
			break
		}
		if fsm.Compare(r.From, from) < 0 {
			r.From = from
		}
		if !fsm.IsEnd(to) && (fsm.IsEnd(r.To) || fsm.Compare(to, r.To) < 0) {
			r.To = to
		}
		parts = append(parts, r)
	}
	return parts
}

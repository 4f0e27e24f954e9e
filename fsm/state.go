package fsm

import (
	"bytes"
	"encoding/binary"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// stateFormat begins what is stored of a partition, save its record.
const stateFormat = 1

// recordFormat begins a partition's record. Records of format 1 have nothing behind Safe: their ranges never changed.
const recordFormat = 2

// spaces is how many name spaces are counted: op.SpaceKey to op.SpaceIdem.
const spaces = int(op.SpaceIdem) + 1

// State is a partition's own record. It is written in the same batch as what it tells about.
type State struct {
	Index uint64 // applied: everything up to here is in the store, nothing after it
	Term  uint64 // of that entry
	Epoch uint64 // raised when the range changes
	From  op.Position
	To    op.Position // the zero Position: no bound
	Last  op.Timestamp
	Live  [spaces]int64 // names that are not deleted, by space; expired ones count until they are swept
	// Intents is how many names have an intent: while there are any, Live may lag behind what is committed.
	Intents int64
	// Safe is the partition's safe point: nothing is read below it, and what only such reads would need may be gone. It never
	// falls; a partition that takes names over from another has the larger one of the two. 0: everything is kept.
	Safe op.Timestamp

	// Ranged is the index at which the range has last changed. A replica that is made anew must not be given what is in the log up
	// to there: those entries are about another range than the one it is made with. 0: it never has.
	Ranged uint64
	// Uncounted: Live is what has changed since the range has, not how many names there are. A Recount ends it.
	Uncounted bool
	// Empty: the replica was made to be filled by a snapshot. It owns nothing yet, but claims its range: no other replica in the
	// store may have any of it.
	Empty    bool
	Children []Child // the latest, oldest first
}

// Owns tells whether a name lies in the partition's range.
func (s *State) Owns(key []byte) bool {
	if s.Empty {
		return false
	}
	p := op.Position{Slot: op.Slot(key), Name: key}
	return Compare(p, s.From) >= 0 && (IsEnd(s.To) || Compare(p, s.To) < 0)
}

// Compare orders positions by slot, then name.
func Compare(a, b op.Position) int {
	if a.Slot != b.Slot {
		return int(a.Slot) - int(b.Slot)
	}
	return bytes.Compare(a.Name, b.Name)
}

// IsEnd tells whether a position, as the upper end of a range, means "no bound".
func IsEnd(p op.Position) bool { return p.Slot == 0 && len(p.Name) == 0 }

func (s *State) encode() []byte {
	b := appendUints([]byte{recordFormat}, s.Index, s.Term, s.Epoch, uint64(s.Last))
	b = op.AppendPosition(op.AppendPosition(b, s.From), s.To)
	for _, n := range s.Live {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendVarint(b, s.Intents)
	b = appendUints(b, uint64(s.Safe), s.Ranged, flags(s.Uncounted, s.Empty), uint64(len(s.Children)))
	for i := range s.Children {
		c := &s.Children[i]
		b = appendUints(b, uint64(c.ID), c.Epoch)
		b = op.AppendPosition(op.AppendPosition(b, c.From), c.To)
	}
	return b
}

func appendUints(b []byte, all ...uint64) []byte {
	for _, v := range all {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// flags makes a number of bits, the first of them the lowest.
func flags(bits ...bool) (n uint64) {
	for i, bit := range bits {
		if bit {
			n |= 1 << i
		}
	}
	return n
}

func decodeState(b []byte) (s State, err error) {
	if len(b) == 0 || b[0] < 1 || b[0] > recordFormat {
		return s, mvcc.ErrDamaged
	}
	r := op.NewReader(bytes.Clone(b[1:]))
	s.Index, s.Term, s.Epoch, s.Last = r.Uint(), r.Uint(), r.Uint(), op.Timestamp(r.Uint())
	s.From, s.To = r.Position(), r.Position()
	for i := range s.Live {
		s.Live[i] = r.Int()
	}
	s.Intents, s.Safe = r.Int(), op.Timestamp(r.Uint())
	if b[0] > 1 {
		s.decodeRanges(r)
	}
	if r.End() != nil {
		return s, mvcc.ErrDamaged
	}
	return s, nil
}

// decodeRanges reads what is not in format 1.
func (s *State) decodeRanges(r *op.Reader) {
	s.Ranged = r.Uint()
	bits := r.Uint()
	s.Uncounted, s.Empty = bits&1 != 0, bits&2 != 0
	for n := r.Uint(); n > 0 && !r.Bad(); n-- {
		c := Child{ID: r.Uint32(), Epoch: r.Uint()}
		c.From, c.To = r.Position(), r.Position()
		s.Children = append(s.Children, c)
	}
}

// whatState is what a partition keeps under its own id.
const whatState byte = 1

func loadState(r mvcc.Reader, id uint32) (State, bool, error) {
	b, ok, err := r.Get(storage.AppendPartition(nil, id, whatState))
	if err != nil || !ok {
		return State{}, false, err
	}
	s, err := decodeState(b)
	return s, err == nil, err
}

func saveState(b mvcc.Batch, id uint32, s *State) {
	b.Set(storage.AppendPartition(nil, id, whatState), s.encode())
}

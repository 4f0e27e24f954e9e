package fsm

import (
	"bytes"
	"encoding/binary"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

const stateFormat = 1

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
}

// Owns tells whether a name lies in the partition's range.
func (s *State) Owns(key []byte) bool {
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
	b := []byte{stateFormat}
	for _, v := range []uint64{s.Index, s.Term, s.Epoch, uint64(s.Last)} {
		b = binary.AppendUvarint(b, v)
	}
	for _, p := range []op.Position{s.From, s.To} {
		b = op.AppendPosition(b, p)
	}
	for _, n := range s.Live {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendVarint(b, s.Intents)
	return binary.AppendUvarint(b, uint64(s.Safe))
}

func decodeState(b []byte) (s State, err error) {
	if len(b) == 0 || b[0] != stateFormat {
		return s, mvcc.ErrDamaged
	}
	r := op.NewReader(bytes.Clone(b[1:]))
	s.Index, s.Term, s.Epoch, s.Last = r.Uint(), r.Uint(), r.Uint(), op.Timestamp(r.Uint())
	s.From, s.To = r.Position(), r.Position()
	for i := range s.Live {
		s.Live[i] = r.Int()
	}
	s.Intents, s.Safe = r.Int(), op.Timestamp(r.Uint())
	if r.End() != nil {
		return s, mvcc.ErrDamaged
	}
	return s, nil
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

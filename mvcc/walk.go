package mvcc

import (
	"bytes"
	"encoding/binary"

	"kahuna/op"
	"kahuna/storage"
)

// walk goes through what the history has of a range at or below a timestamp: by names, of each the newest version first. It
// jumps over what it has no need to see.
type walk struct {
	r    Reader
	safe op.Timestamp
	rows int // looked at so far
	max  int // it ends at the first name after so many

	prefix []byte // of the history keys of the name at hand
	name   op.Name
	newer  int // versions of it above the timestamp that were looked at
	older  int // and at or below it
}

// old is a version in the history. key and its Value are valid until the call that gets them returns.
type old struct {
	stored
	key   []byte
	first bool // the first that is seen of its name
}

type step int

const (
	goOn     step = iota
	nextName      // the rest of this name is of no interest
	stop
)

// newerMax is how many versions of a name are gone through one by one before the walk jumps. A jump costs as much as some
// dozens of steps.
const newerMax = 64

// run gives fn every version. next is where to go on when max was reached; nil: it came to the end, or fn stopped it.
func (w *walk) run(lo, hi []byte, fn func(n op.Name, v old) (step, error)) (next *op.Position, err error) {
	for lo != nil {
		from := lo
		lo = nil
		err = w.r.Scan(from, hi, false, false, func(key, value []byte) (bool, error) {
			w.rows++
			enter, err := w.enter(key)
			if err != nil {
				return false, err
			}
			if enter && w.rows > w.max {
				next = positionOf(w.name)
				return false, nil
			}
			if w.versionOf(key) > w.safe {
				if w.newer++; w.newer > newerMax {
					lo = binary.BigEndian.AppendUint64(bytes.Clone(w.prefix), ^uint64(w.safe))
				}
				return lo == nil, nil
			}
			s, err := decode(value)
			if err != nil {
				return false, err
			}
			w.older++
			then, err := fn(w.name, old{stored: s, key: key, first: w.older == 1})
			if then == nextName {
				lo = storage.PrefixEnd(nil, w.prefix)
			}
			return then == goOn, err
		})
		if err != nil {
			return nil, err
		}
	}
	return next, nil
}

// enter notes which name a key belongs to, and tells whether it is another one than before.
func (w *walk) enter(key []byte) (bool, error) {
	if len(key) > 8 && bytes.Equal(key[:len(key)-8], w.prefix) {
		return false, nil
	}
	n, _, err := storage.ParseHistory(key)
	if err != nil {
		return false, err
	}
	w.name = op.Name{Space: n.Space, Key: bytes.Clone(n.Key), Sub: bytes.Clone(n.Sub)}
	w.prefix, w.newer, w.older = append(w.prefix[:0], key[:len(key)-8]...), 0, 0
	return true, nil
}

func (w *walk) versionOf(key []byte) op.Timestamp {
	return op.Timestamp(^binary.BigEndian.Uint64(key[len(key)-8:]))
}

func positionOf(n op.Name) *op.Position { return &op.Position{Slot: n.Slot(), Name: n.Key} }

// positionAfter is the first position past a name.
func positionAfter(n op.Name) op.Position {
	return op.Position{Slot: n.Slot(), Name: append(bytes.Clone(n.Key), 0)}
}

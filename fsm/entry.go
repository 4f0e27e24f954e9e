package fsm

import (
	"encoding/binary"
	"errors"

	"kahuna/op"
)

const entryFormat = 1

// ErrEntry says that a log entry can't be read. The group stops: to skip it would be to diverge.
var ErrEntry = errors.New("fsm: a log entry can't be read")

// Unit is a run of operations that belong together: those of one connection. They are judged in order; when one bounces, so
// do the ones after it.
type Unit []op.Op

// Entry is what one log entry holds. Term is the one in which its timestamps were checked: in a log of another term it is a
// no-op. First is the timestamp of the first operation; each
// takes op.Timestamps of them.
type Entry struct {
	Term    uint64
	First   op.Timestamp
	Units   []Unit
	Numbers []Number // of some of the units, in their order; they don't overlap
}

// AppendEntry appends the binary form of an entry.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = AppendHeader(dst, e.Term, e.First, len(e.Units))
	for _, u := range e.Units {
		dst = AppendUnit(dst, u)
	}
	return AppendNumbers(dst, e.Numbers)
}

// AppendHeader, AppendUnit and AppendNumbers append the parts of an entry, for those who have the units encoded already.
func AppendHeader(dst []byte, term uint64, first op.Timestamp, units int) []byte {
	dst = append(dst, entryFormat)
	dst = binary.AppendUvarint(dst, term)
	dst = binary.AppendUvarint(dst, uint64(first))
	return binary.AppendUvarint(dst, uint64(units))
}

// AppendUnit appends the binary form of a unit.
func AppendUnit(dst []byte, u Unit) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(u)))
	for _, o := range u {
		dst = op.Append(dst, o)
	}
	return dst
}

// FirstOf is the first timestamp of an entry, without reading the rest of it; 0 when it has none.
func FirstOf(b []byte) op.Timestamp {
	if len(b) == 0 || b[0] != entryFormat {
		return 0
	}
	_, b, err := uvarint(b[1:])
	if err != nil {
		return 0
	}
	first, _, _ := uvarint(b)
	return op.Timestamp(first)
}

// AppendNumbers appends the numbers of units; of none there is nothing.
func AppendNumbers(dst []byte, numbers []Number) []byte {
	for i := range numbers {
		n := &numbers[i]
		for _, v := range []uint64{uint64(n.At), uint64(n.Units), uint64(n.Incarnation), uint64(n.Slot), n.Seq} {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	return dst
}

// decodeNumbers reads the numbers of an entry of so many units.
func decodeNumbers(b []byte, units int) (numbers []Number, err error) {
	next := 0
	for len(b) > 0 {
		var v [5]uint64
		for i := range v {
			if v[i], b, err = uvarint(b); err != nil {
				return nil, err
			}
		}
		left := uint64(units - next)
		if v[0] < uint64(next) || v[0] >= uint64(units) || v[1] == 0 || v[1] > left || v[0]+v[1] > uint64(units) || v[2] == 0 || v[3] > 255 || v[4] == 0 {
			return nil, ErrEntry
		}
		next = int(v[0] + v[1])
		numbers = append(numbers, Number{At: int(v[0]), Units: int(v[1]), Incarnation: op.Timestamp(v[2]), Slot: byte(v[3]), Seq: v[4]})
	}
	return numbers, nil
}

// DecodeEntry reads an entry. What it returns points into b.
func DecodeEntry(b []byte) (e Entry, err error) {
	if len(b) == 0 || b[0] != entryFormat {
		return e, ErrEntry
	}
	b = b[1:]
	var first, units uint64
	if e.Term, b, err = uvarint(b); err != nil {
		return e, err
	}
	if first, b, err = uvarint(b); err != nil {
		return e, err
	}
	if units, b, err = uvarint(b); err != nil || units > uint64(len(b)) {
		return e, ErrEntry
	}
	e.First = op.Timestamp(first)
	e.Units = make([]Unit, units)
	for i := range e.Units {
		if e.Units[i], b, err = DecodeUnit(b); err != nil {
			return e, err
		}
	}
	e.Numbers, err = decodeNumbers(b, len(e.Units))
	return e, err
}

// DecodeUnit reads a unit and returns what is behind it. What it returns points into b.
func DecodeUnit(b []byte) (Unit, []byte, error) {
	n, b, err := uvarint(b)
	if err != nil || n > uint64(len(b)) {
		return nil, nil, ErrEntry
	}
	u := make(Unit, n)
	for i := range u {
		if u[i], b, err = op.Decode(b); err != nil {
			return nil, nil, ErrEntry
		}
	}
	return u, b, nil
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, ErrEntry
	}
	return v, b[n:], nil
}

package op

import (
	"encoding/binary"
	"math"
)

// Reader takes numbers and positions from their binary form: varints, and names with their length in front. It is for what the
// layers above store of their own. The first thing that can't be read sticks: what is read after it is zero, and End says so.
type Reader struct {
	rest []byte
	bad  bool
}

// NewReader reads b, which stays the caller's. The names of positions point into it.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// Bad tells whether something could not be read.
func (r *Reader) Bad() bool { return r.bad }

// More tells whether there is more, and nothing was wrong so far.
func (r *Reader) More() bool { return !r.bad && len(r.rest) > 0 }

// End is ErrMalformed when something could not be read or is left.
func (r *Reader) End() error {
	if r.bad || len(r.rest) > 0 {
		return ErrMalformed
	}
	return nil
}

func (r *Reader) fail() { r.bad, r.rest = true, nil }

// Uint takes an unsigned number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Uint32 takes an unsigned number of 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uint()
	if v > math.MaxUint32 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// Int takes a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Text takes a length and that many bytes, as a copy.
func (r *Reader) Text() string {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	t := string(r.rest[:n])
	r.rest = r.rest[n:]
	return t
}

// Position takes what AppendPosition has appended.
func (r *Reader) Position() (p Position) {
	slot, n := r.Uint(), r.Uint()
	if slot > math.MaxUint16 || n > uint64(len(r.rest)) {
		r.fail()
		return Position{}
	}
	p.Slot = uint16(slot)
	if n > 0 {
		p.Name = r.rest[:n:n]
	}
	r.rest = r.rest[n:]
	return p
}

// AppendPosition appends the binary form of a position.
func AppendPosition(dst []byte, p Position) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.Slot))
	dst = binary.AppendUvarint(dst, uint64(len(p.Name)))
	return append(dst, p.Name...)
}

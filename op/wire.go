package op

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrMalformed says that bytes are not the binary form of what was expected.
var ErrMalformed = errors.New("op: malformed bytes")

// maxNesting bounds Multi inside Multi; there is no reason for more than one level.
const maxNesting = 2

// wire walks over the fields of an operation, either appending them to b or taking them from it. One description of the
// fields serves both directions, so they can't drift apart. Appending only reads: an operation may be sent again while a request
// that was given up still holds it. Integers are varints, byte strings carry their length; what is
// decoded points into the input.
type wire struct {
	b      []byte
	dec    bool
	err    error
	nested int
}

func (w *wire) fail() { w.err, w.b = ErrMalformed, nil }

func (w *wire) byte(p *byte) {
	if !w.dec {
		w.b = append(w.b, *p)
		return
	}
	if len(w.b) == 0 {
		w.fail()
		return
	}
	*p, w.b = w.b[0], w.b[1:]
}

func (w *wire) bool(p *bool) {
	var c byte
	if *p {
		c = 1
	}
	w.byte(&c)
	if !w.dec {
		return
	}
	if c > 1 {
		w.fail()
	}
	*p = c == 1
}

func (w *wire) uint(p *uint64) {
	if !w.dec {
		w.b = binary.AppendUvarint(w.b, *p)
		return
	}
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.fail()
		return
	}
	*p, w.b = v, w.b[n:]
}

func (w *wire) uint32(p *uint32) {
	v := uint64(*p)
	w.uint(&v)
	if !w.dec {
		return
	}
	if v > math.MaxUint32 {
		w.fail()
	}
	*p = uint32(v)
}

func (w *wire) uint16(p *uint16) {
	v := uint64(*p)
	w.uint(&v)
	if !w.dec {
		return
	}
	if v > math.MaxUint16 {
		w.fail()
	}
	*p = uint16(v)
}

func (w *wire) time(p *Timestamp) {
	v := uint64(*p)
	w.uint(&v)
	if w.dec {
		*p = Timestamp(v)
	}
}

func (w *wire) int(p *int64) {
	if !w.dec {
		w.b = binary.AppendVarint(w.b, *p)
		return
	}
	v, n := binary.Varint(w.b)
	if n <= 0 {
		w.fail()
		return
	}
	*p, w.b = v, w.b[n:]
}

func (w *wire) float(p *float64) {
	v := math.Float64bits(*p)
	w.uint(&v)
	if w.dec {
		*p = math.Float64frombits(v)
	}
}

func (w *wire) bytes(p *[]byte) {
	n := uint64(len(*p))
	w.uint(&n)
	if !w.dec {
		w.b = append(w.b, *p...)
		return
	}
	if n > uint64(len(w.b)) {
		w.fail()
		return
	}
	if n == 0 {
		*p = nil
		return
	}
	*p, w.b = w.b[:n:n], w.b[n:]
}

func (w *wire) name(p *Name) {
	w.byte((*byte)(&p.Space))
	w.bytes(&p.Key)
	w.bytes(&p.Sub)
}

func (w *wire) position(p *Position) {
	w.uint16(&p.Slot)
	w.bytes(&p.Name)
}

func (w *wire) expiry(p *Expiry) {
	w.byte((*byte)(&p.Mode))
	w.int(&p.Milli)
}

func (w *wire) seen(p *Seen) {
	w.name(&p.Name)
	w.time(&p.TS)
	w.bool(&p.Live)
}

// listStep is how many elements of a list get memory before any of them was seen.
const listStep = 64

// list walks over a slice. A length is not believed: every element takes at least one byte, and memory grows with the elements
// that are there, so it stays bounded by the input.
func list[T any](w *wire, p *[]T, each func(*T)) {
	n := uint64(len(*p))
	w.uint(&n)
	if w.dec {
		takeList(w, p, n, each)
		return
	}
	for i := range *p {
		each(&(*p)[i])
	}
}

func takeList[T any](w *wire, p *[]T, n uint64, each func(*T)) {
	*p = nil
	if n > uint64(len(w.b)) {
		w.fail()
	}
	if w.err != nil || n == 0 {
		return
	}
	all := make([]T, 0, min(n, listStep))
	for range n {
		var v T
		if each(&v); w.err != nil {
			return
		}
		all = append(all, v)
	}
	*p = all
}

func optional[T any](w *wire, p **T, each func(*T)) {
	has := *p != nil
	if w.bool(&has); !has || w.err != nil {
		if w.dec {
			*p = nil
		}
		return
	}
	if w.dec {
		*p = new(T)
	}
	each(*p)
}

func (w *wire) ops(p *[]Op) {
	if !w.enter() {
		return
	}
	list(w, p, w.op)
	w.nested--
}

// enter goes one level down. To write what can't be read again would stop every replica, so that is the caller's fault.
func (w *wire) enter() bool {
	if w.nested++; w.nested <= maxNesting {
		return true
	}
	if !w.dec {
		panic("op: nested too deep")
	}
	w.fail()
	return false
}

func (w *wire) op(p *Op) {
	var k Kind
	if !w.dec {
		k = (*p).Kind()
	}
	if w.byte((*byte)(&k)); w.err != nil {
		return
	}
	if w.dec {
		make := makers[k]
		if make == nil {
			w.fail()
			return
		}
		*p = make()
	}
	(*p).wire(w)
}

// Append appends the binary form of an operation. One that is nested deeper than Decode takes panics.
func Append(dst []byte, o Op) []byte {
	w := wire{b: dst}
	w.op(&o)
	return w.b
}

// Decode takes one operation off the front of b and returns the rest. What it returns points into b.
func Decode(b []byte) (Op, []byte, error) {
	w := wire{b: b, dec: true}
	var o Op
	if w.op(&o); w.err != nil {
		return nil, nil, w.err
	}
	return o, w.b, nil
}

// AppendResult and DecodeResult do the same for results.
func AppendResult(dst []byte, r *Result) []byte {
	w := wire{b: dst}
	r.wire(&w)
	return w.b
}

// DecodeResult takes one result off the front of b.
func DecodeResult(b []byte) (r Result, rest []byte, err error) {
	w := wire{b: b, dec: true}
	if r.wire(&w); w.err != nil {
		return Result{}, nil, w.err
	}
	return r, w.b, nil
}

package op_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"kahuna/op"
)

func TestReaderReadsWhatWasAppended(t *testing.T) {
	b := binary.AppendUvarint(nil, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.AppendUvarint(b, math.MaxUint32)
	b = op.AppendPosition(b, op.Position{Slot: math.MaxUint16, Name: []byte("name")})
	b = op.AppendPosition(b, op.Position{})
	for n := range len(b) {
		r := op.NewReader(b[:n])
		if readAll(r); r.End() == nil {
			t.Errorf("the first %d of %d bytes read as a whole", n, len(b))
		}
	}
	r := op.NewReader(b)
	if u, i, u32, p := readAll(r); u != math.MaxUint64 || i != math.MinInt64 || u32 != math.MaxUint32 || p.Slot != math.MaxUint16 || string(p.Name) != "name" {
		t.Errorf("%d, %d, %d, %v", u, i, u32, p)
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
	if r := op.NewReader(append(b, 0)); r.End() == nil {
		t.Error("bytes are left, and that is its end")
	}
}

func TestReaderText(t *testing.T) {
	if r := op.NewReader([]byte("\x03abc\x00")); r.Text() != "abc" || r.Text() != "" || r.End() != nil {
		t.Error("texts are not read as they were written")
	}
	if r := op.NewReader([]byte("\x04abc")); r.Text() != "" || r.End() == nil {
		t.Error("a text that is cut off was read")
	}
}

func readAll(r *op.Reader) (u uint64, i int64, u32 uint32, p op.Position) {
	u, i, u32, p = r.Uint(), r.Int(), r.Uint32(), r.Position()
	r.Position()
	return u, i, u32, p
}

// What does not fit is not cut to something else.
func TestReaderRefusesLargeNumbers(t *testing.T) {
	for name, read := range map[string]func(r *op.Reader){
		"uint32":   func(r *op.Reader) { r.Uint32() },
		"position": func(r *op.Reader) { r.Position() },
	} {
		r := op.NewReader(binary.AppendUvarint(binary.AppendUvarint(nil, math.MaxUint32+1), 0))
		if read(r); !r.Bad() || !errors.Is(r.End(), op.ErrMalformed) {
			t.Errorf("%s: a number that is too large was read", name)
		}
	}
}

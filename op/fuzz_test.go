package op

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// What is decoded encodes to bytes that decode to the same: no input makes two replicas see different operations, and none
// panics.
func FuzzDecode(f *testing.F) {
	fill := filler{rand.New(rand.NewPCG(4, 0)), maxNesting - 1}
	for _, k := range kinds {
		f.Add(Append(nil, fill.someOp(k)))
		f.Add(Append(nil, makers[k]()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, rest, err := Decode(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("nothing was taken")
		}
		once := Append(nil, o)
		again, rest, err := Decode(once)
		if err != nil || len(rest) > 0 || !bytes.Equal(Append(nil, again), once) {
			t.Fatalf("%#v became %#v, %d left, %v", o, again, len(rest), err)
		}
		if Size(o) < len(once) {
			t.Fatalf("%#v has %d bytes, Size says %d", o, len(once), Size(o))
		}
		o.Target()
		o.ReadOnly()
		Timestamps(o)
	})
}

func FuzzDecodeResult(f *testing.F) {
	fill := filler{rand.New(rand.NewPCG(5, 0)), maxNesting - 1}
	for range 20 {
		var r Result
		fill.fill(reflect.ValueOf(&r).Elem())
		f.Add(AppendResult(nil, &r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _, err := DecodeResult(b)
		if err != nil {
			return
		}
		once := AppendResult(nil, &r)
		again, rest, err := DecodeResult(once)
		if err != nil || len(rest) > 0 || !bytes.Equal(AppendResult(nil, &again), once) {
			t.Fatalf("%#v became %#v, %d left, %v", r, again, len(rest), err)
		}
	})
}

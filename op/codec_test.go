package op

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// kinds are all kinds there are. Each gets a line in the golden files.
var kinds = func() (all []Kind) {
	for k := range makers {
		if makers[k] != nil {
			all = append(all, Kind(k))
		}
	}
	return all
}()

func TestEveryKindHasAMaker(t *testing.T) {
	for _, k := range kinds {
		if makers[k]().Kind() != k {
			t.Errorf("the maker of kind %d makes kind %d", k, makers[k]().Kind())
		}
	}
	if makers[0] != nil || len(kinds) < int(KindTxnRead) {
		t.Error("kinds are missing")
	}
}

func TestRoundTrip(t *testing.T) {
	for _, k := range kinds {
		f := filler{rand.New(rand.NewPCG(1, uint64(k))), maxNesting - 1}
		for range 60 {
			o := f.someOp(k)
			b := Append([]byte("head"), o)
			got, rest, err := Decode(append(b, "tail"...)[4:])
			if err != nil || string(rest) != "tail" || !reflect.DeepEqual(got, o) {
				t.Fatalf("%#v became %#v, %q left, %v", o, got, rest, err)
			}
			if n := len(b) - 4; Size(o) < n {
				t.Fatalf("%#v has %d bytes, Size says %d", o, n, Size(o))
			}
			cutShort(t, b[4:])
		}
	}
}

// Appending only reads, as the race detector sees: an operation may be sent again while a request that was given up still holds it.
func TestAppendOnlyReads(t *testing.T) {
	for _, k := range kinds {
		o := (&filler{rand.New(rand.NewPCG(1, uint64(k))), maxNesting - 1}).someOp(k)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { Append(nil, o) })
		}
		both.Wait()
	}
}

// cutShort sees that an operation that is cut anywhere is refused.
func cutShort(t *testing.T, b []byte) {
	step := 1 + len(b)/20
	for n := 0; n < len(b); n += step {
		if o, _, err := Decode(b[:n:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%d bytes of %d are taken for %#v", n, len(b), o)
		}
	}
}

func TestResultRoundTrip(t *testing.T) {
	f := filler{rand.New(rand.NewPCG(2, 0)), maxNesting - 1}
	for range 1000 {
		var r Result
		f.fill(reflect.ValueOf(&r).Elem())
		got, rest, err := DecodeResult(append(AppendResult(nil, &r), "tail"...))
		if err != nil || string(rest) != "tail" || !reflect.DeepEqual(got, r) {
			t.Fatalf("%#v became %#v, %q left, %v", r, got, rest, err)
		}
	}
}

func TestStoredStatesRoundTrip(t *testing.T) {
	f := filler{rand.New(rand.NewPCG(3, 0)), 0}
	for range 300 {
		stored(t, f, AppendLock, DecodeLock)
		stored(t, f, AppendSeq, DecodeSeq)
		stored(t, f, AppendTxn, DecodeTxn)
		var home Name
		var w Write
		f.fill(reflect.ValueOf(&home).Elem())
		f.fill(reflect.ValueOf(&w).Elem())
		b := AppendWrite(nil, home, &w)
		if h, got, err := DecodeWrite(b); err != nil || !reflect.DeepEqual(h, home) || !reflect.DeepEqual(got, w) {
			t.Fatalf("%#v of %#v became %#v of %#v, %v", w, home, got, h, err)
		}
		if _, _, err := DecodeWrite(append(b, 0)); err == nil {
			t.Fatal("a write with a byte too many was taken")
		}
	}
}

func stored[T any](t *testing.T, f filler, enc func([]byte, *T) []byte, dec func([]byte) (T, error)) {
	t.Helper()
	var v T
	f.fill(reflect.ValueOf(&v).Elem())
	b := enc(nil, &v)
	if got, err := dec(b); err != nil || !reflect.DeepEqual(got, v) {
		t.Fatalf("%#v became %#v, %v", v, got, err)
	}
	if _, err := dec(append(b, 0)); err == nil {
		t.Fatal("a state with a byte too many was taken")
	}
	if _, err := dec(b[:len(b)-1]); err == nil {
		t.Fatal("a state that was cut was taken")
	}
}

// Every field of everything that is encoded has to be in its bytes: changing it changes them.
func TestEveryFieldIsEncoded(t *testing.T) {
	for _, k := range kinds {
		o := makers[k]()
		missing(t, o, func() []byte { return Append(nil, o) })
	}
	r := Result{}
	missing(t, &r, func() []byte { return AppendResult(nil, &r) })
}

func missing(t *testing.T, v any, encode func() []byte) {
	t.Helper()
	if fields := unencoded(reflect.ValueOf(v).Elem(), reflect.TypeOf(v).Elem().Name(), encode); len(fields) > 0 {
		t.Errorf("not in the bytes: %s", strings.Join(fields, ", "))
	}
}

// unencoded lists the fields below v that encode does not see.
func unencoded(v reflect.Value, path string, encode func() []byte) (fields []string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).CanSet() {
				fields = append(fields, unencoded(v.Field(i), path+"."+f.Name, encode)...)
			}
		}
		return fields
	case reflect.Slice:
		grown := reflect.MakeSlice(v.Type(), 1, 1)
		if v.Type().Elem() == opType {
			grown.Index(0).Set(reflect.ValueOf(&Get{}))
		}
		return changed(v, grown, path, encode, func() []string { return unencoded(v.Index(0), path+"[0]", encode) })
	case reflect.Pointer:
		return changed(v, reflect.New(v.Type().Elem()), path, encode,
			func() []string { return unencoded(v.Elem(), path, encode) })
	case reflect.Interface:
		return nil
	}
	other := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Bool:
		other.SetBool(true)
	case reflect.Int64:
		other.SetInt(1)
	case reflect.Float64:
		other.SetFloat(1)
	default:
		other.SetUint(1)
	}
	return changed(v, other, path, encode, nil)
}

func changed(v, to reflect.Value, path string, encode func() []byte, below func() []string) (fields []string) {
	was, before := reflect.ValueOf(v.Interface()), encode()
	v.Set(to)
	if bytes.Equal(encode(), before) {
		fields = append(fields, path)
	} else if below != nil && path != "Result.Sub" { // those are results again
		fields = append(fields, below()...)
	}
	v.Set(was)
	return fields
}

// The check above has to find a field that is left out.
func TestUnencodedIsFound(t *testing.T) {
	v := struct {
		A int64
		B []struct{ C, D bool }
	}{}
	encode := func() []byte { // without A and D
		b := []byte{byte(len(v.B))}
		for _, e := range v.B {
			b = fmt.Append(b, e.C)
		}
		return b
	}
	got := unencoded(reflect.ValueOf(&v).Elem(), "v", encode)
	if want := []string{"v.A", "v.B[0].D"}; !reflect.DeepEqual(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestNesting(t *testing.T) {
	deep := func(n int) (o Op) {
		o = &Get{Key: []byte("k")}
		for range n {
			o = &Multi{Ops: []Op{o}}
		}
		return o
	}
	if _, _, err := Decode(Append(nil, deep(maxNesting))); err != nil {
		t.Errorf("the deepest operation that is allowed: %v", err)
	}
	// One level more: bytes are refused, and nobody may write them.
	b := append([]byte{byte(KindMulti), 1}, Append(nil, deep(maxNesting))...)
	if _, _, err := Decode(append(b, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too deep: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an operation that nobody can decode was encoded")
		}
	}()
	Append(nil, deep(maxNesting+1))
}

// A length that is a lie must not cost memory.
func TestMemoryIsBoundedByInput(t *testing.T) {
	b := append([]byte{byte(KindPrewrite), 1, 1, 0, 0}, 0xFF, 0xFF, 0x3F) // a million writes
	b = append(b, bytes.Repeat([]byte{0xFF}, 1<<20)...)                   // of which not one is there
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := Decode(b); err == nil {
		t.Fatal("taken")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
		t.Errorf("%d bytes for nothing", got)
	}
}

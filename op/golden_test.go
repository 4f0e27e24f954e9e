package op

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/ops.golden anew")

// distinct fills every field with a value of its own, the same in each run: 1, 2, 3 and so on.
type distinct struct{ n uint64 }

func (d *distinct) fill(v reflect.Value) {
	d.n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(-int64(d.n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(d.n)
	case reflect.Float64:
		v.SetFloat(float64(d.n) / 4)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.fill(v.Elem())
	case reflect.Slice:
		d.slice(v)
	case reflect.Struct:
		d.n--
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				d.fill(v.Field(i))
			}
		}
	}
}

func (d *distinct) slice(v reflect.Value) {
	switch v.Type().Elem() {
	case reflect.TypeFor[byte]():
		v.SetBytes([]byte{'a' + byte(d.n)%26, 0, 0xFF})
	case opType:
		v.Set(reflect.ValueOf([]Op{&SeqGet{Name: []byte("s")}, &Incr{Key: []byte("k"), Delta: -1}}))
	case reflect.TypeFor[Result]():
		v.Set(reflect.ValueOf([]Result{{Status: Exhausted, Int: 300}}))
	default:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.fill(v.Index(0))
	}
}

func filled[T any](v *T) *T {
	new(distinct).fill(reflect.ValueOf(v).Elem())
	return v
}

// line is one line of a golden file: what it is, its bytes.
type line struct {
	what  string
	bytes []byte
}

func goldenLines() (lines []line) {
	for _, k := range kinds {
		o := makers[k]()
		new(distinct).fill(reflect.ValueOf(o).Elem())
		lines = append(lines, line{fmt.Sprintf("%T", o), Append(nil, o)})
	}
	write := filled(&Write{})
	return append(lines,
		line{"Result", AppendResult(nil, filled(&Result{}))},
		line{"LockState", AppendLock(nil, filled(&LockState{}))},
		line{"SeqState", AppendSeq(nil, filled(&SeqState{}))},
		line{"TxnState", AppendTxn(nil, filled(&TxnState{}))},
		line{"Write", AppendWrite(nil, *filled(&Name{}), write)},
	)
}

// The bytes of operations are in logs, those of states in stores, those of results go between nodes of different versions. A
// line that changes is a new format; what to do instead stands at the top of codec.go.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	for _, l := range goldenLines() {
		fmt.Fprintf(&out, "%-16s %x\n", strings.TrimPrefix(l.what, "*op."), l.bytes)
	}
	const golden = "testdata/ops.golden"
	if *rewrite {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("got\n%swant\n%s", out.Bytes(), want)
	}
}

// testdata/old.golden has bytes that old versions wrote, one line for each form there ever was. It is only added to, by hand,
// and -rewrite does not touch it. All of it must be readable for ever.
func TestOldBytes(t *testing.T) {
	b, err := os.ReadFile("testdata/old.golden")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		what, digits, _ := strings.Cut(l, " ")
		var raw []byte
		if _, err := fmt.Sscanf(strings.TrimSpace(digits), "%x", &raw); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		readOld(t, what, raw)
		seen++
	}
	if seen < len(kinds) {
		t.Errorf("%d lines for %d kinds", seen, len(kinds))
	}
}

func readOld(t *testing.T, what string, raw []byte) {
	var again []byte
	switch what {
	case "Result":
		r, _, err := DecodeResult(raw)
		if again = AppendResult(nil, &r); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case "LockState":
		again = reread(t, raw, AppendLock, DecodeLock)
	case "SeqState":
		again = reread(t, raw, AppendSeq, DecodeSeq)
	case "TxnState":
		again = reread(t, raw, AppendTxn, DecodeTxn)
	case "Write":
		home, w, err := DecodeWrite(raw)
		if again = AppendWrite(nil, home, &w); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	default:
		o, rest, err := Decode(raw)
		if err != nil || len(rest) > 0 || fmt.Sprintf("%T", o) != "*op."+what {
			t.Errorf("%s: read as %T, %d left, %v", what, o, len(rest), err)
			return
		}
		again = Append(nil, o)
	}
	if !bytes.Equal(again, raw) {
		t.Errorf("%s: %x is written again as %x", what, raw, again)
	}
}

func reread[T any](t *testing.T, raw []byte, enc func([]byte, *T) []byte, dec func([]byte) (T, error)) []byte {
	v, err := dec(raw)
	if err != nil {
		t.Errorf("%T: %v", v, err)
	}
	return enc(nil, &v)
}

package storage

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"kahuna/op"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// The bytes of keys are on disk. A difference here is a new format.
func TestKeysGolden(t *testing.T) {
	name := op.Name{Space: op.SpaceSeq, Key: []byte("user\x00{7}"), Sub: []byte("i\x00d")}
	const ts, txn = op.Timestamp(0x0102030405060708), op.TxnID(0x1112131415161718)
	var out bytes.Buffer
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"current", AppendCurrent(nil, name)},
		{"current plain", AppendCurrent(nil, op.Key([]byte("a")))},
		{"history", AppendHistory(nil, name, ts)},
		{"history prefix", AppendHistoryPrefix(nil, name)},
		{"intent", AppendIntent(nil, name)},
		{"chunk", AppendChunk(nil, name, ts, 0x2122)},
		{"chunk prefix", AppendChunkPrefix(nil, name, ts)},
		{"record", AppendRecord(nil, name, txn)},
		{"due", AppendDue(nil, ts, name)},
		{"due prefix", AppendDuePrefix(nil, ts)},
		{"partition", AppendPartition(nil, 0x31323334, 0x41)},
		{"meta", AppendMeta(nil, 0x42)},
		{"format", formatKey},
		{"witness", witnessKey},
	} {
		fmt.Fprintf(&out, "%-15s %x\n", k.name, k.key)
	}
	const golden = "testdata/keys.golden"
	if *rewrite {
		must(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("got\n%swant\n%s", out.Bytes(), want)
	}
}

// someBytes are short strings of few letters, among them those that the escaping uses.
func someBytes(r *rand.Rand) []byte {
	letters := []byte{0, 1, 2, 'a', '{', '}', 0xFE, 0xFF}
	b := make([]byte, r.IntN(5))
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return b
}

func someName(r *rand.Rand) op.Name {
	n := op.Name{Space: op.Space(1 + r.IntN(3)), Key: someBytes(r)}
	if r.IntN(2) == 0 {
		n.Sub = someBytes(r)
	}
	return n
}

func compareNames(a, b op.Name) int {
	return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.Slot(), b.Slot()), bytes.Compare(a.Key, b.Key), bytes.Compare(a.Sub, b.Sub))
}

func TestKeysOrderAndRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		a, b := someName(r), someName(r)
		if r.IntN(2) == 0 { // often the same name, or one that differs in Sub only
			b.Space, b.Key = a.Space, a.Key
		}
		ta, tb := op.Timestamp(r.IntN(3)), op.Timestamp(r.IntN(3))
		order := compareNames(a, b)
		expect := func(what string, want int, x, y []byte) {
			if got := bytes.Compare(x, y); got != want {
				t.Fatalf("%s of %v at %d and %v at %d: order %d, want %d", what, a, ta, b, tb, got, want)
			}
		}
		expect("current", order, AppendCurrent(nil, a), AppendCurrent(nil, b))
		expect("intent", order, AppendIntent(nil, a), AppendIntent(nil, b))
		expect("history", cmp.Or(order, cmp.Compare(tb, ta)), AppendHistory(nil, a, ta), AppendHistory(nil, b, tb))
		expect("chunk", cmp.Or(order, cmp.Compare(ta, tb)), AppendChunk(nil, a, ta, 3), AppendChunk(nil, b, tb, 3))
		expect("due", cmp.Or(cmp.Compare(ta, tb), order), AppendDue(nil, ta, a), AppendDue(nil, tb, b))
		if bytes.HasPrefix(AppendHistory(nil, b, tb), AppendHistoryPrefix(nil, a)) != (order == 0) {
			t.Fatalf("history prefix of %v and a version of %v", a, b)
		}
		roundTrip(t, a, ta)
	}
}

func roundTrip(t *testing.T, n op.Name, ts op.Timestamp) {
	t.Helper()
	check := func(what string, got op.Name, gotTS op.Timestamp, err error) {
		if err != nil || !got.Equal(n) || gotTS != ts {
			t.Fatalf("%s of %v at %d gives %v at %d, %v", what, n, ts, got, gotTS, err)
		}
	}
	got, err := ParseCurrent(AppendCurrent([]byte("x"), n)[1:])
	check("current", got, ts, err)
	got, err = ParseIntent(AppendIntent(nil, n))
	check("intent", got, ts, err)
	got, at, err := ParseHistory(AppendHistory(nil, n, ts))
	check("history", got, at, err)
	got, at, chunk, err := ParseChunk(AppendChunk(nil, n, ts, 77))
	check("chunk", got, at, err)
	at, got, err = ParseDue(AppendDue(nil, ts, n))
	check("due", got, at, err)
	got, at, err = ParseRecord(AppendRecord(nil, n, ts))
	got.Sub = n.Sub
	check("record", got, at, err)
	p, what, rest, err := ParsePartition(append(AppendPartition(nil, 9, 'a'), "rest"...))
	if chunk != 77 || p != 9 || what != 'a' || string(rest) != "rest" || err != nil {
		t.Fatal(chunk, p, what, rest, err)
	}
}

func TestBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	position := func() op.Position {
		if r.IntN(4) == 0 {
			return op.Position{}
		}
		name := someBytes(r)
		p := op.Position{Slot: op.Slot(name)}
		if r.IntN(3) > 0 {
			p.Name = name
		}
		return p
	}
	below := func(n op.Name, p op.Position) bool {
		return cmp.Or(cmp.Compare(n.Slot(), p.Slot), bytes.Compare(n.Key, p.Name)) < 0
	}
	for range 200_000 {
		n, from, to := someName(r), position(), position()
		inside := !below(n, from) && (to.Slot == 0 && len(to.Name) == 0 || below(n, to))
		for kind, key := range map[Kind][]byte{
			KindCurrent: AppendCurrent(nil, n),
			KindHistory: AppendHistory(nil, n, 5),
			KindIntent:  AppendIntent(nil, n),
			KindChunk:   AppendChunk(nil, n, 5, 6),
			KindRecord:  AppendRecord(nil, n, 5),
		} {
			lo, hi := Bounds(kind, n.Space, from, to)
			if got := (span{lo: lo, hi: hi}).holds(key); got != inside {
				t.Fatalf("%c %v in %v - %v: %t", kind, n, from, to, got)
			}
			lo, hi = Bounds(kind, n.Space+1, from, to)
			if kind != KindRecord && (span{lo: lo, hi: hi}).holds(key) {
				t.Fatalf("%c %v in another space", kind, n)
			}
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\xff\xff": "b", "\xff": "", "": "", "ab\x00": "ab\x01"} {
		if got := PrefixEnd(nil, []byte(prefix)); string(got) != want {
			t.Errorf("%q: %q", prefix, got)
		}
	}
}

func TestBuildersDoNotAllocate(t *testing.T) {
	n, dst := op.Key([]byte("some\x00name")), make([]byte, 0, 256)
	allocs := testing.AllocsPerRun(100, func() {
		dst = AppendCurrent(dst[:0], n)
		dst = AppendHistory(dst[:0], n, 1)
		dst = AppendIntent(dst[:0], n)
		dst = AppendChunk(dst[:0], n, 1, 2)
		dst = AppendRecord(dst[:0], n, 1)
		dst = AppendDue(dst[:0], 1, n)
		dst = AppendPartition(dst[:0], 1, 2)
	})
	if allocs != 0 {
		t.Error(allocs)
	}
}

// Parsers take any bytes, and what they accept is what a builder makes.
func FuzzParse(f *testing.F) {
	n := op.Name{Space: 1, Key: []byte("a\x00b"), Sub: []byte("c")}
	for _, key := range [][]byte{AppendCurrent(nil, n), AppendHistory(nil, n, 3), AppendChunk(nil, n, 3, 4), AppendRecord(nil, n, 5), AppendDue(nil, 6, n)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		same := func(again []byte, slotAt int) {
			if len(again) != len(key) || !bytes.Equal(again[:slotAt], key[:slotAt]) || !bytes.Equal(again[slotAt+2:], key[slotAt+2:]) {
				t.Fatalf("%x parses, but is built as %x", key, again)
			}
		}
		if n, err := ParseCurrent(key); err == nil {
			same(AppendCurrent(nil, n), 2)
		}
		if n, err := ParseIntent(key); err == nil {
			same(AppendIntent(nil, n), 2)
		}
		if n, ts, err := ParseHistory(key); err == nil {
			same(AppendHistory(nil, n, ts), 2)
		}
		if n, ts, c, err := ParseChunk(key); err == nil {
			same(AppendChunk(nil, n, ts, c), 2)
		}
		if n, txn, err := ParseRecord(key); err == nil {
			same(AppendRecord(nil, n, txn), 1)
		}
		if ts, n, err := ParseDue(key); err == nil {
			same(AppendDue(nil, ts, n), 10)
		}
		_, _, _, _ = ParsePartition(key)
	})
}

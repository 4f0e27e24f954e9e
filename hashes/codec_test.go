package hashes

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"kahuna/op"
)

var rewrite = flag.Lookup("rewrite") // of the scripted tests

// golden are hashes whose bytes are in stores.
var golden = []struct {
	name   string
	fields []op.Field
}{
	{"one", fields("a", "1")},
	{"order", fields("b", "2", "a", "1", "b", "3")},
	{"empty", fields("", "", "a", "")},
	{"binary", fields("\x00\xff", "\r\n\x00")},
	{"long", fields("f", strings.Repeat("v", 200), strings.Repeat("n", 130), "")},
}

func fields(words ...string) (all []op.Field) {
	for i := 0; i < len(words); i += 2 {
		all = append(all, op.Field{Name: []byte(words[i]), Value: []byte(words[i+1])})
	}
	return all
}

// TestGolden holds the stored form: a line that changes is a new format, which needs a number of its own.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	for _, g := range golden {
		b, _, err := set(nil, g.fields)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%-8s %s\n", g.name, hex.EncodeToString(b))
	}
	const path = "testdata/hash.golden"
	if rewrite.Value.String() == "true" {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(want, out.Bytes()) {
		t.Errorf("%v, got\n%swant\n%s", err, out.Bytes(), want)
	}
}

// TestDamaged sees that bytes that are no hash are a fault, wherever they end.
func TestDamaged(t *testing.T) {
	whole, _, _ := set(nil, fields("abc", "defg", "h", "i"))
	ends := map[int]bool{0: true, 1: true, 10: true, len(whole): true} // between fields
	for n := range len(whole) + 1 {
		_, err := Count(whole[:n])
		if ends[n] != (err == nil) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, bad := range []string{"\x02", "\x00\x01a\x01b", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a", "\x01\x80"} {
		b := []byte(bad)
		if _, err := Count(b); err == nil {
			t.Errorf("%q is counted", bad)
		}
		if _, _, err := set(b, fields("a", "1")); err == nil {
			t.Errorf("%q is set", bad)
		}
		if _, _, err := remove(b, [][]byte{[]byte("a")}); err == nil {
			t.Errorf("%q is removed from", bad)
		}
		if _, _, err := find(b, []byte("a")); err == nil {
			t.Errorf("%q is searched", bad)
		}
		if _, _, err := pick(b, [][]byte{[]byte("a")}, 100); err == nil {
			t.Errorf("%q is picked from", bad)
		}
	}
}

// FuzzRead reads any bytes. What can be read is the same when it is put together again.
func FuzzRead(f *testing.F) {
	for _, g := range golden {
		b, _, _ := set(nil, g.fields)
		f.Add(b, []byte("a"))
	}
	f.Add([]byte("\x01\x03ab"), []byte(""))
	f.Fuzz(func(t *testing.T, b, name []byte) {
		n, err := Count(b)
		var again []byte
		count := 0
		r := Read(b)
		for name, value, ok := r.Next(); ok; name, value, ok = r.Next() {
			again = AppendField(again, name, value)
			count++
		}
		if count != n && err == nil || (err == nil) != (r.Err() == nil) {
			t.Fatalf("%d fields and %v, then %d and %v", n, err, count, r.Err())
		}
		if err == nil && n > 0 {
			if more, err := Count(again); more != n || err != nil {
				t.Fatalf("put together again it has %d fields (%v) instead of %d", more, err, n)
			}
		}
		next, _, err := set(b, []op.Field{{Name: name, Value: []byte("new")}})
		if err != nil {
			return
		}
		if value, found, err := find(next, name); !found || string(value) != "new" || err != nil {
			t.Fatalf("%q is set to %q, %v, %v", name, value, found, err)
		}
		if left, _, err := remove(next, [][]byte{name}); err != nil {
			t.Fatal(err)
		} else if _, found, _ := find(left, name); found {
			t.Fatalf("%q is still there", name)
		}
	})
}

package viewtest

import (
	"errors"
	"testing"

	"kahuna/mvcc"
	"kahuna/op"
)

var key = op.Key([]byte("k"))

func put(t *testing.T, v *View, rec mvcc.Record) mvcc.Record {
	t.Helper()
	got, err := v.Put(key, rec)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRevisionsAndExpiry(t *testing.T) {
	v := New()
	put(t, v, mvcc.Record{Value: []byte("a")})
	if rec := put(t, v, mvcc.Record{Value: []byte("b"), ExpireAt: 10}); rec.Rev != 1 {
		t.Errorf("two writes of one operation made revision %d", rec.Rev)
	}
	v.Begin(9)
	if rec, live, _ := v.Get(key); !live || string(rec.Value) != "b" || rec.Rev != 1 {
		t.Errorf("before its expiry: %+v", rec)
	}
	v.Begin(10)
	if rec, live, _ := v.Get(key); live || rec.Rev != 1 {
		t.Errorf("at its expiry: %+v", rec)
	}
	if rec := put(t, v, mvcc.Record{}); rec.Rev != 2 || rec.TS != 10 {
		t.Errorf("after its expiry: %+v", rec)
	}
	v.Undo()
	v.Begin(11)
	if err := v.PutExpiry(key, 20); !errors.Is(err, ErrAbsent) {
		t.Errorf("an expiry for nothing: %v", err)
	}
	if _, err := v.Delete(key); !errors.Is(err, ErrAbsent) {
		t.Errorf("a deletion of nothing: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	v := New()
	put(t, v, mvcc.Record{})
	v.Begin(1)
	if _, _, err := v.Get(key); !errors.Is(err, ErrOrder) {
		t.Errorf("a version of the same timestamp: %v", err)
	}
	v.Begin(2)
	v.SetIntent(key, &op.Intent{Txn: 7})
	var met *mvcc.IntentError
	if _, _, err := v.Get(key); !errors.As(err, &met) || met.Intent.Txn != 7 {
		t.Errorf("an intent: %v", err)
	}
}

// A rule that keeps what it was lent, or changes it, has to be caught.
func TestLentValues(t *testing.T) {
	v := New()
	put(t, v, mvcc.Record{Value: []byte("value")})
	v.Begin(2)
	kept, _, _ := v.Get(key)
	v.Begin(3)
	if string(kept.Value) == "value" {
		t.Error("a lent value outlives the operation")
	}
	changed, _, _ := v.Get(key)
	changed.Value[0] = 'V'
	defer func() {
		if recover() == nil {
			t.Error("a lent value was changed, and nobody noticed")
		}
	}()
	v.Begin(4)
}

func TestTime(t *testing.T) {
	for _, text := range []string{"0.1", "12.4095", "max"} {
		if at, err := ParseTime(text); err != nil || Time(at) != text {
			t.Errorf("%s became %s, %v", text, Time(at), err)
		}
	}
}

// A script whose output is not what came has to fail, at the right line.
func TestScriptComparison(t *testing.T) {
	s := Script{Run: func(v *View, words []string) (string, error) {
		a := NewArgs(words[1:])
		_, err := v.Put(op.Key(a.Bytes()), mvcc.Record{Type: mvcc.TypeString, Value: a.Bytes()})
		return "put", err
	}}
	const good = "# A script.\n\nat 5\nput k \"a b\"\n----\nput\n  key k: rev 1 at 5.0 \"a b\"\n"
	if out, _ := s.play(good); out != good {
		t.Errorf("a good script became\n%s", out)
	}
	const bad = "# A script.\n\nat 5\nput k \"a b\"\n----\nput\n  key k: rev 2 at 5.0 \"a b\"\n"
	if out, line := s.play(bad); out != good || line != 7 {
		t.Errorf("a bad script differs at line %d and became\n%s", line, out)
	}
}

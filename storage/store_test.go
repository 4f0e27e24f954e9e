package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A batch against a map: random writes, reads and scans in both directions, committed or discarded, with reopenings.
func TestBatchAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) })
	}
}

func runModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	o := testOptions(t.TempDir())
	s := mustOpen(t, o)
	model := map[string]string{}
	key := func() []byte { return fmt.Appendf(nil, "%c%02d", 'a'+rnd.IntN(3), rnd.IntN(40)) }
	for round := range 60 {
		b, mine := s.NewBatch(), maps.Clone(model)
		for range rnd.IntN(60) {
			k := key()
			switch rnd.IntN(8) {
			case 0, 1, 2:
				v := bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, rnd.IntN(3000))
				mine[string(k)] = string(v)
				b.Set(k, v)
			case 3:
				delete(mine, string(k))
				b.Delete(k)
			case 4:
				var lo, hi []byte
				if rnd.IntN(4) > 0 {
					lo = key()
				} else {
					lo = []byte("a") // the store's own keys lie above all of ours but f
				}
				if hi = key(); rnd.IntN(4) == 0 {
					hi = []byte("d")
				}
				checkScan(t, b.Scan, mine, lo, hi, rnd.IntN(2) == 0, rnd.IntN(2) == 0, rnd.IntN(30))
				checkWalk(t, b.Walk, mine, rnd)
			default:
				v, ok, err := b.Get(k)
				must(t, err)
				if want, exists := mine[string(k)]; ok != exists || string(v) != want {
					t.Fatalf("round %d: get %s: %d bytes %t, want %d %t", round, k, len(v), ok, len(want), exists)
				}
			}
		}
		if rnd.IntN(4) == 0 {
			b.Discard()
		} else {
			must(t, b.Commit())
			b.Discard()
			model = mine
		}
		if rnd.IntN(12) == 0 {
			must(t, s.Close())
			s = mustOpen(t, o)
		}
		v := s.Snapshot()
		checkScan(t, v.Scan, model, []byte("a"), []byte("d"), rnd.IntN(2) == 0, false, 1000)
		checkWalk(t, v.Walk, model, rnd)
		v.Close()
	}
	must(t, s.Close())
}

type scanner = func(lo, hi []byte, reverse, keysOnly bool, fn func(k, v []byte) (bool, error)) error

func checkScan(t *testing.T, scan scanner, model map[string]string, lo, hi []byte, reverse, keysOnly bool, limit int) {
	t.Helper()
	var want, got []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if k >= string(lo) && k < string(hi) {
			want = append(want, k)
		}
	}
	if reverse {
		slices.Reverse(want)
	}
	want = want[:min(len(want), max(limit, 1))]
	must(t, scan(lo, hi, reverse, keysOnly, func(k, v []byte) (bool, error) {
		if !keysOnly && model[string(k)] != string(v) {
			return false, fmt.Errorf("%s has the wrong value", k)
		}
		got = append(got, string(k))
		return len(got) < limit, nil
	}))
	if !slices.Equal(want, got) {
		t.Fatalf("scan %s %s reverse %t:\ngot  %v\nwant %v", lo, hi, reverse, got, want)
	}
}

// checkWalk goes over the keys of a model with leaps of random length.
func checkWalk(t *testing.T, walk func(lo, hi []byte, fn func(k, v []byte) ([]byte, bool, error)) error, model map[string]string, rnd *rand.Rand) {
	t.Helper()
	var left []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if k >= "a" && k < "d" {
			left = append(left, k)
		}
	}
	must(t, walk([]byte("a"), []byte("d"), func(k, v []byte) ([]byte, bool, error) {
		if len(left) == 0 || left[0] != string(k) || model[left[0]] != string(v) {
			return nil, false, fmt.Errorf("the walk is at %s, left are %v", k, left)
		}
		if left = left[1:]; rnd.IntN(2) == 0 || len(left) == 0 {
			return nil, true, nil
		}
		left = left[rnd.IntN(len(left)):]
		to := []byte(left[0])
		if rnd.IntN(2) == 0 { // between two keys
			to = append([]byte(left[0]), 0)
			left = left[1:]
		}
		return to, true, nil
	}))
	if len(left) > 0 {
		t.Fatalf("the walk has left out %v", left)
	}
}

func TestScanFnMayUseBatch(t *testing.T) {
	s := openTest(t, t.TempDir())
	set(t, s, "a1", "1", "a2", "2", "a3", "3")
	b := s.NewBatch()
	b.Set([]byte("a25"), []byte("x"))
	var seen []string
	must(t, b.Scan([]byte("a"), []byte("b"), false, true, func(k, _ []byte) (bool, error) {
		seen = append(seen, string(k))
		b.Set(append([]byte("b"), k...), []byte("y"))
		b.Delete(bytes.Clone(k))
		return true, b.Scan([]byte("b"), []byte("c"), true, true, func(k, _ []byte) (bool, error) { return false, nil })
	}))
	if want := []string{"a1", "a2", "a25", "a3"}; !slices.Equal(seen, want) {
		t.Fatal(seen)
	}
	must(t, b.Commit())
	if get(t, s, "a1") != "-" || get(t, s, "ba25") != "y" {
		t.Fatal("the writes of fn are missing")
	}
}

func TestScanPassesOnPanicAndError(t *testing.T) {
	s := openTest(t, t.TempDir())
	set(t, s, "a", "1")
	v := s.Snapshot()
	defer v.Close()
	mine := errors.New("mine")
	if err := v.Scan(nil, nil, false, false, func(_, _ []byte) (bool, error) { return true, mine }); err != mine {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = v.Scan(nil, nil, false, false, func(_, _ []byte) (bool, error) { panic("mine") })
	}()
	must(t, s.Fault())
}

func TestSnapshotIsFixed(t *testing.T) {
	s := openTest(t, t.TempDir())
	set(t, s, "a", "1", "b", "2")
	v := s.Snapshot()
	defer v.Close()
	set(t, s, "a", "3", "c", "4")
	checkScan(t, v.Scan, map[string]string{"a": "1", "b": "2"}, []byte("a"), []byte("d"), false, false, 9)
	if got := get(t, s, "a"); got != "3" {
		t.Fatal(got)
	}
}

func TestLimits(t *testing.T) {
	s := openTest(t, t.TempDir())
	t.Run("bytes", func(t *testing.T) {
		b := s.NewBatch()
		for i := 0; b.Bytes() <= s.MaxBatchBytes(); i++ {
			b.Set(number(uint64(i)), make([]byte, 1000))
		}
		if err := b.Commit(); !errors.Is(err, ErrTooBig) {
			t.Fatal(err)
		}
		if get(t, s, string(number(0))) != "-" {
			t.Fatal("something was written")
		}
	})
	t.Run("largest", func(t *testing.T) {
		b := s.NewBatch()
		for i := 0; b.Len() < s.MaxBatchKeys(); i++ {
			b.Set(number(uint64(i)), nil)
		}
		must(t, b.Commit())
		b = s.NewBatch()
		key := []byte("key")
		b.Set([]byte("big"), make([]byte, s.MaxBatchBytes()-2*(entryOverhead+3)-s.MaxValueBytes()))
		b.Set(key, make([]byte, s.MaxValueBytes()))
		must(t, b.Commit())
		if n := len(get(t, s, "key")); n != s.MaxValueBytes() {
			t.Fatal(n)
		}
	})
	t.Run("same key over and over", func(t *testing.T) {
		b := s.NewBatch()
		for range 100 {
			b.Set([]byte("hot"), make([]byte, 50_000))
		}
		must(t, b.Commit())
	})
	for name, fn := range map[string]func(b *Batch){
		"value": func(b *Batch) { b.Set([]byte("k"), make([]byte, s.MaxValueBytes()+1)) },
		"key":   func(b *Batch) { b.Set(make([]byte, KeyBytesMax+1), nil) },
		"empty": func(b *Batch) { b.Delete(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			b := s.NewBatch()
			b.Set([]byte("other"), []byte("1"))
			fn(b)
			if err := b.Commit(); !errors.Is(err, ErrBadEntry) {
				t.Fatal(err)
			}
			if get(t, s, "other") != "-" {
				t.Fatal("something was written")
			}
		})
	}
	must(t, s.Fault())
}

func TestEmptyValueIsThere(t *testing.T) {
	s := openTest(t, t.TempDir())
	b := s.NewBatch()
	b.Set([]byte("a"), nil)
	if v, ok, err := b.Get([]byte("a")); v == nil || !ok || err != nil {
		t.Fatal(v, ok, err)
	}
	must(t, b.Commit())
	if got := get(t, s, "a"); got != "" {
		t.Fatalf("%q", got)
	}
}

func TestFaultStopsTheStore(t *testing.T) {
	o := testOptions(t.TempDir())
	var told []error
	o.OnFault = func(err error) { told = append(told, err) }
	s := mustOpen(t, o)
	set(t, s, "a", "1")
	open, v := s.NewBatch(), s.Snapshot()
	open.Set([]byte("b"), []byte("2"))
	cause := errors.New("cause")
	s.Fail(cause)
	s.Fail(errors.New("another"))
	if len(told) != 1 || told[0] != cause {
		t.Fatal(told)
	}
	_, _, getErr := v.Get([]byte("a"))
	for i, err := range []error{getErr, open.Commit(), s.NewBatch().Commit(), s.Checkpoint(nil), s.Fault(), s.Close()} {
		if !errors.Is(err, cause) {
			t.Errorf("%d: %v", i, err)
		}
	}
	c, err := readCheckpoint(o.Dir)
	if must(t, err); c.clean {
		t.Error("marked as clean")
	}
}

// A disk that fails for ever makes Badger's flush try for ever: commits must still end, and so must Close.
func TestCloseWithFailingDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	faulted := make(chan struct{})
	o := testOptions(dir)
	o.OnFault = func(error) { close(faulted) }
	s := mustOpen(t, o)
	must(t, os.Rename(dir, dir+"-gone")) // no file can be made any more
	h := history{keys: 1000, valueBytes: 1000}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		for n := uint64(1); h.commit(s, n) == nil; n++ {
		}
	}()
	<-faulted
	if s.Close() == nil {
		t.Error("closed without an error")
	}
	<-failed
}

func TestStats(t *testing.T) {
	o := testOptions(t.TempDir())
	s := mustOpen(t, o)
	b := s.NewBatch()
	for i := range uint64(100) {
		b.Set(append([]byte("a"), number(i)...), make([]byte, 1000))
	}
	must(t, b.Commit())
	must(t, s.Close())
	s = mustOpen(t, o)
	defer s.Close()
	st, err := s.Stats()
	if must(t, err); st.TableBytes < 100_000 || st.Tables == 0 || st.DiskFreeBytes == 0 {
		t.Errorf("%+v", st)
	}
	for _, c := range []struct {
		lo, hi string
		some   bool
	}{{"a", "b", true}, {"a", "", true}, {"b", "c", true}, {"g", "", false}, {"", "a", false}} {
		n, err := s.RangeBytes([]byte(c.lo), []byte(c.hi)) // the store's own keys begin with f
		if must(t, err); (n > 0) != c.some {
			t.Errorf("%q to %q: %d bytes", c.lo, c.hi, n)
		}
	}
	must(t, s.Verify(nil))
}

func TestAfterClose(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	set(t, s, "a", "1")
	b, v := s.NewBatch(), s.Snapshot()
	must(t, s.Close())
	must(t, s.Close())
	b.Set([]byte("a"), []byte("2"))
	_, _, getErr := v.Get([]byte("a"))
	for i, err := range []error{getErr, b.Commit(), s.NewBatch().Commit(), s.Checkpoint(nil), s.Snapshot().Scan(nil, nil, false, true, nil)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
	v.Close()
	b.Discard()
}

func TestCloseWithOpenSnapshotIsClean(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, testOptions(dir))
	h := history{keys: 100, valueBytes: 500}
	for n := range uint64(1000) {
		must(t, h.commit(s, n+1))
	}
	v := s.Snapshot()
	must(t, v.Scan(nil, nil, false, true, func(_, _ []byte) (bool, error) { return true, nil }))
	must(t, s.Close())
	if mems, _, err := listFiles(dir); err != nil || len(mems) > 0 {
		t.Fatal(mems, err)
	}
	s = openTest(t, dir)
	if n, err := h.check(s); n != 1000 || err != nil {
		t.Fatal(n, err)
	}
}

func TestSecondOpenerIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	if _, err := Open(testOptions(dir)); !errors.Is(err, ErrInUse) {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		dir := t.TempDir()
		must(t, mustOpen(t, testOptions(dir)).Close())
		must(t, os.WriteFile(filepath.Join(dir, formatFile), []byte("store-format 2\n"), 0o600))
		before := fingerprint(t, dir)
		_, err := Open(testOptions(dir))
		if want := (ErrNewerFormat{Found: 2, Known: 1}); !errors.Is(err, want) {
			t.Fatal(err)
		}
		if fingerprint(t, dir) != before {
			t.Error("the directory was changed")
		}
	})
	t.Run("key", func(t *testing.T) {
		dir := t.TempDir()
		s := mustOpen(t, testOptions(dir))
		b := s.NewBatch()
		b.Set(formatKey, []byte{7})
		must(t, b.Commit())
		must(t, s.Close())
		if _, err := Open(testOptions(dir)); !errors.Is(err, ErrNewerFormat{Found: 7, Known: 1}) {
			t.Fatal(err)
		}
	})
}

// fingerprint is the names and contents of all files but the lock.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []byte
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all = fmt.Appendf(all, "%s %d %s\n", e.Name(), len(b), b)
	}
	return string(all)
}

// The store runs inside a bubble: commits, a checkpoint against commits, a fault, with virtual time.
func TestInBubble(t *testing.T) {
	dir, failing := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := history{keys: 200, valueBytes: 400}
		s := mustOpen(t, testOptions(dir))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range uint64(3000) {
				must(t, h.commit(s, n+1))
			}
		}()
		for range 20 {
			must(t, s.Checkpoint(nil))
			time.Sleep(time.Minute)
		}
		<-done
		if n, err := h.check(s); n != 3000 || err != nil {
			t.Fatal(n, err)
		}
		must(t, s.Close())
		s = mustOpen(t, testOptions(failing))
		must(t, h.commit(s, 1))
		s.Fail(errors.New("cause"))
		if s.Close() == nil {
			t.Error("closed without an error")
		}
	})
}

package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"
)

func options(dir string) Options {
	return Options{Dir: dir, SegmentBytes: 64 << 10, Logger: zerolog.Nop(), Sync: noSync}
}

// noSync is for tests that lose no power.
func noSync(*os.File) error { return nil }

func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func entry(index, term uint64, size int) *raft.Log {
	return &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(index), byte(term)}, (size+1)/2)[:size]}
}

func run(from, to, term uint64, size int) []*raft.Log {
	var out []*raft.Log
	for i := from; i <= to; i++ {
		out = append(out, entry(i, term, size))
	}
	return out
}

func wantBounds(t testing.TB, g *Group, first, last uint64) {
	t.Helper()
	f, err := g.FirstIndex()
	check(t, err)
	l, err := g.LastIndex()
	check(t, err)
	if f != first || l != last {
		t.Fatalf("group %d: %d..%d, want %d..%d", g.id, f, l, first, last)
	}
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	check(t, os.MkdirAll(to, 0o700))
	files, err := os.ReadDir(from)
	check(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(filepath.Join(to, f.Name()), b, 0o600))
	}
}

func TestGroupKeepsEntriesExactly(t *testing.T) {
	dir := t.TempDir()
	l := open(t, options(dir))
	want := []*raft.Log{
		{Index: 7, Term: 3, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(1234567890, 987654321).UTC()},
		{Index: 8, Term: 4, Type: raft.LogNoop},
		{Index: 9, Term: 4, Type: raft.LogBarrier, Extensions: []byte{0}},
	}
	check(t, l.Group(5).StoreLogs(want))
	for range 2 { // from the cache, then from disk
		for _, w := range want {
			var got raft.Log
			check(t, l.Group(5).GetLog(w.Index, &got))
			if fmt.Sprint(got) != fmt.Sprint(*w) {
				t.Fatalf("got %v, want %v", got, *w)
			}
		}
		check(t, l.Close())
		l = open(t, options(dir))
	}
	check(t, l.Close())
}

func TestCacheDoesNotShareMemoryWithCallers(t *testing.T) {
	l := open(t, options(t.TempDir()))
	defer l.Close()
	e := entry(1, 1, 8)
	check(t, l.Group(1).StoreLog(e))
	e.Data[0], e.Term = 99, 99
	var got raft.Log
	check(t, l.Group(1).GetLog(1, &got))
	if got.Term != 1 || got.Data[0] != 1 {
		t.Fatalf("cached entry changed: %v", got)
	}
}

func TestBoundsAndDeletion(t *testing.T) {
	dir := t.TempDir()
	l := open(t, options(dir))
	g := l.Group(1)
	wantBounds(t, g, 0, 0)
	check(t, g.DeleteRange(1, 10)) // nothing there
	check(t, g.StoreLogs(run(1, 20, 1, 10)))
	if err := g.StoreLogs(run(20, 21, 2, 10)); !errors.Is(err, ErrNotContiguous) {
		t.Fatalf("overlap: %v", err)
	}
	if err := g.StoreLogs(run(22, 23, 2, 10)); !errors.Is(err, ErrNotContiguous) {
		t.Fatalf("gap: %v", err)
	}
	if err := g.StoreLogs([]*raft.Log{entry(21, 1, 1), entry(23, 1, 1)}); !errors.Is(err, ErrNotContiguous) {
		t.Fatalf("gap within: %v", err)
	}
	if err := g.DeleteRange(5, 6); !errors.Is(err, ErrMiddle) {
		t.Fatalf("middle: %v", err)
	}
	check(t, g.DeleteRange(0, 4))
	wantBounds(t, g, 5, 20)
	check(t, g.DeleteRange(15, 99))
	wantBounds(t, g, 5, 14)
	check(t, g.StoreLogs(run(15, 16, 2, 10)))
	check(t, g.DeleteRange(5, 16))
	wantBounds(t, g, 0, 0)
	check(t, g.StoreLogs(run(1000, 1001, 3, 10))) // a hole is fine when there is nothing
	check(t, l.Close())
	l = open(t, options(dir))
	defer l.Close()
	wantBounds(t, l.Group(1), 1000, 1001)
	var got raft.Log
	if err := l.Group(1).GetLog(16, &got); err != raft.ErrLogNotFound {
		t.Fatalf("deleted entry: %v", err)
	}
}

func TestStableStore(t *testing.T) {
	dir := t.TempDir()
	l := open(t, options(dir))
	g := l.Group(1)
	if _, err := g.Get([]byte("k")); err == nil || err.Error() != "not found" {
		t.Fatalf("missing key: %v", err)
	}
	if n, err := g.GetUint64([]byte("k")); n != 0 || err == nil || err.Error() != "not found" {
		t.Fatalf("missing number: %d, %v", n, err)
	}
	check(t, g.Set([]byte("k"), []byte("v1")))
	check(t, g.Set([]byte("k"), []byte("v2")))
	check(t, g.SetUint64([]byte("n"), 1<<60))
	if _, err := g.GetUint64([]byte("k")); err == nil {
		t.Fatal("a text was taken for a number")
	}
	check(t, l.Close())
	l = open(t, options(dir))
	defer l.Close()
	v, err := l.Group(1).Get([]byte("k"))
	check(t, err)
	n, err := l.Group(1).GetUint64([]byte("n"))
	check(t, err)
	if string(v) != "v2" || n != 1<<60 {
		t.Fatalf("got %q, %d", v, n)
	}
}

func TestRemoveGroup(t *testing.T) {
	dir := t.TempDir()
	l := open(t, options(dir))
	for id := uint32(1); id <= 3; id++ {
		check(t, l.Group(id).StoreLogs(run(1, 3, 1, 10)))
		check(t, l.Group(id).SetUint64([]byte("t"), 1))
	}
	check(t, l.RemoveGroup(2))
	check(t, l.RemoveGroup(9))
	for range 2 {
		if ids := l.Groups(); !slices.Equal(ids, []uint32{1, 3}) {
			t.Fatalf("groups %v", ids)
		}
		wantBounds(t, l.Group(2), 0, 0)
		if _, err := l.Group(2).Get([]byte("t")); err == nil {
			t.Fatal("a key outlived its group")
		}
		check(t, l.Close())
		l = open(t, options(dir))
	}
	check(t, l.Group(2).StoreLogs(run(50, 51, 1, 10)))
	wantBounds(t, l.Group(2), 50, 51)
	check(t, l.Close())
}

func TestBatchLargerThanASegment(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.MaxBatchBytes = 1 << 10
	l := open(t, o)
	check(t, l.Group(1).StoreLogs(run(1, 5, 1, 100)))
	check(t, l.Group(1).StoreLogs(run(6, 9, 1, 100<<10)))
	check(t, l.Group(1).StoreLogs(run(10, 12, 1, 100)))
	check(t, l.Close())
	l = open(t, o)
	defer l.Close()
	wantBounds(t, l.Group(1), 1, 12)
	for i := uint64(1); i <= 12; i++ {
		var got raft.Log
		check(t, l.Group(1).GetLog(i, &got))
	}
}

func TestCloseIsFinal(t *testing.T) {
	l := open(t, options(t.TempDir()))
	g := l.Group(1)
	check(t, g.StoreLogs(run(1, 3, 1, 10)))
	check(t, l.Close())
	var out raft.Log
	_, err1 := g.FirstIndex()
	_, err2 := g.Get([]byte("k"))
	for i, err := range []error{l.Close(), g.StoreLogs(run(4, 4, 1, 1)), g.DeleteRange(1, 3), g.Set(nil, nil), g.GetLog(1, &out), l.RemoveGroup(1), err1, err2} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, options(dir))
	check(t, l.Group(1).StoreLogs(run(1, 3, 1, 10)))
	check(t, l.Close())
	st, err := os.Stat(dir)
	check(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("directory %v", st.Mode())
	}
	files, err := os.ReadDir(dir)
	check(t, err)
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), st.Mode(), err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{}, {Dir: t.TempDir(), SegmentBytes: 100}, {Dir: t.TempDir(), SegmentBytes: 1 << 40}, {Dir: t.TempDir(), MaxBatchBytes: -1}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

package wal

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func isTemp(f *os.File) bool    { return strings.HasSuffix(f.Name(), tempSuffix) }
func isSegment(f *os.File) bool { return strings.HasSuffix(f.Name(), segmentSuffix) }

func TestFailedSyncStopsForGood(t *testing.T) {
	dir := t.TempDir()
	var fail atomic.Bool
	var failed, faults atomic.Int32
	o := options(dir)
	o.Sync = func(f *os.File) error {
		if fail.Load() && isSegment(f) {
			failed.Add(1)
			return syscall.EIO
		}
		return nil
	}
	o.OnFault = func(err error) {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("fault %v", err)
		}
		faults.Add(1)
	}
	l := open(t, o)
	g := l.Group(1)
	check(t, g.StoreLogs(run(1, 3, 1, 10)))
	fail.Store(true)
	first := g.StoreLogs(run(4, 4, 1, 10))
	fail.Store(false) // the disk is well again, but nobody knows what it lost
	var out raft.Log
	_, errFirst := g.FirstIndex()
	_, errGet := g.Get([]byte("k"))
	for i, err := range []error{first, g.StoreLogs(run(4, 4, 1, 10)), g.Set([]byte("k"), nil), g.DeleteRange(1, 2), g.GetLog(1, &out), l.RemoveGroup(1), errFirst, errGet, l.Close()} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if failed.Load() != 1 || faults.Load() != 1 {
		t.Errorf("%d syncs failed, %d faults", failed.Load(), faults.Load())
	}
	l = open(t, options(dir))
	defer l.Close()
	if _, last := l.Group(1).bounds(); last != 3 && last != 4 {
		t.Fatalf("last %d", last)
	}
}

func TestFailedMarkStopsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		o := options(t.TempDir())
		o.Sync = func(f *os.File) error {
			if fail.Load() && strings.HasSuffix(f.Name(), markName) {
				return syscall.EIO
			}
			return nil
		}
		faults := 0
		o.OnFault = func(error) { faults++ }
		l := open(t, o)
		fail.Store(true)
		check(t, l.Group(1).StoreLogs(run(1, 1, 1, 10)))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := l.Group(1).StoreLogs(run(2, 2, 1, 10)); !errors.Is(err, ErrFailed) {
			t.Errorf("after a failed mark: %v", err)
		}
		if err := l.Close(); !errors.Is(err, ErrFailed) || faults != 1 {
			t.Errorf("Close: %v, %d faults", err, faults)
		}
	})
}

// fullDisk is a disk on which no new file gets space while full is set.
type fullDisk struct{ full atomic.Bool }

func (d *fullDisk) sync(f *os.File) error {
	if d.full.Load() && isTemp(f) {
		return syscall.ENOSPC
	}
	return nil
}

// fillUp appends until there is no space, and returns the next index.
func fillUp(t *testing.T, g *Group) uint64 {
	t.Helper()
	for i := uint64(1); i < 10000; i++ {
		err := g.StoreLogs(run(i, i, 1, 100))
		if errors.Is(err, ErrNoSpace) {
			return i
		}
		check(t, err)
	}
	t.Fatal("the log never was full")
	return 0
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk fullDisk
		o := options(t.TempDir())
		o.SegmentBytes, o.Sync = 8<<10, disk.sync
		o.OnFault = func(err error) { t.Errorf("fault: %v", err) }
		l := open(t, o)
		g := l.Group(1)
		synctest.Wait() // the next segment is there
		disk.full.Store(true)
		next := fillUp(t, g)
		if n := l.Stats().Bytes; n < 2*7000 {
			t.Errorf("gave up after %d bytes, with a next segment at hand", n)
		}
		for i := uint64(1); i < next; i += 10 { // reads go on
			var out raft.Log
			check(t, g.GetLog(i, &out))
		}
		check(t, g.SetUint64([]byte("CurrentTerm"), 5)) // raft panics when it cannot store its term
		check(t, g.DeleteRange(next-1, next-1))
		if err := g.StoreLogs(run(next-1, next-1, 5, 100)); !errors.Is(err, ErrNoSpace) {
			t.Errorf("still full: %v", err)
		}
		wantBounds(t, g, 1, next-2)
		disk.full.Store(false)
		check(t, g.StoreLogs(run(next-1, next+40, 5, 100))) // at once, without waiting for a retry
		check(t, l.Close())
		l = open(t, o)
		wantBounds(t, l.Group(1), 1, next+40)
		check(t, l.Close())
	})
}

// TestFullDiskHealsItself: the log's own deletions make room. Nothing else frees space here.
func TestFullDiskHealsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t.TempDir())
		files := 0
		o.SegmentBytes = 8 << 10
		o.Sync = func(f *os.File) error {
			if isTemp(f) && isSegmentCount(t, o.Dir) >= 4 {
				files++
				return syscall.ENOSPC
			}
			return nil
		}
		l := open(t, o)
		defer l.Close()
		check(t, l.Group(2).Set([]byte("k"), []byte("v"))) // pins the first segment
		g := l.Group(1)
		next := fillUp(t, g)
		check(t, g.DeleteRange(1, next-2))
		synctest.Wait()
		check(t, g.StoreLogs(run(next, next+30, 1, 100)))
		if v, err := l.Group(2).Get([]byte("k")); err != nil || string(v) != "v" {
			t.Errorf("%s, %v", v, err)
		}
		if files == 0 {
			t.Error("vacuous: the disk was never full")
		}
	})
}

func isSegmentCount(t *testing.T, dir string) int {
	n, _, err := list(dir)
	check(t, err)
	return len(n)
}

// gate holds back the syncs of batches.
type gate struct {
	closed atomic.Bool
	open   chan struct{}
	held   atomic.Int32
}

func (g *gate) wait(f *os.File) {
	if isSegment(f) && g.closed.Load() {
		g.held.Add(1)
		<-g.open
	}
}

// TestNoSpaceFailsAppendsOnly: keys and deletions that share a batch with appends survive, and appends that were checked against refused ones
// fail with them.
func TestNoSpaceFailsAppendsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk fullDisk
		gt := gate{open: make(chan struct{})}
		o := options(t.TempDir())
		o.SegmentBytes = 8 << 10
		o.MaxBatchBytes = 2000
		o.Sync = func(f *os.File) error {
			gt.wait(f)
			return disk.sync(f)
		}
		l := open(t, o)
		synctest.Wait()
		disk.full.Store(true)
		g := l.Group(1)
		next := fillUp(t, g)
		gt.closed.Store(true)
		var wg sync.WaitGroup
		go func() { check(t, l.Group(9).Set([]byte("first"), nil)) }() // holds the writer
		synctest.Wait()
		var e1, e2, e3, e4 error
		wg.Go(func() { e1 = g.StoreLogs(run(next, next+2, 1, 400)) })
		synctest.Wait()
		wg.Go(func() { e2 = g.Set([]byte("vote"), []byte("me")) })
		synctest.Wait()
		wg.Go(func() { e3 = g.StoreLogs(run(next+3, next+6, 1, 400)) }) // another batch, counts on the first
		synctest.Wait()
		wg.Go(func() { e4 = g.DeleteRange(1, 3) })
		synctest.Wait()
		gt.closed.Store(false)
		close(gt.open)
		wg.Wait()
		if !errors.Is(e1, ErrNoSpace) || !errors.Is(e3, ErrNoSpace) || e2 != nil || e4 != nil {
			t.Errorf("%v, %v, %v, %v", e1, e2, e3, e4)
		}
		wantBounds(t, g, 4, next-1)
		disk.full.Store(false)
		check(t, g.StoreLogs(run(next, next, 2, 100)))
		check(t, l.Close())
		l = open(t, o)
		wantBounds(t, l.Group(1), 4, next)
		if v, err := l.Group(1).Get([]byte("vote")); err != nil || string(v) != "me" {
			t.Errorf("vote %q, %v", v, err)
		}
		check(t, l.Close())
	})
}

func TestGroupsShareSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t.TempDir())
		o.SegmentBytes = 1 << 20
		o.Sync = func(f *os.File) error {
			if isSegment(f) {
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		}
		l := open(t, o)
		synctest.Wait()
		before := l.Stats().Syncs
		start := time.Now()
		var wg sync.WaitGroup
		for id := range uint32(16) {
			wg.Go(func() {
				for i := uint64(1); i <= 10; i++ {
					check(t, l.Group(id).StoreLogs(run(i, i, 1, 50)))
				}
			})
		}
		wg.Wait()
		if n := l.Stats().Syncs - before; n > 21 {
			t.Errorf("%d syncs for 160 calls of 16 groups", n)
		}
		if d := time.Since(start); d > 210*time.Millisecond {
			t.Errorf("took %v", d)
		}
		check(t, l.Close())
	})
}

func TestBatchesAreSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := gate{open: make(chan struct{})}
		o := options(t.TempDir())
		o.SegmentBytes, o.MaxBatchBytes = 1<<20, 1000
		o.Sync = func(f *os.File) error { gt.wait(f); return nil }
		l := open(t, o)
		synctest.Wait()
		gt.closed.Store(true)
		var wg sync.WaitGroup
		for id := range uint32(10) {
			wg.Go(func() { check(t, l.Group(id).StoreLogs(run(1, 1, 1, 400))) })
		}
		synctest.Wait()
		gt.closed.Store(false)
		close(gt.open)
		wg.Wait()
		if n := l.Stats().Syncs; n < 5 {
			t.Errorf("%d batches for 10 calls of 450 bytes with a limit of 1000", n)
		}
		check(t, l.Close())
	})
}

// TestMarkFollows: the mark is written within a second after a batch, not with each batch, and not when nothing changes.
func TestMarkFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		marks := atomic.Int32{}
		o := options(t.TempDir())
		o.SegmentBytes = 1 << 20
		o.Sync = func(f *os.File) error {
			if strings.HasSuffix(f.Name(), markName) {
				marks.Add(1)
			}
			return nil
		}
		l := open(t, o)
		synctest.Wait()
		marks.Store(0)
		for i := uint64(1); i <= 300; i++ {
			check(t, l.Group(1).StoreLogs(run(i, i, 1, 50)))
			time.Sleep(10 * time.Millisecond)
		}
		if n := marks.Load(); n < 2 || n > 4 {
			t.Errorf("%d marks in 3 s of writing", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m, err := openMark(o)
		check(t, err)
		if m.mark.seq != l.Stats().Sequence || m.mark.clean {
			t.Errorf("mark %+v at batch %d", m.mark, l.Stats().Sequence)
		}
		check(t, m.f.Close())
		if n := marks.Load(); n > 5 {
			t.Errorf("%d marks", n)
		}
		check(t, l.Close())
		m, err = openMark(o)
		check(t, err)
		if !m.mark.clean {
			t.Error("not clean after Close")
		}
		check(t, m.f.Close())
	})
}

// TestColdGroupDoesNotPinTheLog: the disk stays bounded while one group writes and deletes, and another holds old entries.
func TestColdGroupDoesNotPinTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t.TempDir())
		o.SegmentBytes = 16 << 10
		l := open(t, o)
		cold := l.Group(1)
		check(t, cold.StoreLogs(run(1, 100, 7, 140))) // more than one segment, all live
		check(t, cold.SetUint64([]byte("CurrentTerm"), 7))
		hot := l.Group(2)
		for i := uint64(1); i <= 2000; i++ {
			check(t, hot.StoreLogs(run(i, i, 1, 500)))
			if i > 10 {
				check(t, hot.DeleteRange(i-10, i-10))
			}
		}
		synctest.Wait()
		s := l.Stats()
		if s.DiskBytes > 12*o.SegmentBytes || s.CopiedBytes == 0 || s.CopiedBytes > s.Bytes/2 {
			t.Errorf("%d bytes on disk, %d of %d copied", s.DiskBytes, s.CopiedBytes, s.Bytes)
		}
		check(t, l.Close())
		l = open(t, o)
		wantBounds(t, l.Group(1), 1, 100)
		wantBounds(t, l.Group(2), 1991, 2000)
		for i := uint64(1); i <= 100; i++ {
			var out raft.Log
			check(t, l.Group(1).GetLog(i, &out))
		}
		check(t, l.Close())
	})
}

// TestReadersAndCollection reads without the cache while segments come and go.
func TestReadersAndCollection(t *testing.T) {
	o := options(t.TempDir())
	o.SegmentBytes = 4 << 10
	l := open(t, o)
	check(t, l.Group(1).StoreLogs(run(1, 20, 7, 100)))
	check(t, l.Close())
	l = open(t, o) // with an empty cache
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				for i := uint64(1); i <= 20; i++ {
					var out raft.Log
					if err := l.Group(1).GetLog(i, &out); err != nil || out.Index != i {
						t.Errorf("entry %d: %v %v", i, out.Index, err)
						return
					}
				}
			}
		})
	}
	for i := uint64(1); i <= 500; i++ {
		check(t, l.Group(2).StoreLogs(run(i, i, 1, 500)))
		check(t, l.Group(2).DeleteRange(i, i))
	}
	stop.Store(true)
	wg.Wait()
	if oldest(l) < 5 || l.Stats().CopiedBytes == 0 {
		t.Errorf("vacuous: oldest segment %d", oldest(l))
	}
	check(t, l.Close())
}

// TestMarkMovesBeforeSegmentsGo: when the mark says that the log begins later, the older segments are still there; and an
// opened log was synced before anyone could rely on it.
func TestMarkMovesBeforeSegmentsGo(t *testing.T) {
	dir := t.TempDir()
	var moved atomic.Int32
	var first atomic.Uint64
	o := options(dir)
	o.SegmentBytes = 4 << 10
	o.Sync = func(f *os.File) error {
		if !strings.HasSuffix(f.Name(), markName) {
			return nil
		}
		var b [markBytes]byte
		if _, err := f.ReadAt(b[:], 0); err != nil {
			return err
		}
		m, err := decodeMark(b[:])
		if err != nil {
			return err
		}
		for n := first.Swap(m.first); n > 0 && n < m.first; n++ {
			if _, err := os.Stat(segmentPath(dir, n)); err != nil {
				t.Errorf("segment %d went before the mark moved: %v", n, err)
			}
			moved.Add(1)
		}
		return nil
	}
	l := open(t, o)
	for i := uint64(1); i <= 100; i++ {
		check(t, l.Group(1).StoreLogs(run(i, i, 1, 500)))
		check(t, l.Group(1).DeleteRange(i, i))
	}
	check(t, l.Close())
	if moved.Load() == 0 {
		t.Error("vacuous: no segment was removed")
	}
	var synced atomic.Bool
	o.Sync = func(f *os.File) error {
		synced.Store(synced.Load() || isSegment(f))
		return nil
	}
	l = open(t, o)
	if !synced.Load() {
		t.Error("Open did not sync what it read")
	}
	check(t, l.Close())
}

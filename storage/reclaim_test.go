package storage

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// fillAndDelete writes values and deletes nearly all of them, in an order that leaves the deletions apart from what they delete.
func fillAndDelete(t *testing.T, s *Store, n int) {
	t.Helper()
	value := make([]byte, 10_000) // so that the deletions of all of them fit one memtable
	for pass := range 2 {
		for i := 0; i < n; i += 10 {
			b := s.NewBatch()
			for k := i; k < i+10; k++ {
				if key := fmt.Appendf(nil, "k%07d", k*7919%n); pass == 0 {
					b.Set(key, value)
				} else if k%100 != 0 {
					b.Delete(key)
				}
			}
			must(t, b.Commit())
		}
	}
}

// The space of what was deleted is free after a reclaim, and what was not deleted is there.
func TestReclaim(t *testing.T) {
	o := testOptions(t.TempDir())
	s := mustOpen(t, o)
	const n = 2000
	fillAndDelete(t, s, n)
	defer s.Close()
	before, err := s.Size()
	must(t, err)
	if !s.Reclaim() {
		t.Fatal("nothing was begun")
	}
	<-s.reclaiming.done
	after, err := s.Size()
	must(t, err)
	if before < 2<<20 || after > before/4 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	b := s.NewBatch()
	defer b.Discard()
	for k := range n {
		_, ok, err := b.Get(fmt.Appendf(nil, "k%07d", k*7919%n))
		must(t, err)
		if ok != (k%100 == 0) {
			t.Fatalf("key %d is there: %v", k, ok)
		}
	}
}

// Closing does not wait for a reclaim that takes long: everything is durable, and nobody opens the store before the process ends.
func TestCloseDuringReclaim(t *testing.T) {
	o := testOptions(t.TempDir())
	s := mustOpen(t, o)
	fillAndDelete(t, s, 1000)
	long := make(chan struct{})
	s.reclaiming.done = long
	start := time.Now()
	if s.Reclaim() {
		t.Error("a second reclaim began")
	}
	if err := s.Close(); err != nil || time.Since(start) < reclaimCloseWait {
		t.Errorf("closed after %v: %v", time.Since(start), err)
	}
	if s.Reclaim() {
		t.Error("a reclaim of a closed store")
	}
	if _, err := Open(o); !errors.Is(err, ErrInUse) {
		t.Errorf("opened again: %v", err)
	}
	crashed := o
	crashed.Dir = copyDir(t, o.Dir) // as it is on disk, before Badger has closed anything
	crashed.BootID = "after a power cut"
	must(t, s.db.Close())
	must(t, s.lock.Close())
	for _, o := range []Options{o, crashed} {
		again := mustOpen(t, o)
		snap := again.Snapshot()
		left := 0
		must(t, snap.Scan([]byte("k"), []byte("l"), false, true, func(_, _ []byte) (bool, error) { left++; return true, nil }))
		snap.Close()
		if left != 10 {
			t.Errorf("%d keys are there", left)
		}
		must(t, again.Close())
	}
}

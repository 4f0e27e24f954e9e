package partition

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"kahuna/fsm"
	"kahuna/op"
)

func pending(ops, bytes int) *Pending {
	return &Pending{ops: make(fsm.Unit, ops), encoded: make([]byte, bytes), done: make(chan struct{})}
}

// What goes in comes out once, whole and in order, within the limits of an entry.
func TestQueueKeepsOrderAndLimits(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		q := newQueue(Limits{QueueOps: 40, QueueBytes: 400, EntryOps: 10, EntryBytes: 100})
		var in, out []*Pending
		for len(in) < 300 {
			p := pending(1+rng.IntN(12), rng.IntN(150))
			before := [3]int{q.ops, q.bytes, len(q.units)}
			err := q.put(p)
			switch {
			case err == nil:
				in = append(in, p)
			case !errors.Is(err, ErrFull) || before != [3]int{q.ops, q.bytes, len(q.units)}:
				t.Fatalf("refused with %v: %v became %v", err, before, [3]int{q.ops, q.bytes, len(q.units)})
			}
			if q.ops > 40 || q.bytes > 400 && len(q.units) > 1 {
				t.Fatalf("%d operations of %d bytes wait", q.ops, q.bytes)
			}
			if err != nil || rng.IntN(4) == 0 && len(q.units) > 0 {
				out = append(out, checkEntry(t, q)...)
			}
		}
		for q.waiting() > 0 {
			out = append(out, checkEntry(t, q)...)
		}
		if fmt.Sprint(in) != fmt.Sprint(out) || q.bytes != 0 {
			t.Fatal("another order, or something was lost")
		}
	}
}

func checkEntry(t *testing.T, q *queue) []*Pending {
	t.Helper()
	got := q.take()
	ops, bytes := 0, 0
	for _, p := range got {
		ops, bytes = ops+len(p.ops), bytes+len(p.encoded)
	}
	if len(got) == 0 || len(got) > 1 && (ops > q.limits.EntryOps || bytes > q.limits.EntryBytes) {
		t.Fatalf("an entry of %d units, %d operations, %d bytes", len(got), ops, bytes)
	}
	return got
}

// A unit that is larger than the queue is taken when nothing else waits: it would be refused for ever otherwise.
func TestQueueTakesALargeUnitAlone(t *testing.T) {
	q := newQueue(Limits{QueueOps: 10, QueueBytes: 100, EntryOps: 10, EntryBytes: 100})
	if err := q.put(pending(1, 500)); err != nil {
		t.Fatal(err)
	}
	if err := q.put(pending(1, 1)); !errors.Is(err, ErrFull) {
		t.Fatalf("behind it: %v", err)
	}
}

func TestQueueStops(t *testing.T) {
	q := newQueue(Limits{QueueOps: 10, QueueBytes: 100, EntryOps: 10, EntryBytes: 100})
	p := pending(1, 1)
	if err := q.put(p); err != nil {
		t.Fatal(err)
	}
	if left := q.stop(); len(left) != 1 || left[0] != p {
		t.Errorf("left: %v", left)
	}
	if err := q.put(pending(1, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("after it stopped: %v", err)
	}
	if got := q.take(); len(got) != 0 {
		t.Errorf("taken after it stopped: %v", got)
	}
}

// TestHoldKeepsTheQueue sees that what is put between hold and release goes into one entry, whoever waits for it meanwhile.
func TestHoldKeepsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(Limits{QueueOps: 10, QueueBytes: 1000, EntryOps: 10, EntryBytes: 1000})
		taken := make(chan []*Pending, 1)
		go func() { taken <- q.take() }()
		synctest.Wait()
		q.hold()
		put := func() {
			if err := q.put(&Pending{ops: fsm.Unit{&op.LockRelease{}}}); err != nil {
				t.Fatal(err)
			}
		}
		put()
		synctest.Wait()
		put()
		q.release()
		if n := len(<-taken); n != 2 {
			t.Errorf("%d units in the entry", n)
		}
	})
}

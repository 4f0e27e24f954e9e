package coord_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/op"
	"kahuna/txn/coord"
)

var locking = coord.BeginOptions{Pessimistic: true}

func incr(key string) op.Op { return &op.Incr{Key: []byte(key), Delta: 1} }

// Who comes later waits for the earlier one, sees what it left, and does not conflict.
func TestLaterWaits(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"), set(b, "0"))
		for _, ops := range [][2]op.Op{{incr(a), incr(a)}, {get(a), incr(a)}, {scanOf("key"), incr(b)}, {incr(b), scanOf("key")},
			{&op.Count{Space: op.SpaceKey}, set("new", "1")}, {incr(b), &op.Scan{Space: op.SpaceKey, ByName: true, Start: []byte("k"), Limit: 10}}} {
			first, second := w.begin(w.c, locking), w.begin(w.c, locking)
			first.do(ops[0])
			done := make(chan []op.Outcome, 1)
			go func() { done <- second.do(ops[1]) }()
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			select {
			case <-done:
				w.t.Errorf("%T did not wait for %T", ops[1], ops[0])
			default:
			}
			first.do(set(w.keys[2], "first"))
			first.mustCommit()
			<-done
			if second.text(w.keys[2]) != "first" {
				w.t.Errorf("%T, which waited, does not see what came before", ops[1])
			}
			second.do(set(w.keys[3], "second"))
			second.mustCommit()
		}
	})
}

// Who came earlier takes the lock of a later one, which gives way.
func TestEarlierTakesOver(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a := w.keys[0]
		w.must(set(a, "0"))
		for _, ops := range [][2]op.Op{{incr(a), incr(a)}, {scanOf("key"), incr(a)}, {incr(a), scanOf("key")}} {
			first, second := w.begin(w.c, locking), w.begin(w.c, locking)
			second.do(ops[0], set(w.keys[1], "2"))
			first.do(ops[1], set(w.keys[2], "1"))
			if err := second.commit(); !errors.Is(err, coord.ErrConflict) {
				w.t.Errorf("%T gave no way to %T: %v", ops[0], ops[1], err)
			}
			first.mustCommit()
		}
	})
}

// Two that lock in opposite orders do not wait for each other for ever, and the earlier one wins.
func TestNoDeadlock(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"), set(b, "0"))
		first, second := w.begin(w.c, locking), w.begin(w.c, locking)
		first.do(incr(a))
		second.do(incr(b))
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := second.try(incr(a))
			done <- errors.Join(err, second.commit())
		}()
		synctest.Wait()
		first.do(incr(b))
		first.mustCommit()
		if err := <-done; !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("the later one ends with %v", err)
		}
		if d := time.Since(began); d > 2*time.Second {
			w.t.Errorf("it took %v", d)
		}
		w.want(w.values(a, b), "1", "1")
	})
}

// Writers of one counter, one after the other: nobody loses, and nothing is lost.
func TestQueueOnOneKey(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"), set(b, "0"))
		const n = 12
		var order []op.Timestamp
		var mu sync.Mutex
		var running sync.WaitGroup
		for range n {
			x := w.begin(w.c, coord.BeginOptions{Pessimistic: true, Timeout: time.Minute})
			running.Go(func() {
				x.do(incr(a))
				time.Sleep(50 * time.Millisecond)
				x.do(incr(b))
				mu.Lock()
				order = append(order, x.Start())
				mu.Unlock()
				x.mustCommit()
			})
			synctest.Wait()
		}
		running.Wait()
		w.want(w.values(a, b), fmt.Sprint(n), fmt.Sprint(n))
		for i := 1; i < len(order); i++ {
			if order[i] < order[i-1] {
				w.t.Errorf("%d came before %d, which began earlier", order[i-1], order[i])
			}
		}
	})
}

// The snapshot moves on to what has been waited for only when all that was read before is still so.
func TestSnapshotMovesOn(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		w.must(set(a, "0"), set(b, "0"))
		x := w.begin(w.c, locking)
		w.want([]string{x.text(a)}, "0")
		w.must(set(b, "1"))
		w.want([]string{x.text(b)}, "1")
		x.do(set(c, "1"))
		x.mustCommit()

		y := w.begin(w.c, locking)
		w.want([]string{y.text(a)}, "0")
		w.must(set(a, "1"), set(b, "2")) // no transaction, so it does not wait
		if _, err := y.try(get(b)); !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("the new value of one name beside the old one of another: %v", err)
		}
		if err := y.commit(); !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("commit: %v", err)
		}
		z := w.begin(w.c, locking)
		if n := len(z.do(scanOf("z"))[0].Items); n > 0 {
			w.t.Errorf("%d names", n)
		}
		w.must(set("z1", "1"), set(a, "2"))
		if _, err := z.try(get(a)); !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("a name that came into a range that was scanned: %v", err)
		}
		z.Rollback()
	})
}

// Locks are let go at the end, whatever it is, and those of one whose node has died when their time is over.
func TestLocksAreLetGo(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a := w.keys[0]
		w.must(set(a, "0"))
		ends := map[string]func(x session){
			"commit":   func(x session) { x.mustCommit() },
			"rollback": func(x session) { x.Rollback() },
			"timeout":  func(x session) { time.Sleep(1100 * time.Millisecond) },
			"conflict": func(x session) { x.do(get(w.keys[1])); w.must(set(w.keys[1], "x")); _ = x.commit() },
		}
		for name, end := range ends {
			x := w.begin(w.c, coord.BeginOptions{Pessimistic: true, Timeout: time.Second})
			y := w.begin(w.other, locking)
			x.do(incr(a))
			end(x)
			began := time.Now()
			y.do(incr(a))
			if d := time.Since(began); d > 100*time.Millisecond {
				w.t.Errorf("after %s the lock is held for %v", name, d)
			}
			y.mustCommit()
		}
		w.steps.set(func(step string, _ []op.Op) error {
			if step == "release" {
				return errDead
			}
			return nil
		}, nil)
		x, y := w.begin(w.c, coord.BeginOptions{Pessimistic: true, Timeout: time.Second}), w.begin(w.other, coord.BeginOptions{Pessimistic: true, Timeout: time.Minute})
		x.do(incr(a))
		x.Rollback()
		y.do(incr(a))
		y.mustCommit()
	})
}

// Without the locks, lost with a leader or refused, nothing wrong comes out: it only conflicts.
func TestLocksAreOnlyAdvice(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"), set(b, "0"))
		lost := lockless{w.steps}
		c := coord.New(lost, options())
		defer c.Close()
		first, second := w.begin(c, locking), w.begin(c, locking)
		first.do(incr(a), get(b))
		second.do(get(a), incr(b))
		errs := []error{first.commit(), second.commit()}
		if (errs[0] == nil) == (errs[1] == nil) {
			w.t.Errorf("write skew: %v", errs)
		}
		if all := strings.Join(w.values(a, b), ""); all != "10" && all != "01" {
			w.t.Errorf("%s", all)
		}
	})
}

// lockless forgets every lock at once.
type lockless struct{ *steps }

func (l lockless) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	if _, ok := ops[0].(*op.Advise); ok {
		out := make([]op.Outcome, len(ops))
		for i := range out {
			out[i].Done = true
		}
		return out
	}
	return l.steps.Do(ctx, ops)
}

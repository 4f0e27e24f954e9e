package coord_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/txn/coord"
)

// atomic runs operations that are known beforehand as one transaction.
func (w *world) atomic(ops ...op.Op) ([]op.Result, error) {
	results, done, err := w.c.Atomic(context.Background(), ops, nil)
	if err == nil && !done {
		w.t.Error("a transaction without watches is not done")
	}
	return results, err
}

// tried runs an operation that is not to wait for transactions.
func (w *world) tried(o op.Op) op.Outcome {
	return w.n.Router().Try(context.Background(), []op.Op{o})[0]
}

// What a part has read is as it was until the transaction commits, though nothing is written there; reading it goes on.
func TestDirectGuardsWhatItRead(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"))
		w.steps.once("commit", func() error {
			if out := w.tried(set(a, "2")); out.Status != op.Conflict {
				w.t.Errorf("what the transaction has read was written: %+v", out)
			}
			w.want([]string{text(w.tried(get(a)))}, "0")
			return nil
		})
		results, err := w.atomic(set(b, "1"), get(a))
		if err != nil || string(results[1].Value) != "0" {
			w.t.Fatal(results, err)
		}
		w.must(set(a, "2"))
		w.want(w.values(a, b), "2", "1")
	})
}

// Readers meet what a part has written, and see all of the transaction once it has committed, and nothing before.
func TestDirectIsSeenWhole(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		before := func(step string, _ []op.Op) error {
			if step == "commit" {
				if out := w.tried(get(b)); out.Status != op.Conflict {
					w.t.Errorf("a read of what is not decided: %+v", out)
				}
			}
			return nil
		}
		after := func(step string, _ []op.Op) error {
			if step == "commit" {
				w.want(w.values(b, a), "1", "1")
			}
			return nil
		}
		w.steps.set(before, after)
		if _, err := w.atomic(set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
	})
}

// A reader that has waited in vain ends a transaction without a record; its commit comes too late then, and when it comes after the
// deadline anyway.
func TestDirectTooLate(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		for _, late := range []time.Duration{time.Millisecond, time.Second} {
			w.steps.once("commit", func() error {
				time.Sleep(options().Deadline + late)
				if late == time.Second {
					w.want(w.values(b), "-")
				}
				return nil
			})
			if _, err := w.atomic(set(a, "1"), set(b, "1")); !errors.Is(err, coord.ErrConflict) {
				w.t.Error(err)
			}
			w.want(w.values(a, b), "-", "-")
		}
	})
}

// A commit that was given up, for its end was not seen, does not happen later.
func TestDirectGivenUp(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		var late []op.Op
		w.steps.set(func(step string, ops []op.Op) error {
			if step != "commit" {
				return nil
			}
			late = ops
			return fmt.Errorf("%w: injected", cluster.ErrUncertain)
		}, nil)
		if _, err := w.atomic(set(a, "1"), set(b, "1")); !errors.Is(err, cluster.ErrTryAgain) {
			w.t.Error(err)
		}
		w.want(w.values(a, b), "-", "-")
		time.Sleep(100 * time.Millisecond) // what follows in the background has been done
		if out := w.tried(late[0]); out.Status != op.Aborted {
			w.t.Errorf("the late commit: %+v", out)
		}
		w.want(w.values(a, b), "-", "-")
	})
}

// What a part has seen runs out before the commit.
func TestDirectExpiry(t *testing.T) {
	scripted(t, func(w *world) {
		short := w.keys[1]
		w.must(&op.Set{Key: []byte(short), Value: []byte("1"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 100}})
		w.steps.once("commit", func() error { time.Sleep(150 * time.Millisecond); return nil })
		if _, err := w.atomic(set(w.keys[0], "1"), get(short)); !errors.Is(err, coord.ErrConflict) {
			w.t.Error(err)
		}
		w.want(w.values(w.keys[0], short), "-", "-")
	})
}

// A watch holds from a part's entry on until the commit, at home and elsewhere, or nothing happens.
func TestDirectWatches(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		for i, watched := range []string{a, b, c} {
			for _, step := range []string{"prepare", "commit"} {
				value := fmt.Sprint(i, step)
				v := w.must(&op.Version{Name: op.Key([]byte(watched))})[0]
				broken := false
				w.steps.once(step, func() error { broken = w.tried(set(watched, "other")).Status == op.OK; return nil })
				_, done, err := w.c.Atomic(context.Background(), []op.Op{set(a, value), set(b, value)},
					[]op.Seen{{Name: op.Key([]byte(watched)), TS: v.TS, Live: v.Found}})
				if err != nil || done == broken {
					w.t.Errorf("%s is written at %s: %v; done %v, %v", watched, step, broken, done, err)
				}
				if step == "commit" && broken != (watched == a) {
					w.t.Errorf("%s is written at %s: %v", watched, step, broken)
				}
				if done {
					w.want(w.values(a, b), value, value)
				}
			}
		}
	})
}

// A lock and a sequence elsewhere take part with all that belongs to them.
func TestDirectLocksAndSequences(t *testing.T) {
	scripted(t, func(w *world) {
		next := &op.SeqNext{Name: []byte(w.keys[1]), Count: 1, Idem: []byte("once"), IdemMilli: 60000}
		lock := &op.LockAcquire{Name: []byte(w.keys[2]), Owner: []byte("me"), TTLMilli: 1000}
		results, err := w.atomic(set(w.keys[0], "1"), next, lock, &op.LockInfo{Name: lock.Name})
		if err != nil || results[1].Int != 1 || !results[2].Done || !results[3].Found {
			w.t.Fatal(results, err)
		}
		if again := w.must(next)[0]; again.Int != 1 {
			w.t.Errorf("the same call again gives %d", again.Int)
		}
		if info := w.must(&op.LockInfo{Name: lock.Name})[0]; !info.Found || int64(info.Lock.Holds[0].Token) != results[2].Int {
			w.t.Errorf("%+v", info.Lock)
		}
		time.Sleep(1100 * time.Millisecond)
		if info := w.must(&op.LockInfo{Name: lock.Name})[0]; info.Found {
			w.t.Error("the lease does not end")
		}
	})
}

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

// A watch holds only as long as the very version stays: a change and a change back count, and so does its expiry.
func TestWatches(t *testing.T) {
	for name, key := range map[string]func(w *world) string{
		"one entry":      func(w *world) string { return w.keys[0] },
		"two partitions": func(w *world) string { return w.keys[1] },
	} {
		t.Run(name, func(t *testing.T) {
			scripted(t, func(w *world) {
				a, b := w.keys[0], key(w)
				watched := func(change ...op.Op) bool {
					w.t.Helper()
					v := w.must(&op.Version{Name: op.Key([]byte(a))})[0]
					if len(change) > 0 {
						w.must(change...)
					}
					time.Sleep(200 * time.Millisecond)
					_, done, err := w.c.Atomic(context.Background(), []op.Op{set(b, "new")}, []op.Seen{{Name: op.Key([]byte(a)), TS: v.TS, Live: v.Found}})
					if err != nil {
						w.t.Errorf("%v", err)
					}
					return done
				}
				if !watched() {
					w.t.Error("an absent name that stayed absent")
				}
				w.must(&op.Delete{Key: []byte(a)})
				if watched(set(a, "1")) {
					w.t.Error("a name that was made")
				}
				if !watched() {
					w.t.Error("a name that stayed as it was")
				}
				w.must(set(a, "1"))
				if watched(set(a, "1")) {
					w.t.Error("a name that got the same value again")
				}
				if watched(set(a, "2"), set(a, "1")) {
					w.t.Error("a name that changed there and back")
				}
				if watched(&op.Delete{Key: []byte(a)}, set(a, "1")) {
					w.t.Error("a name that was deleted and made again")
				}
				w.must(&op.Set{Key: []byte(a), Value: []byte("1"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 100}})
				if watched() {
					w.t.Error("a name that ran out")
				}
			})
		})
	}
}

// A watch that holds at the snapshot and is broken before the commit.
func TestWatchBrokenDuringCommit(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		o := options()
		o.Direct = false
		bySnapshot := coord.New(w.steps, o)
		defer bySnapshot.Close()
		for _, step := range []string{"prewrite", "check"} {
			v := w.must(&op.Version{Name: op.Key([]byte(a))})[0]
			w.steps.once(step, func() error { w.must(set(a, step)); return nil })
			_, done, err := bySnapshot.Atomic(context.Background(), []op.Op{set(b, "new")}, []op.Seen{{Name: op.Key([]byte(a)), TS: v.TS, Live: v.Found}})
			if done && err == nil {
				w.t.Errorf("broken at %s, and the transaction is done", step)
			}
			w.want(w.values(b), "-")
		}
	})
}

// Conflicts are run again with a fresh snapshot, and not for ever.
func TestRetries(t *testing.T) {
	scripted(t, func(w *world) {
		o := options()
		o.Retry = time.Second
		c := coord.New(w.steps, o)
		defer c.Close()
		a, b, n := w.keys[0], w.keys[1], 0
		incr := &op.Incr{Key: []byte(a), Delta: 1}
		w.steps.set(func(step string, _ []op.Op) error {
			if step != "prewrite" {
				return nil
			}
			if n++; n < 8 {
				w.must(incr)
			}
			return nil
		}, nil)
		w.must(set(a, "0"))
		if _, err := transact(c, incr, set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		n = -1 << 40
		start := time.Now()
		if _, err := transact(c, incr, set(b, "2")); !errors.Is(err, coord.ErrConflict) || time.Since(start) > 3*time.Second {
			w.t.Errorf("a transaction that never wins ends after %v with %v", time.Since(start), err)
		}
		w.want(w.values(b), "1")
	})
}

// Locks that are taken in a transaction can be read in it, and their tokens rise.
func TestLocksInTransactions(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := []byte(w.keys[0]), []byte(w.keys[1])
		last := int64(0)
		for range 3 {
			out, err := transact(w.c, &op.LockInfo{Name: a}, &op.LockAcquire{Name: a, Owner: []byte("o"), TTLMilli: 1000}, &op.LockInfo{Name: a},
				&op.LockAcquire{Name: b, Owner: []byte("o"), TTLMilli: 1000}, &op.LockAcquire{Name: a, Owner: []byte("p"), TTLMilli: 1000})
			if err != nil {
				w.t.Fatal(err)
			}
			if out[0].Found || !out[1].Done || !out[2].Found || !out[3].Done || out[4].Done {
				w.t.Errorf("%+v", out)
			}
			if out[1].Int <= last || out[3].Int <= out[1].Int {
				w.t.Errorf("tokens %d, %d after %d", out[1].Int, out[3].Int, last)
			}
			last = out[3].Int
			w.commit(&op.LockRelease{Name: a, Owner: []byte("o")}, &op.LockRelease{Name: b, Owner: []byte("o")})
			got := w.must(&op.LockAcquire{Name: a, Owner: []byte("q"), TTLMilli: 1000})[0]
			if !got.Done || got.Int <= last {
				w.t.Errorf("token %d after %d", got.Int, last)
			}
			last = got.Int
			w.must(&op.LockRelease{Name: a, Owner: []byte("q")})
		}
	})
}

// A lease that a transaction has laid ends like any other.
func TestLeaseOfTransactionEnds(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := []byte(w.keys[0]), []byte(w.keys[1])
		w.commit(&op.LockAcquire{Name: a, Owner: []byte("o"), TTLMilli: 1000}, &op.LockAcquire{Name: b, Owner: []byte("o"), TTLMilli: 1000})
		time.Sleep(900 * time.Millisecond)
		if !w.must(&op.LockInfo{Name: a})[0].Found {
			w.t.Error("the lease was ended early")
		}
		time.Sleep(200 * time.Millisecond)
		for _, name := range [][]byte{a, b} {
			if got := w.must(&op.LockAcquire{Name: name, Owner: []byte("p"), TTLMilli: 1000})[0]; !got.Done {
				w.t.Error("the lease is not over")
			}
		}
	})
}

// A value that is not kept once it is replaced is no reason to end a transaction, only to begin it anew.
func TestUnkeptVersions(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		o := options()
		o.Retry = time.Second
		c := coord.New(w.steps, o)
		defer c.Close()
		norev := func(v string) op.Op { return &op.Set{Key: []byte(a), Value: []byte(v), NoRev: true} }
		for _, look := range []op.Op{get(a), &op.Scan{Space: op.SpaceKey, Limit: 10}, &op.Count{Space: op.SpaceKey}} {
			w.must(norev("1"))
			n := 0
			_, err := c.Transact(ctx, nil, func(tx coord.Doer) error {
				if n++; n == 1 {
					w.must(norev("2"))
				}
				out := tx.Do(ctx, []op.Op{look, set(b, "x")})
				if out[0].Err == nil && out[0].Status != op.OK {
					w.t.Errorf("%T: %+v", look, out[0])
				}
				return out[0].Err
			})
			if err != nil || n != 2 {
				w.t.Errorf("%T: %d attempts, %v", look, n, err)
			}
		}
	})
}

// What does not fit is refused as too large, at once, and nothing of it is there.
func TestTooLarge(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		long := func(i int) string { return fmt.Sprintf("{%s}%0200d", a, i) }
		var names []op.Op
		for i := range 3000 {
			names = append(names, set(long(i), "x"))
		}
		if _, err := transact(w.c, append(names, set(b, "1"))...); !errors.Is(err, cluster.ErrTooLarge) {
			w.t.Errorf("a record of 600 KiB ends with %v", err)
		}
		w.want(w.values(long(0), b), "-", "-")
		many := make([]op.Op, options().NamesMax+1)
		for i := range many {
			many[i] = set(fmt.Sprint(i), "x")
		}
		if _, err := transact(w.c, many...); !errors.Is(err, cluster.ErrTooLarge) {
			w.t.Errorf("too many names end with %v", err)
		}
		big := []op.Op{}
		for i := range 6 {
			big = append(big, &op.AppendTo{Key: fmt.Appendf(nil, "{%s}big%d", a, i), Value: make([]byte, 900<<10), MaxBytes: 1 << 30})
		}
		if _, _, err := w.c.Atomic(ctx, big, nil); !errors.Is(err, cluster.ErrTooLarge) {
			w.t.Errorf("5 MiB in one entry end with %v", err)
		}
	})
}

func TestFutureSnapshots(t *testing.T) {
	scripted(t, func(w *world) {
		now, err := w.n.Router().Now(context.Background(), 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, _, err := w.c.Snapshot(context.Background(), now.Add(1000)); !errors.Is(err, cluster.ErrFuture) {
			w.t.Errorf("a snapshot in a second: %v", err)
		}
		w.must(set(w.keys[0], "1"))
		snap, _, err := w.c.Snapshot(context.Background(), now)
		if err != nil {
			w.t.Fatal(err)
		}
		if got := text(snap.Do(context.Background(), []op.Op{get(w.keys[0])})[0]); got != "-" {
			w.t.Errorf("the past has %q", got)
		}
	})
}

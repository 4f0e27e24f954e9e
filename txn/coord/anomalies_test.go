package coord_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/txn/coord"
)

// Each test is one anomaly that must not happen, as a script: what others do at one step of a transaction.

func TestDirtyWrite(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		finish := w.begun(set(b, "2"), set(a, "2"))
		w.steps.once("decide", func() error {
			if err := finish(); !errors.Is(err, coord.ErrConflict) {
				w.t.Errorf("writing over an intent ends with %v", err)
			}
			out := w.n.Router().Try(context.Background(), []op.Op{set(a, "3")})[0]
			if out.Status != op.Conflict {
				w.t.Errorf("a plain write over an intent ends with %+v", out)
			}
			return nil
		})
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		w.want(w.values(a, b), "1", "1")
	})
}

func TestDirtyRead(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		read := make(chan op.Outcome, 1)
		decided := false
		w.steps.once("decide", func() error {
			go func() {
				out := w.must(get(a))[0]
				if !decided {
					w.t.Error("a read of an intent was answered before the decision")
				}
				read <- out
			}()
			time.Sleep(100 * time.Millisecond)
			decided = true
			return nil
		})
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		if got := text(<-read); got != "1" {
			w.t.Errorf("the read that waited has %q", got)
		}
	})
}

func TestAbortedRead(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"))
		read := make(chan op.Outcome, 1)
		w.steps.once("decide", func() error {
			go func() { read <- w.must(get(a))[0] }()
			time.Sleep(100 * time.Millisecond)
			return fmt.Errorf("%w: as if the leader were gone", cluster.ErrClusterDown)
		})
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); !errors.Is(err, cluster.ErrClusterDown) {
			w.t.Fatal(err)
		}
		if got := text(<-read); got != "0" {
			w.t.Errorf("a read saw %q of a transaction that did not commit", got)
		}
		w.want(w.values(a, b), "0", "-")
	})
}

func TestLostUpdate(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		incr := func(k string) op.Op { return &op.Incr{Key: []byte(k), Delta: 1} }
		for _, other := range [][]op.Op{{incr(a)}, {incr(a), incr(b)}, {set(a, "7"), &op.Delete{Key: []byte(a)}}} {
			w.must(set(a, "0"), set(b, "0"))
			w.steps.once("prewrite", func() error { w.commit(other...); return nil })
			w.conflict(incr(a), incr(b))
		}
		w.want(w.values(a, b), "-", "0")
	})
}

func TestFuzzyRead(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		w.must(set(a, "0"))
		ctx := context.Background()
		_, err := w.c.Transact(ctx, nil, func(tx coord.Doer) error {
			first := text(tx.Do(ctx, []op.Op{get(a)})[0])
			w.must(set(a, "1"))
			second := text(tx.Do(ctx, []op.Op{get(a)})[0])
			w.want([]string{first, second}, "0", "0")
			tx.Do(ctx, []op.Op{set(b, first), set(c, second)})
			return nil
		})
		if !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("what was read has changed, and the end is %v", err)
		}
		w.want(w.values(a, b, c), "1", "-", "-")
	})
}

func TestReadSkew(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.commit(set(a, "0"), set(b, "0"))
		ctx := context.Background()
		_, err := w.c.Transact(ctx, nil, func(tx coord.Doer) error {
			first := text(tx.Do(ctx, []op.Op{get(a)})[0])
			w.commit(set(a, "1"), set(b, "1"))
			w.want([]string{first, text(tx.Do(ctx, []op.Op{get(b)})[0])}, "0", "0")
			return nil
		})
		if err != nil {
			w.t.Errorf("a transaction that only reads ends with %v", err)
		}
	})
}

// skew runs two transactions, each of which reads both names and writes one of them, at every place of each other.
func skew(t *testing.T, before bool) {
	scripted(t, func(w *world) {
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		for _, step := range []string{"prewrite", "check", "decide"} {
			w.must(&op.Delete{Key: []byte(a)}, &op.Delete{Key: []byte(b)})
			if before {
				w.must(set(a, "0"), set(b, "0"))
			}
			committed := 0
			finish := w.begun(get(a), get(b), set(b, "2"), set(c, "2"))
			w.steps.once(step, func() error {
				if err := finish(); err == nil {
					committed++
				}
				return nil
			})
			if _, err := transact(w.c, get(a), get(b), set(a, "1")); err == nil {
				committed++
			}
			w.steps.set(nil, nil)
			if committed > 1 || committed == 0 && step != "check" { // there each may be in the other's way
				w.t.Errorf("at %s: %d of two committed that each saw the other's name untouched", step, committed)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestWriteSkew(t *testing.T)          { skew(t, true) }
func TestWriteSkewOnAbsence(t *testing.T) { skew(t, false) }

// phantom runs transactions that look at a range and write, while others change what is in the range.
func phantom(t *testing.T, changes []op.Op, looks ...op.Op) {
	scripted(t, func(w *world) {
		for i := range 20 {
			w.must(set(fmt.Sprint("p", i), "0"), set(fmt.Sprint("q", i), "0"))
		}
		for _, look := range looks {
			for _, change := range changes {
				for _, step := range []string{"prewrite", "check"} {
					w.steps.once(step, func() error { w.commit(change, set(w.keys[2], "x")); return nil })
					w.conflict(look, set(w.keys[0], "1"))
					w.must(set("p3", step), &op.Delete{Key: []byte("p77")})
				}
			}
			w.steps.once("prewrite", func() error { w.commit(set("r", "1"), set(w.keys[2], "x")); return nil })
			if _, all := look.(*op.Count); all {
				continue
			}
			if _, err := transact(w.c, look, set(w.keys[0], "1")); err != nil {
				w.t.Errorf("a write outside the range: %v", err)
			}
		}
	})
}

func TestPhantomByPrefix(t *testing.T) {
	phantom(t, []op.Op{set("p77", "1"), &op.Delete{Key: []byte("p3")}, set("p3", "1")},
		&op.Scan{Space: op.SpaceKey, Prefix: []byte("p"), Limit: 1000},
		&op.Scan{Space: op.SpaceKey, Prefix: []byte("p"), Limit: 1000, ByName: true})
}

func TestPhantomByRange(t *testing.T) {
	phantom(t, []op.Op{set("p77", "1"), &op.Delete{Key: []byte("p3")}},
		&op.Scan{Space: op.SpaceKey, ByName: true, Start: []byte("p"), End: []byte("q"), Limit: 1000},
		&op.Count{Space: op.SpaceKey})
}

// A snapshot taken anywhere in another transaction's commit sees all of it or nothing, and always the same.
func TestSnapshotSeesNoHalf(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		n := 0
		for _, step := range []string{"prewrite", "check", "decide", "resolve", "forget"} {
			w.must(set(a, "0"), set(b, "0"))
			read := make(chan []string, 2)
			w.steps.once(step, func() error {
				for _, keys := range [][]op.Op{{get(a), get(b)}, {get(b), get(a)}} {
					snap, _, err := w.other.Snapshot(ctx, 0)
					if err != nil {
						w.t.Fatal(err)
					}
					go func() {
						first := text(snap.Do(ctx, keys[:1])[0])
						time.Sleep(50 * time.Millisecond)
						read <- []string{first, text(snap.Do(ctx, keys[1:])[0]), text(snap.Do(ctx, keys[:1])[0])}
					}()
				}
				synctest.Wait()
				return nil
			})
			if _, err := transact(w.c, get(w.keys[2]), set(a, "1"), set(b, "1")); err != nil {
				w.t.Fatal(step, err)
			}
			for range 2 {
				got := <-read
				if got[0] != got[1] || got[0] != got[2] {
					w.t.Errorf("at %s a snapshot has %v", step, got)
				}
				n++
			}
			w.steps.set(nil, nil)
		}
		if n != 10 {
			w.t.Errorf("%d snapshots were read", n)
		}
	})
}

// The intents of a committed transaction are resolved on one partition only, and its coordinator is dead.
func TestSnapshotOfHalfResolved(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		w.must(set(a, "0"), set(b, "0"))
		old, _, err := w.other.Snapshot(ctx, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		w.steps.set(func(step string, ops []op.Op) error {
			switch {
			case step == "resolve" && len(ops) > 1:
				w.n.Router().Do(ctx, ops[:1])
				return cluster.ErrClusterDown
			case step == "resolve", step == "forget":
				return cluster.ErrClusterDown
			}
			return nil
		}, nil)
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		snap, _, err := w.other.Snapshot(ctx, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		w.want([]string{text(old.Do(ctx, []op.Op{get(a)})[0]), text(old.Do(ctx, []op.Op{get(b)})[0])}, "0", "0")
		w.want([]string{text(snap.Do(ctx, []op.Op{get(b)})[0]), text(snap.Do(ctx, []op.Op{get(a)})[0])}, "1", "1")
		if n := w.must(&op.Count{Space: op.SpaceKey})[0].Int; n != 2 {
			w.t.Errorf("%d names are counted, there are 2", n)
		}
	})
}

// A name that was made by a committed transaction is counted before its intent is resolved.
func TestCountSeesWhatIsCommitted(t *testing.T) {
	scripted(t, func(w *world) {
		w.steps.set(func(step string, _ []op.Op) error {
			if step == "resolve" {
				return cluster.ErrClusterDown
			}
			return nil
		}, nil)
		if _, err := transact(w.c, set(w.keys[0], "1"), set(w.keys[1], "1")); err != nil {
			w.t.Fatal(err)
		}
		if n := w.must(&op.Count{Space: op.SpaceKey})[0].Int; n != 2 {
			w.t.Errorf("%d names are counted, there are 2", n)
		}
	})
}

// A decision that comes after the deadline meets a transaction that a reader has ended.
func TestSettleBeatsDecide(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.steps.once("decide", func() error {
			time.Sleep(options().Deadline + time.Second)
			w.want(w.values(b), "-")
			return nil
		})
		w.conflict(set(a, "1"), set(b, "1"))
		w.want(w.values(a, b), "-", "-")
	})
}

// The deadline has passed and nobody has met the intents: deciding is too late all the same.
func TestDecideAfterDeadline(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.steps.once("decide", func() error { time.Sleep(options().Deadline + time.Millisecond); return nil })
		w.conflict(set(a, "1"), set(b, "1"))
		w.want(w.values(a, b), "-", "-")
	})
}

// Who gives up a transaction that is committed learns that it is.
func TestDecideBeatsSettle(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.steps.set(nil, func(step string, ops []op.Op) error {
			if step != "decide" {
				return nil
			}
			d := ops[0].(*op.Decide)
			out := w.must(&op.Settle{Txn: d.Txn, Home: d.Home, Abort: true})[0]
			if out.Txn.Status != op.TxnCommitted {
				w.t.Errorf("a committed transaction was ended as %d", out.Txn.Status)
			}
			return nil
		})
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		w.want(w.values(a, b), "1", "1")
	})
}

// The home prewrite comes after somebody has met another intent of the transaction and ended it.
func TestLatePrewriteAfterAbort(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		w.steps.set(func(step string, ops []op.Op) error {
			if step != "prewrite" {
				return nil
			}
			if out := w.n.Router().Try(ctx, ops[1:]); !out[0].Done {
				w.t.Errorf("the other partition's prewrite: %+v", out[0])
			}
			w.want(w.values(b), "-")
			if out := w.n.Router().Try(ctx, ops[:1])[0]; out.Status != op.Aborted {
				w.t.Errorf("the late prewrite at home: %+v", out)
			}
			return nil
		}, nil)
		w.conflict(set(a, "1"), set(b, "1"))
		w.want(w.values(a, b), "-", "-")
	})
}

// What a transaction read runs out between its snapshot and its commit.
func TestExpiryBetweenSnapshotAndCommit(t *testing.T) {
	scripted(t, func(w *world) {
		for _, look := range []op.Op{
			get("short"),
			&op.Scan{Space: op.SpaceKey, Prefix: []byte("sh"), Limit: 10},
			&op.Scan{Space: op.SpaceKey, Prefix: []byte("sh"), Limit: 10, ByName: true},
			&op.Count{Space: op.SpaceKey},
			&op.AppendTo{Key: []byte("short"), Value: []byte("x"), MaxBytes: 100},
		} {
			w.must(&op.Set{Key: []byte("short"), Value: []byte("1"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 100}})
			w.steps.once("prewrite", func() error { time.Sleep(150 * time.Millisecond); return nil })
			w.conflict(look, set(w.keys[0], "1"), set(w.keys[1], "1"))
			w.want(w.values(w.keys[0], "short"), "-", "-")
		}
	})
}

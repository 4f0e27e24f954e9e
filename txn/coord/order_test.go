package coord_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/txn/coord"
)

// Anomalies of several observers, each as a script.

// Two transactions on different names commit; no two snapshots see them in opposite orders. One of the two is held up between its
// commit timestamp and its decision, which is where a reader could take its old value for the current one.
func TestLongFork(t *testing.T) {
	scripted(t, func(w *world) {
		x, y, u, v := w.keys[0], w.keys[1], w.keys[2], w.keys[3]
		w.must(set(x, "0"), set(y, "0"))
		ctx := context.Background()
		type look struct{ x, y string }
		looks := make(chan look, 2)
		read := func() {
			snap, _, err := w.other.Snapshot(ctx, 0)
			if err != nil {
				w.t.Error(err)
			}
			go func() {
				first := text(snap.Do(ctx, []op.Op{get(y)})[0])
				looks <- look{text(snap.Do(ctx, []op.Op{get(x)})[0]), first}
			}()
			synctest.Wait()
		}
		w.steps.once("decide", func() error {
			read() // between the two
			w.commit(set(y, "1"), set(v, "1"))
			read() // after both
			return nil
		})
		if _, err := transact(w.c, set(x, "1"), set(u, "1")); err != nil {
			w.t.Fatal(err)
		}
		one, two := <-looks, <-looks
		if one.y > two.y {
			one, two = two, one
		}
		if one != (look{"1", "0"}) || two != (look{"1", "1"}) {
			w.t.Errorf("one snapshot has %v, the other %v", one, two)
		}
	})
}

// What is written after something else was acknowledged, in another partition, is in no snapshot without that.
func TestCausalReverse(t *testing.T) {
	scripted(t, func(w *world) {
		x, y, ctx := w.keys[0], w.keys[1], context.Background()
		w.must(set(x, "0"), set(y, "0"))
		stop := make(chan struct{})
		var looked atomic.Int64
		var running sync.WaitGroup
		for _, names := range [][]string{{x, y}, {y, x}} {
			running.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					snap, at, err := w.other.Snapshot(ctx, 0)
					if err != nil {
						w.t.Error(err)
						return
					}
					has := map[string]int{}
					for _, name := range names {
						has[name], _ = strconv.Atoi(text(snap.Do(ctx, []op.Op{get(name)})[0]))
						time.Sleep(20 * time.Microsecond)
					}
					if has[x] < has[y] {
						w.t.Errorf("the snapshot at %d has %d and not %d, which came before", at, has[y], has[y])
					}
					looked.Add(1)
				}
			})
		}
		for i := 0; i < 60 || looked.Load() < 20; i++ {
			v := fmt.Sprint(i + 1)
			switch i % 3 {
			case 0:
				w.must(set(x, v))
			case 1:
				w.commit(set(x, v), set(w.keys[2], v))
			case 2:
				s := w.begin(w.c, coord.BeginOptions{Pessimistic: true})
				s.do(set(x, v))
				s.mustCommit()
			}
			if i%2 == 0 {
				w.must(set(y, v))
			} else {
				w.commit(set(y, v), set(w.keys[3], v))
			}
			time.Sleep(10 * time.Microsecond)
		}
		close(stop)
		running.Wait()
	})
}

// A snapshot is the same however often it is looked at, while plain writes and commits are on their way.
func TestSnapshotThatChanges(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		w.must(set(a, "0"), set(b, "0"))
		stop := make(chan struct{})
		var running sync.WaitGroup
		for i := range 3 {
			running.Go(func() {
				for v := 0; ; v++ {
					select {
					case <-stop:
						return
					default:
					}
					if i == 0 {
						_, _ = transact(w.other, incr(a), incr(b))
					} else {
						w.must(incr([]string{a, b}[i-1]))
					}
					time.Sleep(10 * time.Microsecond) // else time would stand still for the others
				}
			})
		}
		for range 40 {
			snap, at, err := w.c.Snapshot(ctx, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			first := fmt.Sprint(text(snap.Do(ctx, []op.Op{get(a)})[0]), text(snap.Do(ctx, []op.Op{get(b)})[0]))
			for range 3 {
				time.Sleep(30 * time.Microsecond)
				if again := fmt.Sprint(text(snap.Do(ctx, []op.Op{get(a)})[0]), text(snap.Do(ctx, []op.Op{get(b)})[0])); again != first {
					w.t.Errorf("the snapshot at %d was %s and is %s", at, first, again)
				}
			}
		}
		close(stop)
		running.Wait()
	})
}

// The intents of a committed transaction are resolved in one partition; in the other, a reader that has met one, somebody who gives
// the transaction up, and its own coordinator, which sends the resolution again, come at the same time.
func TestResolutionRacingRecovery(t *testing.T) {
	scripted(t, func(w *world) {
		a, b, ctx := w.keys[0], w.keys[1], context.Background()
		w.must(set(a, "0"), set(b, "0"))
		var id op.TxnID
		var home op.Name
		tries, read := 0, make(chan string, 3)
		w.steps.set(func(step string, ops []op.Op) error {
			switch step {
			case "decide":
				id, home = ops[0].(*op.Decide).Txn, ops[0].(*op.Decide).Home
			case "resolve":
				if tries++; tries > 1 {
					return nil
				}
				w.n.Router().Do(ctx, ops[:1])
				for range 3 {
					go func() { read <- text(w.must(get(b))[0]) }()
				}
				go func() {
					if out := w.must(&op.Settle{Txn: id, Home: home, Abort: true})[0]; out.Txn.Status != op.TxnCommitted {
						w.t.Errorf("it was ended as %d", out.Txn.Status)
					}
				}()
				return fmt.Errorf("%w: injected", cluster.ErrUncertain)
			}
			return nil
		}, nil)
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); err != nil {
			w.t.Fatal(err)
		}
		for range 3 {
			w.want([]string{<-read}, "1")
		}
		time.Sleep(time.Second)
		w.want(w.values(a, b), "1", "1")
		if tries < 2 {
			w.t.Error("the resolution was not sent again")
		}
		if found, err := w.n.Inspect(); err != nil || found.Intents+found.Committed+found.Aborted > 0 {
			w.t.Errorf("left behind: %+v, %v", found, err)
		}
	})
}

// The named anomalies between two interactive transactions of one mode, or of both.
func TestAnomaliesBetweenInteractive(t *testing.T) {
	for name, o := range modes {
		for with, p := range modes {
			t.Run(name+" and "+with, func(t *testing.T) {
				scriptedOn(t, []int{4}, func(w *world) {
					for _, a := range interleavings {
						if !a.blocks || !o.Pessimistic || !p.Pessimistic {
							w.interleave(a, o, p)
						}
					}
				})
			})
		}
	}
}

// interleaving is two transactions step by step; the number says whose step it is. At least one has to lose when both were to commit
// unless both may.
type interleaving struct {
	name   string
	steps  []turn
	may    bool   // both may commit
	blocks bool   // one locks what the other asks for, so that pessimistic ones can't go on like this
	end    string // what the values of the first two keys must be one of
}

type turn struct {
	who int
	ops []op.Op // on the keys "0" and "1"
}

var interleavings = []interleaving{
	{"lost update", []turn{{0, []op.Op{incr("0")}}, {1, []op.Op{incr("0")}}}, false, true, "10"},
	{"write skew", []turn{{0, []op.Op{get("0"), get("1")}}, {1, []op.Op{get("0"), get("1")}}, {0, []op.Op{incr("0")}}, {1, []op.Op{incr("1")}}}, false, true, "10 01"},
	{"write skew on a range", []turn{{0, []op.Op{scanOf("")}}, {1, []op.Op{scanOf("")}}, {0, []op.Op{incr("0")}}, {1, []op.Op{incr("1")}}}, false, true, "10 01"},
	{"disjoint", []turn{{0, []op.Op{incr("0")}}, {1, []op.Op{incr("1")}}}, true, false, "11"},
	{"dirty read", []turn{{0, []op.Op{incr("0")}}, {1, []op.Op{get("0"), incr("1")}}}, false, true, "10 01"},
}

func (w *world) interleave(a interleaving, o, p coord.BeginOptions) {
	w.must(set(w.keys[0], "0"), set(w.keys[1], "0"))
	both := []session{w.begin(w.c, o), w.begin(w.other, p)}
	var errs []error
	for _, turn := range a.steps {
		ops := make([]op.Op, len(turn.ops))
		for i, o := range turn.ops {
			ops[i] = w.onKeys(o)
		}
		if _, err := both[turn.who].try(ops...); err != nil {
			errs = append(errs, err)
		}
	}
	for _, x := range both {
		if err := x.commit(); err != nil {
			errs = append(errs, err)
		}
	}
	for _, err := range errs {
		if !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("%s: %v", a.name, err)
		}
	}
	v := w.values(w.keys[0], w.keys[1])
	if (len(errs) > 0) == a.may || !oneOf(a.end, v[0]+v[1]) {
		w.t.Errorf("%s ends with %v and %v", a.name, v, errs)
	}
}

func oneOf(list, s string) bool {
	for i := 0; i+2 <= len(list); i += 3 {
		if list[i:i+2] == s {
			return true
		}
	}
	return false
}

// onKeys puts a step's names onto the world's keys.
func (w *world) onKeys(o op.Op) op.Op {
	switch o := o.(type) {
	case *op.Get:
		return get(w.keys[o.Key[0]-'0'])
	case *op.Incr:
		return incr(w.keys[o.Key[0]-'0'])
	}
	return o
}

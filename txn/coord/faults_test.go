package coord_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/txn/coord"
)

// fault is what happens to one step of a transaction.
type fault struct {
	name  string
	after bool  // the step was done
	err   error // what its caller is told
	dead  bool  // the coordinator does nothing any more
}

var errDead = fmt.Errorf("%w: the coordinator is dead", cluster.ErrClusterDown)

var faults = []fault{
	{name: "refused", err: fmt.Errorf("%w: injected", cluster.ErrTryAgain)},
	{name: "no quorum", err: fmt.Errorf("%w: injected", cluster.ErrClusterDown)},
	{name: "uncertain, not done", err: fmt.Errorf("%w: injected", cluster.ErrUncertain)},
	{name: "uncertain, done", err: fmt.Errorf("%w: injected", cluster.ErrUncertain), after: true},
	{name: "died before", err: errDead, dead: true},
	{name: "died after", err: errDead, dead: true, after: true},
}

// Whatever goes wrong at whatever step, a transaction is there everywhere or nowhere, what its caller was told is true, and
// nothing stays behind.
func TestFaultAtEveryStep(t *testing.T) {
	for _, partitions := range []int{4, 16} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			n := clustertest.Open(t, clustertest.Config(dir, partitions))
			defer clustertest.Close(t, n)
			w := newWorld(t, n)
			defer w.other.Close()
			hit := 0
			for _, step := range []string{"now", "run", "prewrite", "check", "decide", "settle", "resolve", "forget"} {
				for _, f := range faults {
					for nth := 1; nth <= 2; nth++ {
						if w.withFault(step, f, nth) {
							hit++
						}
					}
				}
			}
			if hit < 60 {
				t.Errorf("only %d faults were met", hit)
			}
			clustertest.Settled(t, n)
		})
	}
}

// withFault runs a transaction whose nth call for a step meets a fault; it tells whether it came to that.
func (w *world) withFault(step string, f fault, nth int) (met bool) {
	a, b, c := w.keys[0], w.keys[1], w.keys[2]
	w.must(set(a, "0"), set(b, "0"), set(c, "0"))
	seen, dead, done := 0, false, false
	hook := func(after bool) func(string, []op.Op) error {
		return func(at string, _ []op.Op) error {
			if dead {
				return errDead
			}
			if at == step && after == f.after {
				if seen++; seen == nth {
					met, dead = true, f.dead
					done = after && at == "decide"
					return f.err
				}
			}
			return nil
		}
	}
	w.steps.set(hook(false), hook(true))
	if step == "settle" { // it is only come to when something else fails
		w.failFirst("prewrite", hook)
	}
	tc := coord.New(w.steps, options())
	_, err := transact(tc, get(c), set(a, "1"), set(b, "1"))
	time.Sleep(10 * time.Millisecond)
	tc.Close()
	w.steps.set(nil, nil)
	w.truthful(fmt.Sprintf("%s %s (%d)", step, f.name, nth), err, f.dead, done)
	return met
}

// failFirst makes the first call for a step fail, on top of other hooks.
func (w *world) failFirst(step string, hook func(after bool) func(string, []op.Op) error) {
	failed, before := false, hook(false)
	w.steps.set(func(at string, ops []op.Op) error {
		if at == step && !failed {
			failed = true
			return fmt.Errorf("%w: injected", cluster.ErrUncertain)
		}
		return before(at, ops)
	}, hook(true))
}

// truthful compares what the caller was told with what is there. A dead coordinator told nobody anything.
func (w *world) truthful(what string, err error, dead, committed bool) {
	w.t.Helper()
	var a, b string
	for range 10 { // for as long as a transaction of a dead coordinator may be in the way
		out := w.n.Router().Do(context.Background(), []op.Op{get(w.keys[0]), get(w.keys[1])})
		if a, b = text(out[0]), text(out[1]); out[0].Err == nil && out[1].Err == nil {
			break
		}
	}
	switch {
	case a != b || a != "0" && a != "1":
		w.t.Errorf("%s: half of the transaction is there: %q and %q", what, a, b)
	case dead && committed && a != "1":
		w.t.Errorf("%s: it was decided, and is not there", what)
	case dead || errors.Is(err, cluster.ErrUncertain):
	case err == nil && a != "1":
		w.t.Errorf("%s: committed, as was said, and not there", what)
	case err != nil && a != "0":
		w.t.Errorf("%s: there, and what was said is %v", what, err)
	}
}

// A transaction whose resolution takes several log entries is resolved to its end.
func TestLargeResolution(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 4)
		cfg.MemtableBytes = 0
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		w := newWorld(t, n)
		defer w.other.Close()
		defer w.c.Close()
		a, b := w.keys[0], w.keys[1]
		big := func(fill byte) (ops []op.Op) {
			for i := range 4096 - 1 {
				ops = append(ops, set(fmt.Sprintf("{%s}%090d", a, i), string(fill)))
			}
			return append(ops, set(b, string(fill)))
		}
		resolutions := 0
		w.steps.set(func(step string, _ []op.Op) error {
			if step == "resolve" {
				resolutions++
			}
			return nil
		}, nil)
		if _, err := transact(w.c, big('x')...); err != nil {
			t.Fatal(err)
		}
		clustertest.Settled(t, n)
		if resolutions < 2 {
			t.Error("one entry was enough: nothing was tested")
		}
	})
}

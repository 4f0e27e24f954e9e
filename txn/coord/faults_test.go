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
			if hit < 50 {
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

// tight is a Router whose partitions resolve one name at a time, as if the others did not fit the log entry.
type tight struct {
	*cluster.Router
	done map[string]bool // names resolved
	cuts int
}

func (r *tight) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	for i, o := range ops {
		all, ok := o.(*op.Resolve)
		if !ok {
			out[i] = r.Router.Do(ctx, []op.Op{o})[0]
			continue
		}
		left := 0
		for _, n := range all.Names {
			if r.done[string(n.Key)] {
				continue
			}
			if left++; left == 1 {
				one := *all
				one.Names = []op.Name{n}
				out[i] = r.Router.Do(ctx, []op.Op{&one})[0]
				r.done[string(n.Key)] = true
			}
		}
		out[i].Done = left <= 1
		r.cuts += left / 2
	}
	return out
}

// A transaction whose resolution takes several log entries is resolved to its end before its record goes.
func TestResolutionInParts(t *testing.T) {
	scripted(t, func(w *world) {
		r := &tight{Router: w.n.Router(), done: map[string]bool{}}
		c := coord.New(r, options())
		ops := []op.Op{set(w.keys[1], "1")}
		for i := range 5 {
			ops = append(ops, set(fmt.Sprintf("{%s}%d", w.keys[0], i), "1"))
		}
		if _, err := transact(c, ops...); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if found, err := w.n.Inspect(); err != nil || found.Intents+found.Committed > 0 {
			w.t.Errorf("left after the resolution: %+v, %v", found, err)
		}
		c.Close()
		if r.cuts == 0 {
			w.t.Error("nothing was resolved in parts")
		}
	})
}

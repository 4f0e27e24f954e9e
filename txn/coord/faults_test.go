package coord_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// ways are how the transaction that meets a fault is run. start is 0 when it has no status to ask for.
var ways = []struct {
	name string
	run  func(w *world, c *coord.Coordinator) (start op.Timestamp, err error)
}{
	{"EXEC", func(w *world, c *coord.Coordinator) (op.Timestamp, error) {
		_, _, err := c.Atomic(context.Background(), []op.Op{get(w.keys[2]), set(w.keys[0], "1"), set(w.keys[1], "1")}, nil)
		return 0, err
	}},
	{"script", func(w *world, c *coord.Coordinator) (op.Timestamp, error) {
		_, err := transact(c, get(w.keys[2]), set(w.keys[0], "1"), set(w.keys[1], "1"))
		return 0, err
	}},
	{"optimistic", func(w *world, c *coord.Coordinator) (op.Timestamp, error) {
		return w.stepByStep(c, coord.BeginOptions{})
	}},
	{"pessimistic", func(w *world, c *coord.Coordinator) (op.Timestamp, error) {
		return w.stepByStep(c, coord.BeginOptions{Pessimistic: true})
	}},
}

func (w *world) stepByStep(c *coord.Coordinator, o coord.BeginOptions) (op.Timestamp, error) {
	x, err := c.Begin(context.Background(), o)
	if err != nil {
		return 0, err
	}
	defer x.Rollback()
	s := session{x, w}
	for _, o := range []op.Op{get(w.keys[2]), set(w.keys[0], "1"), set(w.keys[1], "1"), scanOf("none")} {
		if _, err := s.try(o); err != nil {
			return x.Start(), err
		}
	}
	return x.Start(), s.commit()
}

// Whatever goes wrong at whatever step, a transaction is there everywhere or nowhere, what its caller was told is true, and so is
// what its status says, and nothing stays behind.
func TestFaultAtEveryStep(t *testing.T) {
	for way := range ways {
		for _, partitions := range []int{4, 16} {
			if way > 0 && partitions > 4 {
				continue
			}
			t.Run(fmt.Sprint(ways[way].name, " ", partitions), func(t *testing.T) { faultAtEveryStep(t, way, partitions) })
		}
	}
}

func faultAtEveryStep(t *testing.T, way, partitions int) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, partitions))
		defer clustertest.Close(t, n)
		w := newWorld(t, n)
		defer w.other.Close()
		hit := 0
		for _, step := range []string{"now", "run", "lock", "confirm", "prepare", "commit", "prewrite", "check", "decide", "settle", "resolve", "forget", "release"} {
			for _, f := range faults {
				for nth := 1; nth <= 2; nth++ {
					if w.withFault(way, step, f, nth) {
						hit++
					}
				}
			}
		}
		if hit < 30 {
			t.Errorf("only %d faults were met", hit)
		}
		clustertest.Settled(t, n)
	})
}

// withFault runs a transaction whose nth call for a step meets a fault; it tells whether it came to that.
func (w *world) withFault(way int, step string, f fault, nth int) (met bool) {
	a, b, c := w.keys[0], w.keys[1], w.keys[2]
	w.must(set(a, "0"), set(b, "0"), set(c, "0"))
	var mu sync.Mutex // what runs in the background meets the same hooks
	seen, dead, done := 0, false, false
	hook := func(after bool) func(string, []op.Op) error {
		return func(at string, _ []op.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if dead {
				return errDead
			}
			if at == step && after == f.after {
				if seen++; seen == nth {
					met, dead = true, f.dead
					done = after && (at == "decide" || at == "commit")
					return f.err
				}
			}
			return nil
		}
	}
	w.steps.set(hook(false), hook(true))
	if step == "settle" { // it is only come to when something else fails
		w.failFirst(map[bool]string{true: "commit", false: "prewrite"}[way == 0], hook)
	}
	tc := coord.New(w.steps, options())
	start, err := ways[way].run(w, tc)
	time.Sleep(10 * time.Millisecond)
	tc.Close()
	w.steps.set(nil, nil)
	what := fmt.Sprintf("%s %s (%d)", step, f.name, nth)
	w.truthful(what, err, f.dead, done)
	if start > 0 {
		w.statusTells(what, start)
	}
	return met
}

// statusTells compares the status of a transaction, as another node tells it, with what is there. It may be pending only as long as
// nothing is.
func (w *world) statusTells(what string, start op.Timestamp) {
	w.t.Helper()
	is, there := w.status(w.other, start), w.values(w.keys[0])[0] == "1"
	if is == "unknown" || there != (is == "committed") {
		w.t.Errorf("%s: the status is %s, and it is there: %v", what, is, there)
	}
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

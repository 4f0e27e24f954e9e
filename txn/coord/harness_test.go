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

// steps is a Router whose every call can be watched, delayed, failed, or made to lose its answer.
type steps struct {
	*cluster.Router
	mu     sync.Mutex
	before func(step string, ops []op.Op) error
	after  func(step string, ops []op.Op) error
}

// stepOf names what a call is for.
func stepOf(ops []op.Op) string {
	switch o := ops[0].(type) {
	case *op.Prewrite, *op.PrewriteSince:
		return "prewrite"
	case *op.Prepare:
		return "prepare"
	case *op.CommitMulti:
		return "commit"
	case *op.Check, *op.CheckSince:
		return "check"
	case *op.Advise:
		return []string{"lock", "confirm", "release"}[o.Act]
	case *op.Decide:
		return "decide"
	case *op.Settle:
		return "settle"
	case *op.Resolve:
		return "resolve"
	case *op.Forget:
		return "forget"
	}
	return "run"
}

func (s *steps) hooks() (before, after func(string, []op.Op) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before, s.after
}

// set sets the hooks; nil for none.
func (s *steps) set(before, after func(string, []op.Op) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// once runs f at the first time of a step, before it.
func (s *steps) once(step string, f func() error) {
	done := false
	s.set(func(at string, _ []op.Op) error {
		if at != step || done {
			return nil
		}
		done = true
		return f()
	}, nil)
}

func failed(ops []op.Op, err error) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	for i := range out {
		out[i].Err = err
	}
	return out
}

func (s *steps) call(step string, ops []op.Op, run func() []op.Outcome) []op.Outcome {
	before, after := s.hooks()
	if before != nil {
		if err := before(step, ops); err != nil {
			return failed(ops, err)
		}
	}
	out := run()
	if after != nil {
		if err := after(step, ops); err != nil {
			return failed(ops, err)
		}
	}
	return out
}

func (s *steps) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	return s.call(stepOf(ops), ops, func() []op.Outcome { return s.Router.Do(ctx, ops) })
}

func (s *steps) Try(ctx context.Context, ops []op.Op) []op.Outcome {
	return s.call(stepOf(ops), ops, func() []op.Outcome { return s.Router.Try(ctx, ops) })
}

func (s *steps) ReadAt(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool) []op.Outcome {
	return s.call(stepOf(ops), ops, func() []op.Outcome { return s.Router.ReadAt(ctx, at, ops, wait) })
}

func (s *steps) Now(ctx context.Context, n int) (ts op.Timestamp, err error) {
	out := s.call("now", []op.Op{&op.Get{}}, func() []op.Outcome {
		ts, err = s.Router.Now(ctx, n)
		return make([]op.Outcome, 1)
	})
	return ts, errors.Join(err, out[0].Err)
}

// world is a node with two coordinators: that of the transaction under test, whose steps can be tampered with, and another.
type world struct {
	t     *testing.T
	n     *cluster.Node
	steps *steps
	c     *coord.Coordinator
	other *coord.Coordinator
	keys  []string // on partitions of their own, as far as there are enough
}

// options are those of a server, without retries: a script says what happens.
func options() coord.Options {
	o := coord.DefaultOptions()
	o.Retry = -time.Millisecond
	return o
}

// scripted runs a script on nodes with 4 and 16 partitions, and sees that nothing is left behind.
func scripted(t *testing.T, script func(w *world)) {
	t.Helper()
	scriptedOn(t, []int{4, 16}, script)
}

// scriptedOn does so with numbers of partitions.
func scriptedOn(t *testing.T, numbers []int, script func(w *world)) {
	t.Helper()
	for _, partitions := range numbers {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				n := clustertest.Open(t, clustertest.Config(dir, partitions))
				defer clustertest.Close(t, n)
				w := newWorld(t, n)
				defer w.other.Close()
				defer w.c.Close()
				script(w)
				w.steps.set(nil, nil)
				clustertest.Settled(t, n)
			})
		})
	}
}

func newWorld(t *testing.T, n *cluster.Node) *world {
	w := &world{t: t, n: n, steps: &steps{Router: n.Router()}}
	w.c = coord.New(w.steps, options())
	o := options()
	o.Left = n.LeftTransactions
	w.other = coord.New(n.Router(), o)
	for i := 0; len(w.keys) < 4; i++ {
		k := fmt.Sprint("key", i)
		if n.Router().Partition(op.Key([]byte(k))) == uint32(len(w.keys)+1) {
			w.keys = append(w.keys, k)
		}
	}
	return w
}

func set(key, value string) op.Op { return &op.Set{Key: []byte(key), Value: []byte(value)} }
func get(key string) op.Op        { return &op.Get{Key: []byte(key)} }

// transact runs operations as one transaction whose operations are not known beforehand.
func transact(c *coord.Coordinator, ops ...op.Op) ([]op.Outcome, error) {
	var out []op.Outcome
	_, err := c.Transact(context.Background(), nil, func(tx coord.Doer) error {
		out = tx.Do(context.Background(), ops)
		for i := range out {
			if out[i].Err != nil {
				return out[i].Err
			}
		}
		return nil
	})
	return out, err
}

// must runs operations of others, outside the transaction under test.
func (w *world) must(ops ...op.Op) []op.Outcome {
	w.t.Helper()
	out := w.n.Router().Do(context.Background(), ops)
	for i := range out {
		if out[i].Err != nil {
			w.t.Fatalf("%T: %v", ops[i], out[i].Err)
		}
	}
	return out
}

// commit runs another transaction, which has to commit.
func (w *world) commit(ops ...op.Op) []op.Outcome {
	w.t.Helper()
	out, err := transact(w.other, ops...)
	if err != nil {
		w.t.Fatalf("the other transaction: %v", err)
	}
	return out
}

// begun starts another transaction and runs its operations. finish lets it commit, and gives its end.
func (w *world) begun(ops ...op.Op) (finish func() error) {
	w.t.Helper()
	ran, on, end := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := w.other.Transact(context.Background(), nil, func(tx coord.Doer) error {
			out := tx.Do(context.Background(), ops)
			close(ran)
			<-on
			return out[len(out)-1].Err
		})
		end <- err
	}()
	<-ran
	return func() error { close(on); return <-end }
}

// conflict runs the transaction under test, which has to lose.
func (w *world) conflict(ops ...op.Op) {
	w.t.Helper()
	if _, err := transact(w.c, ops...); !errors.Is(err, coord.ErrConflict) {
		w.t.Errorf("the transaction ends with %v, want a conflict", err)
	}
}

// values reads keys, each as "-" when it is not there.
func (w *world) values(keys ...string) (all []string) {
	w.t.Helper()
	for _, k := range keys {
		all = append(all, text(w.must(get(k))[0]))
	}
	return all
}

func text(o op.Outcome) string {
	if !o.Found {
		return "-"
	}
	return string(o.Value)
}

func (w *world) want(got []string, want ...string) {
	w.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("got %v, want %v", got, want)
	}
}

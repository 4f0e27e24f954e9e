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

var modes = map[string]coord.BeginOptions{"optimistic": {}, "pessimistic": {Pessimistic: true}}

// eachMode runs a script with interactive transactions of both modes.
func eachMode(t *testing.T, script func(w *world, o coord.BeginOptions)) {
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			scriptedOn(t, []int{4}, func(w *world) { script(w, o) })
		})
	}
}

// session is an interactive transaction in a script.
type session struct {
	*coord.Tx
	w *world
}

func (w *world) begin(c *coord.Coordinator, o coord.BeginOptions) session {
	w.t.Helper()
	x, err := c.Begin(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return session{x, w}
}

// try runs operations as one step.
func (s session) try(ops ...op.Op) (out []op.Outcome, err error) {
	err = s.Step(context.Background(), func(d coord.Doer) error {
		out = d.Do(context.Background(), ops)
		for i := range out {
			if out[i].Err != nil {
				return out[i].Err
			}
		}
		return nil
	})
	return out, err
}

func (s session) do(ops ...op.Op) []op.Outcome {
	s.w.t.Helper()
	out, err := s.try(ops...)
	if err != nil {
		s.w.t.Fatalf("%T: %v", ops[0], err)
	}
	return out
}

func (s session) text(key string) string {
	s.w.t.Helper()
	return text(s.do(get(key))[0])
}

func (s session) commit() error {
	_, err := s.Commit(context.Background())
	return err
}

func (s session) mustCommit() op.Timestamp {
	s.w.t.Helper()
	at, err := s.Commit(context.Background())
	if err != nil {
		s.w.t.Errorf("commit: %v", err)
	}
	return at
}

func (w *world) status(c *coord.Coordinator, start op.Timestamp) string {
	w.t.Helper()
	s, err := c.Status(context.Background(), start)
	if err != nil {
		w.t.Fatal(err)
	}
	return []string{"unknown", "pending", "committed", "aborted"}[s.State]
}

func scanOf(prefix string) op.Op {
	return &op.Scan{Space: op.SpaceKey, Prefix: []byte(prefix), Limit: 100}
}

// A transaction sees what it wrote, in reads and in scans, and nobody else does before its commit.
func TestInteractiveSeesItsWrites(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		a, b := w.keys[0], w.keys[1]
		w.must(set(a, "0"))
		x := w.begin(w.c, o)
		x.do(set(a, "1"))
		x.do(set(b, "2"), &op.LockAcquire{Name: []byte("l"), Owner: []byte("o"), TTLMilli: 1000}, &op.SeqNext{Name: []byte("s"), Count: 2})
		w.want([]string{x.text(a), x.text(b)}, "1", "2")
		if n := len(x.do(scanOf("key"))[0].Items); n != 2 {
			t.Errorf("a scan finds %d names", n)
		}
		if info := x.do(&op.LockInfo{Name: []byte("l")})[0]; !info.Found {
			t.Error("the lock taken in the transaction is not seen in it")
		}
		w.want(w.values(a, b), "0", "-")
		at := x.mustCommit()
		w.want(w.values(a, b), "1", "2")
		if got := w.must(&op.Version{Name: op.Key([]byte(a))})[0].TS; got != at {
			t.Errorf("committed at %d, and the version is of %d", at, got)
		}
		if got := w.must(&op.SeqNext{Name: []byte("s"), Count: 1})[0].Int; got != 3 {
			t.Errorf("the sequence goes on with %d", got)
		}
	})
}

// A step that ends with an error leaves nothing, and the transaction goes on.
func TestFailedStepsAreTakenBack(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		x := w.begin(w.c, o)
		x.do(set(a, "1"), set(b, "1"))
		mine := errors.New("mine")
		err := x.Step(context.Background(), func(d coord.Doer) error {
			d.Do(context.Background(), []op.Op{set(a, "2"), &op.Delete{Key: []byte(b)}, set(c, "2"), set(a, "3")})
			return mine
		})
		if !errors.Is(err, mine) {
			t.Error(err)
		}
		w.want([]string{x.text(a), x.text(b), x.text(c)}, "1", "1", "-")
		failed := false
		w.steps.set(func(step string, _ []op.Op) error {
			if step != "run" || failed {
				return nil
			}
			failed = true
			return fmt.Errorf("%w: injected", cluster.ErrTryAgain)
		}, nil)
		if _, err := x.try(set(a, "4"), set("other", "4")); !errors.Is(err, cluster.ErrTryAgain) {
			t.Error(err)
		}
		w.want([]string{x.text(a), x.text("other")}, "1", "-")
		x.mustCommit()
		w.want(w.values(a, b, c, "other"), "1", "1", "-", "-")
	})
}

// What outlives its timeout is rolled back whatever it was doing, and says so until it is ended.
func TestTimeouts(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		a, b := w.keys[0], w.keys[1]
		o.Timeout = 300 * time.Millisecond
		x := w.begin(w.c, o)
		x.do(set(a, "1"), set(b, "1"))
		time.Sleep(310 * time.Millisecond)
		synctest.Wait()
		if n := w.c.Open(); n != 0 {
			t.Errorf("%d transactions are open", n)
		}
		for range 2 {
			if _, err := x.try(get(a)); !errors.Is(err, coord.ErrTimedOut) {
				t.Errorf("a step after the timeout: %v", err)
			}
		}
		if err := x.commit(); !errors.Is(err, coord.ErrTimedOut) {
			t.Errorf("a commit after the timeout: %v", err)
		}
		x.Rollback()
		w.want(w.values(a, b), "-", "-")

		y := w.begin(w.c, o) // it ends while a read waits for another transaction
		other := w.begin(w.other, coord.BeginOptions{})
		other.do(set(a, "2"), set(b, "2"))
		w.steps.set(nil, nil)
		done := make(chan error, 1)
		w.steps.set(func(step string, _ []op.Op) error {
			if step == "run" {
				time.Sleep(time.Second)
			}
			return nil
		}, nil)
		go func() { _, err := y.try(get(a)); done <- err }()
		if err := <-done; !errors.Is(err, coord.ErrTimedOut) {
			t.Errorf("a step at the timeout: %v", err)
		}
		other.Rollback()
		y.Rollback()
	})
}

// Commit has a time limit of its own: the timeout does not cut it.
func TestTimeoutDuringCommit(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		x := w.begin(w.c, coord.BeginOptions{Timeout: 300 * time.Millisecond})
		x.do(set(a, "1"), set(b, "1"))
		w.steps.once("decide", func() error { time.Sleep(500 * time.Millisecond); return nil })
		x.mustCommit()
		w.want(w.values(a, b), "1", "1")
	})
}

func TestReadOnly(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		a := w.keys[0]
		past := w.must(set(a, "0"), &op.Version{Name: op.Key([]byte(a))})[1].TS
		w.must(set(a, "1"))
		x := w.begin(w.c, coord.BeginOptions{ReadOnly: true})
		w.must(set(a, "2"))
		w.want([]string{x.text(a)}, "1")
		if _, err := x.try(set(a, "3")); !errors.Is(err, coord.ErrReadOnly) {
			t.Errorf("a write: %v", err)
		}
		w.want([]string{x.text(a)}, "1")
		x.mustCommit()
		old := w.begin(w.c, coord.BeginOptions{ReadOnly: true, AsOf: past})
		w.want([]string{old.text(a)}, "0")
		if old.Snapshot() != past || old.Start() <= past {
			t.Errorf("snapshot %d and start %d of one as of %d", old.Snapshot(), old.Start(), past)
		}
		old.Rollback()
		if _, err := w.c.Begin(context.Background(), coord.BeginOptions{ReadOnly: true, AsOf: old.Start().Add(1000)}); !errors.Is(err, cluster.ErrFuture) {
			t.Errorf("as of the future: %v", err)
		}
	})
}

// Each limit has its error, at once, and a transaction that met one goes on below it.
func TestLimits(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		o := options()
		w.must(&op.Set{Key: []byte("big"), Value: make([]byte, 200_000)})
		o.OpenMax, o.NamesMax, o.WorkingBytesMax = 2, 3, 100_000
		c := coord.New(w.n.Router(), o)
		defer c.Close()
		x, y := w.begin(c, coord.BeginOptions{}), w.begin(c, coord.BeginOptions{Pessimistic: true})
		if _, err := c.Begin(context.Background(), coord.BeginOptions{}); !errors.Is(err, coord.ErrTooMany) {
			t.Errorf("one too many: %v", err)
		}
		y.Rollback()
		y = w.begin(c, coord.BeginOptions{})
		if _, err := c.Begin(context.Background(), coord.BeginOptions{Timeout: time.Hour}); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("an hour: %v", err)
		}
		x.do(set("1", "x"), set("2", "x"), set("3", "x"))
		if _, err := x.try(set("4", "x")); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("one name too many: %v", err)
		}
		x.do(set("3", "y"), &op.Delete{Key: []byte("2")})
		if _, err := x.try(set("1", string(make([]byte, 100_000)))); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("too many bytes: %v", err)
		}
		x.mustCommit()
		w.want(w.values("1", "2", "3", "4"), "x", "-", "y", "-")
		if _, err := y.try(get("big")); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("a large read: %v", err)
		}
		y.Rollback()
	})
}

// Status tells from the start timestamp alone, on any node, what became of a transaction.
func TestStatus(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		a, b := w.keys[0], w.keys[1]
		elsewhere := coord.New(w.n.Router(), options()) // as if on another node
		defer elsewhere.Close()
		both := func(what string, x session, want string) {
			w.t.Helper()
			time.Sleep(10 * time.Millisecond)
			for _, c := range []*coord.Coordinator{w.c, elsewhere} {
				if got := w.status(c, x.Start()); got != want {
					w.t.Errorf("%s: %s, want %s", what, got, want)
				}
			}
		}
		x := w.begin(w.c, o)
		x.do(set(a, "1"), set(b, "1"))
		both("open", x, "pending")
		at := x.mustCommit()
		both("committed", x, "committed")
		if s, _ := elsewhere.Status(context.Background(), x.Start()); s.At != at {
			w.t.Errorf("committed at %d, and the status is %+v", at, s)
		}
		y := w.begin(w.c, o)
		y.do(set(a, "2"))
		y.Rollback()
		both("rolled back", y, "aborted")
		z := w.begin(w.c, coord.BeginOptions{})
		z.do(set(a, "3"))
		w.must(set(a, "4"))
		if err := z.commit(); !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("commit: %v", err)
		}
		both("lost", z, "aborted")
		if got := w.status(w.c, z.Start().Add(1000_000)); got != "unknown" {
			w.t.Errorf("of the future: %s", got)
		}
		dead := w.begin(w.other, o) // its node dies, without a word
		if got := w.status(elsewhere, dead.Start()); got != "pending" {
			w.t.Errorf("of a dead node: %s", got)
		}
		dead.Rollback()
		time.Sleep(options().TimeoutMax + 3*time.Second)
		if got := w.status(elsewhere, dead.Start()); got != "aborted" {
			w.t.Errorf("of a node dead for long: %s", got)
		}
		if got := w.status(elsewhere, x.Start()); got != "committed" {
			w.t.Errorf("after some minutes: %s", got)
		}
		if found, err := w.n.Inspect(); err != nil || found.Kept == 0 {
			w.t.Errorf("no records are kept: %+v, %v", found, err)
		}
		time.Sleep(cluster.RecordsKept)
		if got := w.status(elsewhere, x.Start()); got != "unknown" {
			w.t.Errorf("after a long time: %s", got)
		}
		if found, err := w.n.Inspect(); err != nil || found.Kept > 0 {
			w.t.Errorf("records stay for ever: %+v, %v", found, err)
		}
	})
}

// A coordinator that is closed rolls back what is open.
func TestCloseRollsBack(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		c := coord.New(w.n.Router(), options())
		x := w.begin(c, o)
		x.do(set(w.keys[0], "1"), set(w.keys[1], "1"))
		c.Close()
		if err := x.commit(); !errors.Is(err, cluster.ErrTryAgain) {
			w.t.Errorf("a commit: %v", err)
		}
		if _, err := c.Begin(context.Background(), o); !errors.Is(err, cluster.ErrTryAgain) {
			w.t.Errorf("another one: %v", err)
		}
		w.want(w.values(w.keys[0], w.keys[1]), "-", "-")
		time.Sleep(options().Timeout + 5*time.Second) // its locks
	})
}

// A decision whose end is not seen is uncertain, and its status tells the truth.
func TestUncertainCommit(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		for _, done := range []bool{false, true} {
			a, b := w.keys[0], w.keys[1]
			w.must(set(a, "0"), set(b, "0"))
			x := w.begin(w.c, o)
			x.do(set(a, "1"), set(b, "1"))
			lost := func(step string, _ []op.Op) error {
				if step == "decide" || step == "settle" {
					return fmt.Errorf("%w: injected", cluster.ErrUncertain)
				}
				return nil
			}
			if done {
				w.steps.set(nil, lost)
			} else {
				w.steps.set(lost, nil)
			}
			if err := x.commit(); !errors.Is(err, cluster.ErrUncertain) {
				w.t.Errorf("commit: %v", err)
			}
			w.steps.set(nil, nil)
			time.Sleep(3 * time.Second)
			want, value := "aborted", "0"
			if done {
				want, value = "committed", "1"
			}
			if got := w.status(w.c, x.Start()); got != want {
				w.t.Errorf("decided %v: %s", done, got)
			}
			w.want(w.values(a, b), value, value)
		}
	})
}

// A record that is gone when the decision's end is asked for says nothing: the transaction may have been committed.
func TestForgottenBeforeRecovery(t *testing.T) {
	scripted(t, func(w *world) {
		a, b := w.keys[0], w.keys[1]
		w.steps.set(nil, func(step string, ops []op.Op) error {
			if step != "decide" {
				return nil
			}
			d := ops[0].(*op.Decide)
			at := w.must(&op.Settle{Txn: d.Txn, Home: d.Home})[0].Txn.At
			w.must(&op.Resolve{Txn: d.Txn, Names: []op.Name{op.Key([]byte(a))}, Committed: true, At: at})
			w.must(&op.Resolve{Txn: d.Txn, Names: []op.Name{op.Key([]byte(b))}, Committed: true, At: at})
			w.must(&op.Forget{Txn: d.Txn, Home: d.Home})
			return fmt.Errorf("%w: injected", cluster.ErrUncertain)
		})
		if _, err := transact(w.c, set(a, "1"), set(b, "1")); !errors.Is(err, cluster.ErrUncertain) {
			w.t.Errorf("it is committed, and the end is %v", err)
		}
		w.want(w.values(a, b), "1", "1")
	})
}

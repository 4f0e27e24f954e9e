package coord

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

// BeginOptions say what an interactive transaction is like. The zero value is an optimistic one that may write.
type BeginOptions struct {
	Pessimistic bool
	ReadOnly    bool
	AsOf        op.Timestamp  // of the snapshot of one that only reads; 0: now
	Timeout     time.Duration // 0: the default
}

// Tx is an interactive transaction: its user decides step by step what it does. It is for one goroutine, but may end at any
// moment, by its timeout or because the Coordinator is closed. Who began it ends it: Commit or Rollback.
type Tx struct {
	c      *Coordinator
	start  op.Timestamp // its id
	at     op.Timestamp // of its snapshot, as it began
	only   Doer         // of one that only reads; nil: it may write
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer

	mu    sync.Mutex // held for moments only
	busy  bool       // its user is in a step or in Commit
	bound bool       // Commit has begun, which has a time limit of its own
	ended error      // why it can't go on; nil while it can
	freed bool
	tx    *tx // nil for one that only reads. Its user's while busy
}

// Begin starts an interactive transaction.
func (c *Coordinator) Begin(ctx context.Context, o BeginOptions) (*Tx, error) {
	if o.Timeout == 0 {
		o.Timeout = c.o.Timeout
	}
	if o.Timeout > c.o.TimeoutMax {
		return nil, fmt.Errorf("%w: the timeout of a transaction is too large (limit %d ms)", cluster.ErrTooLarge, c.o.TimeoutMax.Milliseconds())
	}
	if err := c.admit(); err != nil {
		return nil, err
	}
	x, err := c.beginTx(ctx, o)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.closed {
		x.cancel()
		err = errStopping
	}
	if err != nil {
		c.opened--
		return nil, err
	}
	c.open[x.start] = x
	x.timer = time.AfterFunc(o.Timeout, func() { x.end(ErrTimedOut) })
	return x, nil
}

// admit takes a place among the open transactions.
func (c *Coordinator) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errStopping
	case c.opened >= c.o.OpenMax:
		return fmt.Errorf("%w on this node (limit %d): end some first", ErrTooMany, c.o.OpenMax)
	}
	c.opened++
	return nil
}

func (c *Coordinator) beginTx(ctx context.Context, o BeginOptions) (*Tx, error) {
	t, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	x := &Tx{c: c, start: t.start, at: t.start}
	if o.ReadOnly {
		if x.at = o.AsOf; x.at == 0 {
			x.at = t.start
		}
		if x.at > t.start {
			return nil, fmt.Errorf("%w: timestamp %d is not yet past", cluster.ErrFuture, x.at)
		}
		x.only = readOnly{snapshot{c.router, x.at}}
	} else {
		home := op.TxnHome(t.start)
		t.home = &home
		if x.tx = t; o.Pessimistic {
			t.locks = newLocks(t, o.Timeout)
		}
	}
	x.ctx, x.cancel = context.WithCancel(c.ctx)
	return x, nil
}

// readOnly is a snapshot that refuses writes.
type readOnly struct{ snapshot }

// Do reads at the snapshot's timestamp.
func (r readOnly) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	for _, o := range ops {
		if !o.ReadOnly() {
			return failed(len(ops), ErrReadOnly)
		}
	}
	return r.snapshot.Do(ctx, ops)
}

func failed(n int, err error) []op.Outcome {
	out := make([]op.Outcome, n)
	for i := range out {
		out[i].Err = err
	}
	return out
}

// Snapshot is the timestamp of its snapshot as it began. It is Start for one that may write.
func (x *Tx) Snapshot() op.Timestamp { return x.at }

// Start is the transaction's id, for Status.
func (x *Tx) Start() op.Timestamp { return x.start }

// Step runs fn on the transaction. When fn ends with an error, what it wrote is taken back, and the transaction goes on as if the
// step had not been; only a lost transaction (ErrConflict) is over, as is one whose time has run out.
func (x *Tx) Step(ctx context.Context, fn func(d Doer) error) error {
	if err := x.enter(false); err != nil {
		return err
	}
	defer x.leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(x.ctx, cancel)()
	err := x.run(ctx, fn)
	if over := x.over(); over != nil {
		return over
	}
	if errors.Is(err, ErrConflict) {
		x.end(fmt.Errorf("%w, and was rolled back: run it again from BEGIN", ErrConflict))
		return x.over()
	}
	return err
}

func (x *Tx) run(ctx context.Context, fn func(d Doer) error) error {
	if x.only != nil {
		return fn(within{ctx, x.only})
	}
	x.tx.step()
	err := fn(within{ctx, x.tx})
	if err == nil {
		err = x.tx.err
	}
	if err != nil {
		x.tx.undo()
	}
	return err
}

// within is a Doer whose calls end when the transaction does.
type within struct {
	ctx context.Context
	d   Doer
}

// Do runs operations on the transaction.
func (w within) Do(_ context.Context, ops []op.Op) []op.Outcome { return w.d.Do(w.ctx, ops) }

// Commit makes what the transaction wrote happen at the timestamp that it returns. After any error the transaction is over; only
// cluster.ErrUncertain leaves open whether it has happened, which Status tells.
func (x *Tx) Commit(ctx context.Context) (op.Timestamp, error) {
	if err := x.enter(true); err != nil {
		return 0, err
	}
	at, err := x.at, error(nil)
	if x.tx != nil {
		at, err = x.tx.commit(ctx)
	}
	cause := err
	if cause == nil {
		cause = errCommitted
		x.c.remember(x.start, ending{committed: true, at: at})
	}
	x.conclude(cause)
	x.leave()
	return at, err
}

// conclude ends the transaction as its Commit says, whatever else wanted to end it meanwhile.
func (x *Tx) conclude(cause error) {
	x.mu.Lock()
	x.ended = cause
	x.mu.Unlock()
	x.cancel()
}

// errCommitted says why a transaction can't go on that has come to its good end.
var errCommitted = errors.New("coord: the transaction is committed")

// Rollback ends the transaction without effect. It never waits, and does nothing when the transaction has ended.
func (x *Tx) Rollback() { x.end(ErrOver) }

// enter lets the user in. It tells why the transaction is over, if it is.
func (x *Tx) enter(commit bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended != nil {
		return x.ended
	}
	x.busy, x.bound = true, commit
	return nil
}

func (x *Tx) leave() {
	x.mu.Lock()
	x.busy = false
	x.mu.Unlock()
	x.free()
}

func (x *Tx) over() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended
}

// end ends the transaction, if nothing has yet. A Commit under way is not disturbed by its timeout.
func (x *Tx) end(cause error) {
	x.mu.Lock()
	if x.ended != nil || x.bound && errors.Is(cause, ErrTimedOut) {
		x.mu.Unlock()
		return
	}
	x.ended = cause
	x.mu.Unlock()
	x.cancel()
	x.free()
}

// free gives back all that an ended transaction holds, once its user has left it.
func (x *Tx) free() {
	x.mu.Lock()
	if x.ended == nil || x.busy || x.freed {
		x.mu.Unlock()
		return
	}
	x.freed = true
	t, cause := x.tx, x.ended
	x.tx = nil
	x.mu.Unlock()
	if t != nil {
		t.releaseLocks()
	}
	rolledBack := !errors.Is(cause, errCommitted) && !errors.Is(cause, cluster.ErrUncertain)
	if rolledBack {
		x.c.remember(x.start, ending{})
	}
	x.c.forget(x)
	if rolledBack && t != nil && t.writes > 0 && !t.prewritten {
		// Only this node knows that nothing will come of it any more. For those who ask others it is put on record.
		x.c.background(func(ctx context.Context) {
			x.c.router.Do(ctx, []op.Op{&op.Settle{Txn: t.start, Home: *t.home, Abort: true}})
		})
	}
}

// forget gives back the place of an open transaction.
func (c *Coordinator) forget(x *Tx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.timer != nil {
		x.timer.Stop()
	}
	delete(c.open, x.start)
	c.opened--
}

// Open is how many interactive transactions are open.
func (c *Coordinator) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

package coord

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"kahuna/cluster"
	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/placement"
)

// Router takes operations to their partitions; *cluster.Router is it.
type Router interface {
	Do(ctx context.Context, ops []op.Op) []op.Outcome
	Try(ctx context.Context, ops []op.Op) []op.Outcome
	ReadAt(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool) []op.Outcome
	Now(ctx context.Context, n int) (op.Timestamp, error)
	Partition(n op.Name) uint32
	State() *placement.State
}

// Options bound what a transaction may take.
type Options struct {
	Deadline time.Duration // from its start to its decision
	Retry    time.Duration // for how long one that conflicts is run again
	NamesMax int           // written
	BytesMax int           // written in one partition
	// WorkingBytesMax bounds the memory of what a transaction has read and will write.
	WorkingBytesMax int
	OpenMax         int                 // interactive transactions at a time
	Timeout         time.Duration       // of an interactive transaction that names none
	TimeoutMax      time.Duration       // at most TimeoutLimit
	RecordsKept     time.Duration       // how long the cluster keeps records of interactive transactions, as cluster.Config says
	Rand            func(n int64) int64 // spreads retries; nil: math/rand
	SingleEntry     bool                // transactions on one partition are one log entry
	Direct          bool                // those known beforehand run where their names are, without a snapshot
	// Left lists transactions whose coordinators seem to be gone, for this one to end; nil: none are looked for.
	Left func(ctx context.Context) ([]cluster.Transaction, error)
}

// DefaultOptions are what a server uses.
func DefaultOptions() Options {
	return Options{Deadline: 2 * time.Second, Retry: 3 * time.Second, NamesMax: 4096, BytesMax: cluster.EntryBytesMax, SingleEntry: true, Direct: true,
		WorkingBytesMax: 64 << 20, OpenMax: 1024, Timeout: 5 * time.Second, TimeoutMax: 5 * time.Minute, RecordsKept: cluster.RecordsKept}
}

// Coordinator runs transactions. It is safe for concurrent use.
type Coordinator struct {
	router  Router
	o       Options
	running sync.WaitGroup // resolutions in the background
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex // guards what follows; held for moments only
	closed bool
	opened int              // interactive transactions that are open or about to be
	open   map[op.TxnID]*Tx // those that are
	recent recent           // how others ended here
}

// TimeoutLimit is the longest that an interactive transaction may last on any node, whatever Options.TimeoutMax says there: other nodes
// judge by it whether one without a record can still be committed. It is below the 10 minutes for which a record is kept at least.
const TimeoutLimit = 5 * time.Minute

// New makes a Coordinator. Close it.
func New(r Router, o Options) *Coordinator {
	if o.Rand == nil {
		o.Rand = rand.Int64N
	}
	o.TimeoutMax = min(o.TimeoutMax, TimeoutLimit)
	c := &Coordinator{router: r, o: o, open: map[op.TxnID]*Tx{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if o.Left != nil {
		c.running.Go(c.finishLeft)
	}
	return c
}

// Close rolls back interactive transactions and ends what runs in the background. What is left unresolved is resolved by whoever
// meets it.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	open := slices.Collect(maps.Values(c.open))
	c.mu.Unlock()
	for _, x := range open {
		x.end(errStopping)
	}
	c.cancel()
	c.running.Wait()
}

// resolveTimeout bounds the work after a transaction's end. What it does not come to is done by whoever meets it.
const resolveTimeout = 30 * time.Second

// background runs f beside its caller, for a bounded time; not at all when the Coordinator is closed.
func (c *Coordinator) background(f func(ctx context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.running.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, resolveTimeout)
		defer cancel()
		f(ctx)
	})
}

// Doer runs operations: a transaction, or a snapshot.
type Doer interface {
	Do(ctx context.Context, ops []op.Op) []op.Outcome
}

// Transact runs fn as one transaction, and again with a fresh snapshot while it conflicts, for a bounded time. done is false,
// and nothing was changed, when a watch does not hold. An error of fn ends it without effect.
func (c *Coordinator) Transact(ctx context.Context, watches []op.Seen, fn func(tx Doer) error) (done bool, err error) {
	err = c.retried(ctx, func() error {
		done, err = c.attempt(ctx, watches, fn)
		return err
	})
	return done, err
}

// retried runs a transaction, and again while it conflicts, for a bounded time.
func (c *Coordinator) retried(ctx context.Context, attempt func() error) error {
	until := time.Now().Add(c.o.Retry)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := attempt()
		if !errors.Is(err, ErrConflict) || time.Now().After(until) {
			return err
		}
		if !clock.Pause(ctx, wait/2+time.Duration(c.o.Rand(int64(wait)))) {
			return err
		}
	}
}

func (c *Coordinator) attempt(ctx context.Context, watches []op.Seen, fn func(tx Doer) error) (bool, error) {
	tx, err := c.begin(ctx)
	if err != nil {
		return false, err
	}
	for _, w := range watches {
		holds, err := tx.watch(ctx, w)
		if err != nil || !holds {
			return false, err
		}
	}
	if err := fn(tx); err != nil {
		return false, err
	}
	if tx.err != nil {
		return false, tx.err
	}
	return true, tx.end(ctx)
}

// Atomic runs operations as one transaction: as one log entry when all their names are in one partition.
func (c *Coordinator) Atomic(ctx context.Context, ops []op.Op, watches []op.Seen) (results []op.Result, done bool, err error) {
	if c.o.SingleEntry && c.onePartition(ops, watches) {
		results, done, err = c.single(ctx, ops, watches)
		if !errors.Is(err, cluster.ErrParted) {
			return results, done, err
		}
	}
	if c.o.Direct && known(ops) {
		return c.direct(ctx, ops, watches)
	}
	done, err = c.Transact(ctx, watches, func(tx Doer) error {
		results = results[:0]
		for _, out := range tx.Do(ctx, ops) {
			if out.Err != nil {
				return out.Err
			}
			results = append(results, out.Result)
		}
		return nil
	})
	return results, done, err
}

func (c *Coordinator) single(ctx context.Context, ops []op.Op, watches []op.Seen) ([]op.Result, bool, error) {
	out := c.router.Do(ctx, []op.Op{&op.Multi{Ops: ops, Watches: watches}})[0]
	switch {
	case out.Err == nil && out.Status == op.TooLarge:
		return nil, false, fmt.Errorf("%w: the transaction is too large: what it writes does not fit a log entry", errTooLarge)
	case out.Err == nil && out.Status != op.OK:
		return nil, false, fmt.Errorf("coord: a single-entry transaction ended with status %d", out.Status)
	}
	return out.Sub, out.Done && out.Err == nil, out.Err
}

// onePartition tells whether the operations can be one log entry: all on names, and all those in one partition.
func (c *Coordinator) onePartition(ops []op.Op, watches []op.Seen) bool {
	if len(ops) == 0 {
		return false
	}
	id := c.router.Partition(ops[0].Target())
	for _, o := range ops {
		if !onNames(o) || c.router.Partition(o.Target()) != id {
			return false
		}
	}
	for _, w := range watches {
		if c.router.Partition(w.Name) != id {
			return false
		}
	}
	return true
}

// onNames tells whether an operation needs nothing but the names it is about, so that it can run inside a Multi.
func onNames(o op.Op) bool {
	switch o := o.(type) {
	case *op.Get:
		return o.AtRev == 0
	case *op.Look:
		return o.AtRev == 0
	case *op.History, *op.Scan, *op.Count, *op.DeleteRange, *op.Version:
		return false
	}
	return true
}

// Snapshot gives a Doer whose reads all see the state at one timestamp, and that timestamp. at 0 means now.
func (c *Coordinator) Snapshot(ctx context.Context, at op.Timestamp) (Doer, op.Timestamp, error) {
	now, err := c.router.Now(ctx, 1)
	if err != nil {
		return nil, 0, err
	}
	if at == 0 {
		at = now
	}
	if at > now {
		return nil, 0, fmt.Errorf("%w: timestamp %d is not yet past", cluster.ErrFuture, at)
	}
	return snapshot{c.router, at}, at, nil
}

type snapshot struct {
	router Router
	at     op.Timestamp
}

// Do reads at the snapshot's timestamp.
func (s snapshot) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	return s.router.ReadAt(ctx, s.at, ops, true)
}

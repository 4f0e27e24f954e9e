package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/hub"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/placement"
)

// Router takes operations to the partitions that own their names, and sends again what bounced.
type Router struct {
	self       string                 // this node's id
	routes     atomic.Pointer[routes] // never nil
	hints      hints
	last       hints         // who led partitions last, for those who are told whom to ask
	turn       atomic.Uint64 // whose turn it is to be asked when nobody is known to lead
	hub        *hub.Hub
	running    sync.WaitGroup  // what was sent to other nodes
	ctx        context.Context // ends with the node
	lanes      lanes
	incarnated atomic.Uint64                      // 0: not yet
	replica    func(id uint32) *partition.Replica // nil: not on this node
	mono       func() time.Duration
	clock      partition.Stamper
	writable   func() error // why writes are refused; nil when they are not
	timeout    time.Duration
	timers     timers
	unitOps    int
	unitSize   int
}

// EntryBytesMax is the largest operation that is taken: what it becomes must fit one batch of the store.
const EntryBytesMax = 4<<20 + 64<<10

// While an operation waits for a leader or for another transaction's end, it asks again after this long, doubling.
const (
	backoffMin = time.Millisecond
	backoffMax = 50 * time.Millisecond
)

// Do runs operations. Those on names of one partition are run in their order, and together as far as they fit; those on
// different partitions are not ordered. Scan, Count and DeleteRange go over all partitions of their range, after the operations
// before them and before those behind. There is one outcome for each.
func (r *Router) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	return r.all(ctx, mvcc.Latest, ops, true)
}

// Try is Do, but an operation that meets the intent of a transaction that has not ended is a Conflict, and does not wait.
func (r *Router) Try(ctx context.Context, ops []op.Op) []op.Outcome {
	return r.all(ctx, mvcc.Latest, ops, false)
}

// ReadAt runs read-only operations on the state at a timestamp that the clock has given out. It waits for transactions that
// might commit at or below it, or ends with Conflict when wait is false.
func (r *Router) ReadAt(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool) []op.Outcome {
	return r.all(ctx, at, ops, wait)
}

// Now takes n timestamps in a row and returns the first.
func (r *Router) Now(ctx context.Context, n int) (op.Timestamp, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	first, err := r.clock.Next(ctx, n)
	for wait := backoffMin; err != nil; wait = min(2*wait, backoffMax) {
		if !clock.Pause(ctx, wait) {
			return 0, fmt.Errorf("%w: no timestamp from the cluster's clock within %v: %w", ErrClusterDown, r.timeout, err)
		}
		first, err = r.clock.Next(ctx, n)
	}
	return first, nil
}

// Next is Now: a Router is a partition.Stamper that waits out a change of the clock's leader.
func (r *Router) Next(ctx context.Context, n int) (op.Timestamp, error) { return r.Now(ctx, n) }

// Partition is the id of the partition that a name lies in, as far as this node knows.
func (r *Router) Partition(n op.Name) uint32 { return r.State().Find(n.Key).ID }

// State is the range map, and what else the cluster has agreed on about itself, as this node knows it.
func (r *Router) State() *placement.State { return r.routes.Load().state }

func (r *Router) all(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool) []op.Outcome {
	if err := r.writable(); err != nil {
		return r.withoutWrites(ctx, at, ops, wait, err)
	}
	return r.run(ctx, at, ops, wait)
}

// withoutWrites refuses writes and runs the rest. What ends locks and transactions is let through: it frees.
func (r *Router) withoutWrites(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool, why error) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	var rest []op.Op
	var index []int
	for i, o := range ops {
		if o.ReadOnly() || frees(o) {
			rest, index = append(rest, o), append(index, i)
		} else {
			out[i].Err = why
		}
	}
	for k, end := range r.run(ctx, at, rest, wait) {
		out[index[k]] = end
	}
	return out
}

func frees(o op.Op) bool {
	switch o.(type) {
	case *op.LockRelease, *op.Decide, *op.Settle, *op.Resolve, *op.Forget:
		return true
	case *op.MetaPut: // small and rare; among them is what lets the history be collected
		return true
	}
	return false
}

func (r *Router) run(ctx context.Context, at op.Timestamp, ops []op.Op, wait bool) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	until := time.Now().Add(r.timeout)
	if len(ops) == 1 && r.atOnce(ctx, until, at, ops[0], &out[0]) {
		return out
	}
	if !time.Now().Before(until) { // a single one, that is in no log
		out[0].Err = r.noAnswer(partition.ErrNotLeader)
		return out
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for from := 0; from < len(ops); {
		if isRangeOp(ops[from]) {
			out[from] = r.overRange(ctx, at, ops[from], wait)
			from++
			continue
		}
		end := from
		for end < len(ops) && !isRangeOp(ops[end]) {
			end++
		}
		t := task{r: r, ctx: ctx, at: at, ops: ops[from:end], out: out[from:end], wait: wait}
		t.run()
		from = end
	}
	return out
}

// task is a run of operations with one name each, on their way.
type task struct {
	r     *Router
	ctx   context.Context
	at    op.Timestamp
	ops   []op.Op
	out   []op.Outcome
	wait  bool
	left  []int    // of ops, those that have no end yet, in order
	cause error    // why the last attempt did not end some of them
	freed bool     // the last attempt has put an intent out of the way
	moved bool     // something was sent to a partition that does not have it any more
	alone op.TxnID // a transaction whose intent was met and that had no record; 0: none
}

// run goes round until every operation has its end.
func (t *task) run() {
	t.left = make([]int, len(t.ops))
	for i := range t.left {
		t.left[i] = i
	}
	wait := backoffMin
	for {
		before := len(t.left)
		t.round()
		if len(t.left) == 0 {
			return
		}
		if (len(t.left) < before || t.freed) && t.cause == nil {
			wait = backoffMin
			continue
		}
		if !clock.Pause(t.ctx, wait) {
			t.giveUp()
			return
		}
		wait = min(2*wait, backoffMax)
	}
}

// giveUp ends what is left when the time is over. None of it is in a log.
func (t *task) giveUp() {
	err := t.r.noAnswer(t.cause)
	switch {
	case t.cause == nil:
		err = fmt.Errorf("%w: the operation was not judged within %v", ErrTryAgain, t.r.timeout)
	case errors.Is(t.cause, ErrTryAgain):
		err = t.cause
	}
	for _, i := range t.left {
		t.out[i].Err = err
	}
}

// noAnswer is the end of an operation that is in no log when its time is over.
func (r *Router) noAnswer(cause error) error {
	why := "it has no leader that this node can reach"
	switch {
	case errors.Is(cause, partition.ErrNoClock):
		why = "there is no timestamp from the cluster's clock"
	case cause != nil && !errors.Is(cause, partition.ErrNotLeader):
		why = cause.Error()
	}
	return fmt.Errorf("%w: the range did not answer within %v: %s", ErrClusterDown, r.timeout, why)
}

// batch is what goes to one partition in one round.
type batch struct {
	id      uint32
	replica *partition.Replica // that leads the partition, when it is here
	index   []int
	ops     []op.Op
	bytes   int
	reads   bool
	full    bool
	pending sent // nil: it is to be read here
	err     error
}

// round sends everything that is left to its partition once: writes first, all at the same time, then reads while they are on
// their way.
func (t *task) round() {
	t.cause, t.freed = nil, false
	batches, rest := t.gather()
	for _, b := range batches {
		t.send(b)
	}
	for _, b := range batches {
		if b.err == nil && b.pending == nil {
			results, err := b.replica.Read(t.ctx, t.at, b.ops)
			rest = t.take(b, results, err, rest)
		}
	}
	for _, b := range batches {
		if b.err != nil || b.pending != nil {
			results, err := b.await(t.ctx)
			rest = t.take(b, results, err, rest)
		}
	}
	t.left = sorted(rest)
}

// gather groups what is left by partition. What does not fit a partition's unit waits for the next round, with everything
// behind it on that partition.
func (t *task) gather() (batches []*batch, rest []int) {
	routes := t.r.routes.Load()
	for _, i := range t.left {
		o := t.ops[i]
		if t.moved && routes.spans(o) {
			t.out[i].Err = ErrParted
			continue
		}
		id := routes.find(o)
		b := find(batches, id)
		if b == nil {
			b = &batch{id: id, reads: true}
			batches = append(batches, b)
		}
		size := op.Size(o)
		if b.full || len(b.ops) > 0 && (len(b.ops) == t.r.unitOps || b.bytes+size > t.r.unitSize) {
			b.full = true
			rest = append(rest, i)
			continue
		}
		b.index, b.ops, b.bytes = append(b.index, i), append(b.ops, o), b.bytes+size
		b.reads = b.reads && o.ReadOnly()
	}
	return batches, rest
}

func find(batches []*batch, id uint32) *batch {
	for _, b := range batches {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (t *task) send(b *batch) {
	if b.bytes > EntryBytesMax {
		b.err = fmt.Errorf("%w: the request is too large (limit %d bytes)", ErrTooLarge, EntryBytesMax)
		return
	}
	b.replica = t.r.replica(b.id)
	switch {
	case b.replica == nil || !b.replica.Leads():
		b.pending, b.err = later(t.r.forward(t.ctx, t.at, b))
	case !b.reads:
		b.pending, b.err = later(b.replica.Submit(fsm.Unit(b.ops)))
	}
}

// later makes something that was sent what a batch waits for; nothing when it was refused.
func later[S sent](s S, err error) (sent, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (b *batch) await(ctx context.Context) ([]op.Result, error) {
	if b.err != nil {
		return nil, b.err
	}
	select {
	case <-b.pending.Done():
		return b.pending.Result()
	case <-ctx.Done():
		return nil, partition.Abandoned(b.pending)
	}
}

// take gives the operations of a batch their ends, as far as they have any, and adds the others to rest.
func (t *task) take(b *batch, results []op.Result, err error, rest []int) []int {
	if err != nil {
		return t.failed(b, err, rest)
	}
	for k, i := range b.index {
		res := results[k]
		if res.Status == op.Blocked {
			if end, ok := t.unblock(res.Intent); ok {
				t.out[i].Result = end
				continue
			}
		}
		if res.Status == op.Moved {
			t.moved = true
			if b.replica != nil {
				t.r.learn(extentOf(b.replica))
			}
		}
		if res.Status.Bounce() {
			// What comes behind it has bounced too, or is a read, which is run again to keep the order.
			return append(rest, b.index[k:]...)
		}
		t.out[i].Result = res
	}
	return rest
}

// unblock settles the transaction whose intent an operation met. When it has not ended and the operation is not to wait, the
// operation is a Conflict.
func (t *task) unblock(intent *op.Intent) (end op.Result, ok bool) {
	pending, err := t.settle(intent)
	if err != nil {
		t.cause = err
		return end, false
	}
	t.freed = t.freed || !pending
	if pending && !t.wait {
		return op.Result{Status: op.Conflict}, true
	}
	if pending {
		t.cause = fmt.Errorf("%w: a transaction on the same name has not ended", ErrTryAgain)
	}
	return end, false
}

// failed ends the operations of a batch that was refused, or whose end is not known; what may be sent again stays.
func (t *task) failed(b *batch, err error, rest []int) []int {
	var end error
	switch {
	case errors.Is(err, ErrTooLarge):
		end = err
	case errors.Is(err, partition.ErrUncertain) && !b.reads:
		end = fmt.Errorf("%w: the write was sent to the log but its end was not seen", ErrUncertain)
	case errors.Is(err, errDiskLow):
		end = fmt.Errorf("%w: the disk of the node that leads the range is nearly full; make room there and repeat, nothing was changed", ErrTryAgain)
	case errors.Is(err, partition.ErrFull):
		end = fmt.Errorf("%w: the partition's queue is full", ErrTryAgain)
	case errors.Is(err, partition.ErrStopped):
		end = fmt.Errorf("%w: the node is stopping", ErrTryAgain)
	case errors.Is(err, mvcc.ErrDamaged):
		end = fmt.Errorf("%w: %w", ErrFault, err)
	default:
		t.cause = err
		return append(rest, b.index...)
	}
	for _, i := range b.index {
		t.out[i].Err = end
	}
	return rest
}

// sorted puts indexes in order; they come in a few runs that are.
func sorted(index []int) []int {
	for i := 1; i < len(index); i++ {
		for k := i; k > 0 && index[k] < index[k-1]; k-- {
			index[k], index[k-1] = index[k-1], index[k]
		}
	}
	return index
}

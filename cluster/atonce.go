package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
)

// atOnce runs a single operation the way nearly all go: the leader of its partition is known, here or elsewhere, and nothing is in the
// way. It costs none of the bookkeeping of a task. ended is false when the operation is to be sent the long way; it is then in no
// log. It
// takes no longer than until.
func (r *Router) atOnce(ctx context.Context, until time.Time, at op.Timestamp, o op.Op, out *op.Outcome) (ended bool) {
	if isRangeOp(o) || op.Size(o) > entryBytes {
		return false
	}
	id := r.routes.Load().find(o)
	replica := r.replica(id)
	ops := []op.Op{o}
	var s sent
	switch {
	case replica == nil || !replica.Leads():
		if o.ReadOnly() && (at != mvcc.Latest || !points(ops)) {
			return false
		}
		s = r.lane(id, o.ReadOnly()).put(ops, until)
	case o.ReadOnly():
		return r.readAtOnce(ctx, replica, at, ops, out)
	default:
		pending, err := replica.Submit(ops)
		if err != nil {
			return false
		}
		s = pending
	}
	results, err := r.await(ctx, s)
	switch {
	case errors.Is(err, partition.ErrUncertain) && !o.ReadOnly():
		out.Err = fmt.Errorf("%w: the write was sent to the log but its end was not seen", ErrUncertain)
		return true
	case err != nil || results[0].Status.Bounce():
		return false
	}
	out.Result = results[0]
	return true
}

func (r *Router) readAtOnce(ctx context.Context, replica *partition.Replica, at op.Timestamp, ops []op.Op, out *op.Outcome) (ended bool) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	results, err := replica.Read(ctx, at, ops)
	if err != nil || results[0].Status.Bounce() {
		return false
	}
	out.Result = results[0]
	return true
}

// timers are reused, as nearly every write needs one and nearly none of them fires.
type timers struct{ pool sync.Pool }

func (t *timers) get(d time.Duration) *time.Timer {
	if timer, ok := t.pool.Get().(*time.Timer); ok {
		timer.Reset(d)
		return timer
	}
	return time.NewTimer(d)
}

func (t *timers) put(timer *time.Timer) {
	timer.Stop()
	t.pool.Put(timer)
}

// await waits for a unit's end, for a bounded time.
func (r *Router) await(ctx context.Context, s sent) ([]op.Result, error) {
	timer := r.timers.get(r.timeout)
	defer r.timers.put(timer)
	select {
	case <-s.Done():
		return s.Result()
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, partition.Abandoned(s)
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/partition"
)

// atOnce runs a single operation the way nearly all go: its partition is led here, and nothing is in the way. It costs none of
// the bookkeeping of a task. ended is false when the operation is to be sent the long way; it is then in no log.
func (r *Router) atOnce(ctx context.Context, at op.Timestamp, o op.Op, out *op.Outcome) (ended bool) {
	if isRangeOp(o) || op.Size(o) > entryBytes {
		return false
	}
	replica := r.replica(r.routes.Load().find(o))
	if replica == nil {
		return false
	}
	if o.ReadOnly() {
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		results, err := replica.Read(ctx, at, []op.Op{o})
		if err != nil || results[0].Status.Bounce() {
			return false
		}
		out.Result = results[0]
		return true
	}
	pending, err := replica.Submit(fsm.Unit{o})
	if err != nil {
		return false
	}
	results, err := r.await(ctx, pending)
	switch {
	case errors.Is(err, partition.ErrUncertain):
		out.Err = fmt.Errorf("%w: the write was sent to the log but its end was not seen", ErrUncertain)
		return true
	case err != nil || results[0].Status.Bounce():
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
func (r *Router) await(ctx context.Context, p *partition.Pending) ([]op.Result, error) {
	timer := r.timers.get(r.timeout)
	defer r.timers.put(timer)
	select {
	case <-p.Done():
		return p.Result()
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, partition.Abandoned(p)
}

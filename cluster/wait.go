package cluster

import (
	"context"
	"errors"
	"fmt"

	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/partition"
)

// Wait runs a LockAcquire that waits for its turn, first come first served, until the time of ctx is over; then the owner does not
// get the lock, unless it is free. A change of leader does not end the wait: it goes on at the new one. When ctx is cancelled
// nobody waits any more: the owner leaves the line at once, and what it was granted meanwhile is given back.
//
// An owner that asks again soon after it left gets its old place.
func (r *Router) Wait(ctx context.Context, o *op.LockAcquire) op.Outcome {
	if err := r.writable(); err != nil {
		return op.Outcome{Err: err}
	}
	w := waiting{r: r, ctx: ctx, ask: o}
	for pause := backoffMin; ; pause = min(2*pause, backoffMax) {
		if out, ended := w.once(); ended {
			return out
		}
		if !clock.Pause(ctx, pause) {
			return w.late()
		}
	}
}

// waiting is a Wait on its way.
type waiting struct {
	r         *Router
	ctx       context.Context
	ask       *op.LockAcquire
	met       task // settles intents that are in the way
	uncertain bool // a grant was proposed whose end was not seen
}

// once waits at the present leader. Without an end, it is to be done again.
func (w *waiting) once() (out op.Outcome, ended bool) {
	id := w.r.routes.Load().find(w.ask)
	res, leave, ended, err := w.at(id)
	if err == nil && !res.Status.Bounce() {
		if ended && !res.Done {
			leave()
		}
		return op.Outcome{Result: res}, ended
	}
	switch {
	case err == nil && res.Status == op.Blocked:
		w.met.r, w.met.ctx = w.r, w.ctx
		_, _ = w.met.settle(res.Intent) // what is not settled is met again
	case errors.Is(err, partition.ErrUncertain):
		w.uncertain = true
	case errors.Is(err, partition.ErrWaiters):
		return w.fail(fmt.Errorf("%w: too many owners wait for the lock, or for all locks of its leader (lock-waiters-max, waiters-max)", ErrTryAgain)), true
	case errors.Is(err, partition.ErrStopped):
		return w.fail(fmt.Errorf("%w: the node is stopping", ErrTryAgain)), true
	}
	if w.ctx.Err() != nil {
		leave()
	}
	return out, false
}

// at waits where the partition is led. leave takes the owner out of the line there.
func (w *waiting) at(id uint32) (res op.Result, leave func(), ended bool, err error) {
	if replica := w.r.replica(id); replica != nil && replica.Leads() {
		res, err = replica.Wait(w.ctx, w.ask)
		return res, func() { replica.Leave(w.ask.Name, w.ask.Owner) }, true, err
	}
	node := w.r.leader(id)
	if node == "" {
		return res, func() {}, false, partition.ErrNotLeader
	}
	res, ended, err = w.r.waitAt(w.ctx, node, id, w.ask)
	return res, func() { w.r.leaveAt(node, id, w.ask) }, ended, err
}

// late ends a wait whose time is over and that has no answer yet: it asks as one that does not wait, so that the answer is the log's.
func (w *waiting) late() op.Outcome {
	if errors.Is(w.ctx.Err(), context.Canceled) {
		return w.fail(fmt.Errorf("%w: the wait was ended", ErrTryAgain))
	}
	out := w.r.Do(context.WithoutCancel(w.ctx), []op.Op{w.ask})[0]
	if out.Err != nil {
		return w.fail(out.Err)
	}
	return out
}

// fail is the end with an error. It does not say that nothing was changed when that is not known.
func (w *waiting) fail(err error) op.Outcome {
	if w.uncertain {
		err = fmt.Errorf("%w: the lock was asked for and the end was not seen; ask again with the same owner", ErrUncertain)
	}
	return op.Outcome{Err: err}
}

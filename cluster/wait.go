package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	got := make(chan op.Outcome, 1)
	r.WaitThen(ctx, o, func(out op.Outcome) { got <- out })
	return <-got
}

// WaitThen is Wait for who does not wait himself: then is told the outcome, once, from any goroutine, and must not wait.
func (r *Router) WaitThen(ctx context.Context, o *op.LockAcquire, then func(op.Outcome)) {
	if err := r.writable(); err != nil {
		then(op.Outcome{Err: err})
		return
	}
	w := &waiting{r: r, ctx: ctx, ask: o, then: then, pause: backoffMin}
	w.stand()
}

// waiting is a Wait on its way.
type waiting struct {
	r         *Router
	ctx       context.Context
	ask       *op.LockAcquire
	then      func(op.Outcome)
	pause     time.Duration // before the next attempt
	met       *task         // settles intents that are in the way; nil: there were none
	uncertain bool          // a grant was proposed whose end was not seen
}

// attempt is how a wait at one leader ended.
type attempt struct {
	res   op.Result
	err   error
	more  bool   // it was for a part of the time, and that is over
	leave func() // takes the owner out of the line there
}

// stand waits at the present leader. It does not wait itself, save in goroutines of its own.
func (w *waiting) stand() {
	id := w.r.routes.Load().find(w.ask)
	if replica := w.r.replica(id); replica != nil && replica.Leads() {
		replica.WaitThen(w.ctx, w.ask, func(res op.Result, err error) {
			if err == nil && res.Done && !res.Status.Bounce() {
				w.then(op.Outcome{Result: res})
				return
			}
			w.r.running.Go(func() {
				w.ended(&attempt{res: res, err: err, leave: func() { replica.Leave(w.ask.Name, w.ask.Owner) }})
			})
		})
		return
	}
	w.r.running.Go(func() {
		a := attempt{err: partition.ErrNotLeader, leave: func() {}}
		if node := w.r.leader(id); node != "" {
			a.leave = func() { w.r.leaveAt(node, id, w.ask) }
			var ended bool
			a.res, ended, a.err = w.r.waitAt(w.ctx, node, id, w.ask)
			a.more = !ended
		}
		w.ended(&a)
	})
}

// ended goes on from the end of an attempt: the wait has ended, or stands again.
func (w *waiting) ended(a *attempt) {
	if out, ended := w.judge(a); ended {
		w.then(out)
		return
	}
	if !clock.Pause(w.ctx, w.pause) {
		w.then(w.late())
		return
	}
	w.pause = min(2*w.pause, backoffMax)
	w.stand()
}

// judge tells whether an attempt has ended the wait. Without an end, it is to be done again.
func (w *waiting) judge(a *attempt) (out op.Outcome, ended bool) {
	if a.err == nil && !a.res.Status.Bounce() {
		if !a.more && !a.res.Done {
			a.leave()
		}
		return op.Outcome{Result: a.res}, !a.more
	}
	if replica := w.r.replica(w.r.routes.Load().find(w.ask)); a.err == nil && a.res.Status == op.Moved && replica != nil {
		w.r.learn(extentOf(replica))
	}
	switch {
	case a.err == nil && a.res.Status == op.Blocked:
		if w.met == nil {
			w.met = &task{r: w.r, ctx: w.ctx}
		}
		_, _ = w.met.settle(a.res.Intent) // what is not settled is met again
	case errors.Is(a.err, partition.ErrUncertain):
		w.uncertain = true
	case errors.Is(a.err, partition.ErrWaiters):
		return w.fail(fmt.Errorf("%w: too many owners wait for the lock, or for all locks of its leader (lock-waiters-max, waiters-max)", ErrTryAgain)), true
	case errors.Is(a.err, partition.ErrStopped):
		return w.fail(fmt.Errorf("%w: the node is stopping", ErrTryAgain)), true
	}
	if w.ctx.Err() != nil {
		a.leave()
	}
	return out, false
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

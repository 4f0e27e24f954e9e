package partition

import (
	"bytes"
	"context"
	"errors"
	"math"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/raftgroup"
)

// endWait bounds how long a call whose time is over waits for what is under way for it.
const endWait = 2 * time.Second

// Wait asks for a lock and waits for its turn: first come, first served. The lease begins when it is granted.
//
// When the time of ctx is over it answers that the owner does not get the lock, as LockAcquire does, but the owner's place is kept
// as if it waited on, for returnGap: who comes back within it goes on waiting. So a long wait can be made of slices. When ctx is
// cancelled, nobody waits any more: the place is passed over from then on, though for absenceGrace its owner can come back to it,
// and a grant that was under way is given back. Leave says the same of a wait made of slices.
//
// A result that is a bounce is to be dealt with as that of any operation, and Wait called again, for the place is kept for
// returnGap. Errors: those of Submit, ErrWaiters, and ErrUncertain when the end of what was proposed was not seen, after which the
// owner may ask again, and gets its token if it was granted; ctx.Err() when that was cancelled. Save for ErrUncertain, nothing was
// changed.
func (r *Replica) Wait(ctx context.Context, o *op.LockAcquire) (op.Result, error) {
	if r.term.Load() == 0 {
		return op.Result{}, ErrNotLeader
	}
	c, err := r.waiters.enter(o)
	if err != nil {
		return op.Result{}, err
	}
	select {
	case e := <-c.end:
		return r.finish(ctx, c, e)
	case <-ctx.Done():
		return r.over(ctx, c)
	}
}

// WaitThen is Wait for who does not wait himself: then is told the end, once, from any goroutine. It must not wait, nor call the
// replica. While nothing happens, who waits so costs a place in the line and no goroutine.
func (r *Replica) WaitThen(ctx context.Context, o *op.LockAcquire, then func(op.Result, error)) {
	if r.term.Load() == 0 {
		then(op.Result{}, ErrNotLeader)
		return
	}
	c := &caller{}
	c.parked = func(e ending) { // w.mu is held
		if e.err == nil && cancelled(ctx) {
			r.start(func() { then(r.finish(ctx, c, e)) })
			return
		}
		then(e.result, e.err)
	}
	if err := r.waiters.stand(o, c); err != nil {
		then(op.Result{}, err)
		return
	}
	context.AfterFunc(ctx, func() {
		if r.waiters.unpark(c) {
			then(r.over(ctx, c))
		}
	})
}

// over ends a call whose time is over, or that nobody waits for any more.
func (r *Replica) over(ctx context.Context, c *caller) (op.Result, error) {
	if !cancelled(ctx) {
		if err := r.confirm(c); err != nil {
			r.waiters.leave(c, false)
			return r.finish(ctx, c, r.lastWord(c, ending{err: err}))
		}
	}
	r.waiters.leave(c, cancelled(ctx))
	return r.finish(ctx, c, r.lastWord(c, ending{}))
}

// lastWord is what a call ends with whose time is over: what has come for it meanwhile, or else e.
func (r *Replica) lastWord(c *caller, e ending) ending {
	timer := time.NewTimer(endWait)
	defer timer.Stop()
	select {
	case got := <-c.end:
		if got.err == nil && !got.result.Done && got.result.Status == op.OK {
			got.err = e.err
		}
		return got
	case <-timer.C:
		r.waiters.abandon(c)
		return ending{err: ErrUncertain}
	}
}

// finish turns an ending to what Wait returns. A grant whose client is not there any more is given back.
func (r *Replica) finish(ctx context.Context, c *caller, e ending) (op.Result, error) {
	if e.err != nil || !cancelled(ctx) {
		return e.result, e.err
	}
	if e.alone && e.result.Done && !e.result.Found {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
		defer cancel()
		if _, err := r.Write(ctx, fsm.Unit{giveBack(&c.place.ask, &e.result)}); err != nil {
			return op.Result{}, ErrUncertain
		}
	}
	return op.Result{}, ctx.Err()
}

func cancelled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

func uncertain(err error) bool { return errors.Is(err, ErrUncertain) }

// confirm sees that the answer that an owner does not get a lock comes from a leader: by what the log has said during the call, or
// else by the read index.
func (r *Replica) confirm(c *caller) error {
	if r.waiters.judged(c) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, endWait)
	defer cancel()
	err := r.group.ReadIndex(ctx)
	if errors.Is(err, raftgroup.ErrNotLeader) || errors.Is(err, raftgroup.ErrNotReady) || ctx.Err() != nil {
		return ErrNotLeader
	}
	return err
}

// Leave says that nobody waits any more for an owner's turn: the place is passed over from now on. It is of no effect while a Wait
// for it is under way.
func (r *Replica) Leave(name, owner []byte) { r.waiters.dismiss(name, owner) }

// Waiters is how many owners wait for locks of this partition here, and those lately gone.
func (r *Replica) Waiters() int { return int(r.waiters.places.Load()) }

// submitFor is Submit for the tables of locks, which do not wait. The end is told on the goroutine that completes entries.
func (r *Replica) submitFor(u fsm.Unit, ended func([]op.Result, error)) error {
	_, err := r.submit(&Pending{ops: u, units: 1, encoded: fsm.AppendUnit(nil, u), ended: ended})
	return err
}

// enter adds a call to its owner's place. Its ending comes by its channel.
func (w *waiters) enter(o *op.LockAcquire) (*caller, error) {
	c := &caller{end: make(chan ending, 1)}
	return c, w.stand(o, c)
}

// unpark has the ending of a parked call come by its channel from now on. False: it has ended.
func (w *waiters) unpark(c *caller) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.ended {
		return false
	}
	c.parked, c.end = nil, make(chan ending, 1)
	return true
}

// stand adds a call to its owner's place, which is made when there is none.
func (w *waiters) stand(o *op.LockAcquire, c *caller) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.leading {
		return ErrNotLeader
	}
	p, err := w.placeOf(o)
	if err != nil {
		return err
	}
	c.place = p
	p.callers = append(p.callers, c)
	p.ask.TTLMilli = o.TTLMilli
	if p.granted != nil {
		w.answer(p, *p.granted)
		return nil
	}
	p.away, p.soft, p.resting = false, false, false
	p.line.join(p)
	w.grant(p.line)
	if !p.judged && !p.over && p.underWay == 0 && len(p.callers) > 0 && w.answerable(p) {
		w.try(p)
	}
	return nil
}

// answerable tells whether the log may have another answer for an owner who waits than that he is to wait: he may hold the lock, or
// the request clashes with how it is held. Who is just to wait costs no log entry.
func (w *waiters) answerable(p *place) bool {
	t, _ := p.line.expected()
	return t.clashes(&p.ask) || w.holds(p.ask.Name, p.ask.Owner)
}

// placeOf is an owner's place in the line of a lock. Who asks for another mode than it waits for loses that place.
func (w *waiters) placeOf(o *op.LockAcquire) (*place, error) {
	l := w.lines[string(o.Name)]
	if l != nil {
		if p := l.places[string(o.Owner)]; p != nil && p.sameMode(o) {
			return p, nil
		} else if p != nil {
			w.displace(p)
			l = w.lines[string(o.Name)]
		}
	}
	if l != nil && w.perLock > 0 && len(l.places) >= w.perLock || !w.quota.take() {
		return nil, ErrWaiters
	}
	w.places.Add(1)
	if l == nil {
		l = newLine(o.Name, w.held(o.Name))
		w.lines[string(l.name)] = l
	}
	w.numbers++
	ask := *o
	ask.Name, ask.Owner = l.name, bytes.Clone(o.Owner)
	p := &place{line: l, number: w.numbers, ask: ask}
	l.places[string(ask.Owner)] = p
	return p, nil
}

// displace ends the calls for a place whose owner wants something else now. What is under way for them is waited for.
func (w *waiters) displace(p *place) {
	if p.granted != nil && !p.granted.Found {
		w.giveBack(p, p.granted)
	}
	w.remove(p)
	if p.displaced = p.underWay > 0; p.displaced {
		p.over = false
	}
	for _, c := range p.callers {
		if c.leaving = true; p.over {
			c.tell(ending{})
		}
	}
}

// leave ends a call whose time is over. The caller then reads its ending, which comes when nothing is under way for it any more.
func (w *waiters) leave(c *caller, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.ended {
		return
	}
	c.gone = gone
	if c.place.underWay > 0 {
		c.leaving = true
		return
	}
	c.tell(ending{})
	w.detach(c)
}

// abandon ends a call that does not wait for its ending.
func (w *waiters) abandon(c *caller) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.ended {
		c.ended = true
		w.detach(c)
	}
}

func (w *waiters) judged(c *caller) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return c.judged
}

func (w *waiters) dismiss(name, owner []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[string(name)]
	if l == nil {
		return
	}
	if p := l.places[string(owner)]; p != nil && len(p.callers) == 0 {
		w.notReturned(p)
	}
}

// yield gives the unit in which requests for locks that others wait for are such as make no new holder: who did not wait in line
// does not overtake those who did; changed tells that there were such. Of no cost while nobody waits.
func (w *waiters) yield(u fsm.Unit) (yielded fsm.Unit, changed bool) {
	if w.places.Load() == 0 {
		return u, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.yielding(u)
}

func (w *waiters) yielding(ops []op.Op) (yielded []op.Op, changed bool) {
	for i, o := range ops {
		modest := w.modest(o)
		if modest == o {
			continue
		}
		if !changed {
			ops, changed = append([]op.Op(nil), ops...), true
		}
		ops[i] = modest
	}
	return ops, changed
}

// anticipate proposes, behind a unit that was just put into the queue, the locks that it frees for those whose turn it is then. So a
// lock is passed on in one log entry. When the unit frees nothing, who was proposed does not get the lock and waits on.
func (w *waiters) anticipate(u fsm.Unit) {
	if w.places.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range u {
		switch o := o.(type) {
		case *op.LockRelease:
			w.freed(o.Name, 1)
		case *op.LockExpire:
			w.freed(o.Name, 1)
		case *op.LockBreak:
			if o.AnyOwner {
				w.freed(o.Name, math.MaxInt)
			} else {
				w.freed(o.Name, 1)
			}
		}
	}
}

// freed proposes a lock as if so many of its holders had gone. While grants are under way it does not.
func (w *waiters) freed(name []byte, holders int) {
	if l := w.lines[string(name)]; l != nil && l.coming.holders == 0 && l.held.holders > 0 {
		t := l.held
		t.holders = max(0, t.holders-holders)
		w.take(l, t, false)
	}
}

// modest is what an operation becomes that would overtake somebody; else the operation itself.
func (w *waiters) modest(o op.Op) op.Op {
	switch o := o.(type) {
	case *op.LockAcquire:
		if l := w.lines[string(o.Name)]; l != nil && l.overtakes(o) {
			return &op.LockRenew{Name: o.Name, Owner: o.Owner, TTLMilli: o.TTLMilli, Shared: o.Shared, Permits: o.Permits}
		}
	case *op.Multi:
		if ops, changed := w.yielding(o.Ops); changed {
			return &op.Multi{Ops: ops, Watches: o.Watches}
		}
	case *op.Prepare:
		if ops, changed := w.yielding(o.Ops); changed {
			part := *o
			part.Ops = ops
			return &part
		}
	case *op.CommitMulti:
		if ops, changed := w.yielding(o.Ops); changed {
			part := *o
			part.Ops = ops
			return &part
		}
	}
	return o
}

package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"kahuna/fsm"
	"kahuna/op"
)

// changesAtOnce bounds how many partitions one page of changes is read from at a time.
const changesAtOnce = 8

// Changes gives a page of what happened, over all partitions, to the names of a space with a prefix: the oldest changes above Since, in
// the order of their timestamps, and as TS the timestamp to go on from. What happened above Since and up to that is on the page, all of
// it: the changes of one timestamp, those of one transaction, are never parted, so a page may have more than Limit. Found: there is more behind it. Since 0 is now: the page
// is empty. From, To and UpTo are not for the caller.
//
// It is complete because it is a snapshot read at a fresh timestamp S of every partition. At each partition's leader the floor is
// raised to S first, so whatever is written there later gets a timestamp above S; what was in flight is waited for; and the leader
// proves that it has applied everything that was committed. That leaves what transactions write: a version appears when its intent
// is resolved, which may be long after later ones have been read, with the commit timestamp C that was given out before. But C is asked
// for when all intents are laid, each with the timestamp P < C of its prewrite. If C <= S, then P < S and the entry that laid the intent
// is there: the read meets it, or the version it became. What it meets below S it waits for, until it is settled. So no
// version that turns up later anywhere has a timestamp at or below S, and what is at or below S is read: the versions between Since
// and S stand in the store as long as Since is not below the safe point, which each partition judges after its snapshot is taken.
// None of this depends on who leads, so a reader that goes on from TS misses nothing and sees nothing twice, whatever fails in
// between.
func (r *Router) Changes(ctx context.Context, o *op.Changes) op.Outcome {
	at, err := r.Now(ctx, 1)
	switch {
	case err != nil:
		return op.Outcome{Err: err}
	case o.Since > at:
		return op.Outcome{Err: fmt.Errorf("%w: timestamp %d is not yet past", ErrFuture, o.Since)}
	case o.Since == 0:
		return op.Outcome{Result: op.Result{Done: true, TS: at}}
	}
	return r.changesUpTo(ctx, o, at)
}

func (r *Router) changesUpTo(ctx context.Context, o *op.Changes, at op.Timestamp) op.Outcome {
	g := gathering{r: r, ctx: ctx, at: at, page: fsm.NewOldest(int(o.Limit), int(o.MaxBytes), at, changeSize, changeOrder)}
	from, to := slotsOf(o.Prefix)
	var running sync.WaitGroup
	places := make(chan struct{}, changesAtOnce)
	for _, p := range r.State().Parts(from, to) {
		places <- struct{}{}
		running.Go(func() {
			part := *o
			part.From, part.To = p.From, p.To
			g.part(&part)
			<-places
		})
	}
	running.Wait()
	if g.failed != nil {
		return *g.failed
	}
	items := g.page.Take()
	return op.Outcome{Result: op.Result{Done: true, Items: items, TS: g.page.UpTo, Found: g.page.UpTo < at}}
}

// slotsOf is the part of the ordered space in which all names with a prefix lie: one slot when the prefix has a whole hash tag.
func slotsOf(prefix []byte) (from, to op.Position) {
	open := bytes.IndexByte(prefix, '{')
	if open < 0 || bytes.IndexByte(prefix[open+1:], '}') < 1 {
		return from, to
	}
	from.Slot = op.Slot(prefix)
	if from.Slot < op.Slots-1 {
		to.Slot = from.Slot + 1
	}
	return from, to
}

// gathering is a page under way.
type gathering struct {
	r   *Router
	ctx context.Context
	at  op.Timestamp

	mu     sync.Mutex // guards what follows; not held across a wait
	page   *fsm.Oldest[op.Item]
	failed *op.Outcome
}

// part goes through a part that lies in one partition, in as many steps as that takes.
func (g *gathering) part(o *op.Changes) {
	for more := true; more; {
		upTo, ok := g.present()
		if !ok {
			return
		}
		o.UpTo = upTo
		step := *o
		ctx, cancel := context.WithTimeout(g.ctx, g.r.timeout)
		out := g.r.part(ctx, g.at, &step, true)
		cancel()
		if errors.Is(out.Err, ErrParted) && g.ctx.Err() == nil {
			g.parts(o)
			return
		}
		more = g.take(&out)
		if more {
			o.From = *out.Next
		}
	}
}

// parts goes through a part that was split meanwhile.
func (g *gathering) parts(o *op.Changes) {
	for _, p := range g.r.State().Parts(o.From, o.To) {
		part := *o
		part.From, part.To = p.From, p.To
		g.part(&part)
	}
}

// present is up to where changes are of interest. False: the page has failed.
func (g *gathering) present() (op.Timestamp, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.page.UpTo, g.failed == nil
}

// take adds what a step has found and tells whether another one is to follow.
func (g *gathering) take(out *op.Outcome) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if out.Err != nil || out.Status != op.OK {
		g.failed = out
		return false
	}
	for _, it := range out.Items {
		g.page.Add(it)
	}
	g.page.UpTo = min(g.page.UpTo, out.TS)
	return out.Next != nil
}

func changeSize(it *op.Item) (op.Timestamp, int) { return it.TS, len(it.Key) + len(it.Value) }

func changeOrder(a, b *op.Item) int {
	return cmp.Or(cmp.Compare(a.TS, b.TS), bytes.Compare(a.Key, b.Key))
}

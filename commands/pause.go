package commands

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

// CLIENT PAUSE holds back the commands of this node's clients, all or those that may write, until it is over or CLIENT UNPAUSE. Unlike
// in Redis, those two are never held back themselves. What runs or waits already goes on, and so does time: leases and expiries.

const errPauseMode = "ERR CLIENT PAUSE mode must be WRITE or ALL"

// errNotPaused ends a command that was held back for a client that went, or that CLIENT UNBLOCK meant.
var errNotPaused = fmt.Errorf("%w: the wait for the end of CLIENT PAUSE was ended", cluster.ErrTryAgain)

// pauseMax bounds a pause.
const pauseMax = 365 * 24 * time.Hour

// pause is the pause of a node.
type pause struct {
	on atomic.Bool // it may be on: saves all others the lock

	mu      sync.Mutex // guards what follows; held for moments only
	until   time.Time
	all     bool
	waiting []*heldBack
}

// heldBack is a command that waits for the end of a pause.
type heldBack struct{ goOn func() }

// begin begins a pause, or makes the one that is on longer and wider, as Redis does.
func (p *pause) begin(now, until time.Time, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		all = all || p.all
		if p.until.After(until) {
			until = p.until
		}
	}
	p.until, p.all = until, all
	p.on.Store(true)
}

// left is for how long a command is held back, which may write or not; 0: not at all.
func (p *pause) left(now time.Time, writes bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		p.on.Store(false)
		return 0
	}
	if !p.all && !writes {
		return 0
	}
	return p.until.Sub(now)
}

// end ends the pause, and all that were held back go on.
func (p *pause) end() {
	p.mu.Lock()
	all := p.waiting
	p.until, p.waiting = time.Time{}, nil
	p.on.Store(false)
	p.mu.Unlock()
	for _, w := range all {
		w.goOn()
	}
}

// wait has goOn called once, by the end of the pause or of ctx.
func (p *pause) wait(ctx context.Context, goOn func()) {
	w := &heldBack{goOn}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		at := slices.Index(p.waiting, w)
		if at >= 0 {
			p.waiting = slices.Delete(p.waiting, at, at+1)
		}
		p.mu.Unlock()
		if at >= 0 {
			goOn()
		}
	})
}

// holdBack tells whether a command has to wait for the end of a pause, and lets it.
func (s *Session) holdBack(x *execution, row *Command) bool {
	p := &s.h.pause
	if !p.on.Load() || row.parent == "client" && (row.Name == "pause" || row.Name == "unpause") {
		return false
	}
	left := p.left(s.h.now(), s.mayWrite(row))
	if left <= 0 {
		return false
	}
	s.block(x, left, func(ctx context.Context, then func(op.Outcome)) {
		p.wait(ctx, func() {
			if ctx.Err() == context.Canceled {
				then(op.Outcome{Err: errNotPaused})
				return
			}
			then(op.Outcome{})
		})
	}, func(x *execution, out op.Outcome) {
		if out.Err != nil {
			x.w.Error(errorText(out.Err))
			return
		}
		x.began = s.h.now() // the time that it was held back is not the command's
		s.accept(x)
		s.flush(x)
	})
	return true
}

// mayWrite tells whether a command may change something. A script may, and so may the end of a transaction.
func (s *Session) mayWrite(row *Command) bool {
	switch row.Name {
	case "eval", "evalsha", "publish", "spublish", "commit":
		return row.parent == ""
	case "exec":
		return s.multi != nil && slices.ContainsFunc(s.multi.lines, func(l queued) bool { return s.mayWrite(l.row) })
	}
	return row.has("write")
}

func parseClientPause(p *parser) request {
	timeout, mode := p.next(), []byte("ALL")
	if p.more() {
		if mode = p.next(); !equalFold(mode, "ALL") && !equalFold(mode, "WRITE") {
			p.fail(errPauseMode)
		}
	}
	p.end()
	ms, ok := parseInt(timeout)
	switch {
	case !ok:
		p.fail("ERR timeout is not an integer or out of range")
	case ms < 0:
		p.fail(errTimeoutMinus)
	}
	d := time.Duration(min(ms, pauseMax.Milliseconds())) * time.Millisecond
	return request{local: func(c *call) {
		now := c.s.h.now()
		c.s.h.pause.begin(now, now.Add(d), equalFold(mode, "ALL"))
		c.w.SimpleString("OK")
	}}
}

func parseClientUnpause(*parser) request {
	return request{local: func(c *call) {
		c.s.h.pause.end()
		c.w.SimpleString("OK")
	}}
}

package commands

import (
	"context"
	"errors"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/resp"
)

// Why CLIENT UNBLOCK ends a command that waits.
var (
	errUnblockTimeout = errors.New("as if its time were over")
	errUnblockError   = userError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
)

// blocked is a command that waits. What was pipelined before it is answered first, what is behind it waits.
type blocked struct {
	ctx   *waitContext
	out   op.Outcome
	write func(x *execution, out op.Outcome)
	args  [][]byte
	began time.Time
	mute  bool      // the client wants no reply to it
	rest  []Request // of its batch
}

// block has the session wait for the outcome of what begin begins, for a time at most. The context of begin ends when the time is over
// (DeadlineExceeded), or else when nobody waits any more (Canceled): the client is gone, the server stops, or CLIENT UNBLOCK said so.
// The outcome is told to then, once, from any goroutine; write writes the reply.
func (s *Session) block(x *execution, d time.Duration, begin func(ctx context.Context, then func(op.Outcome)), write func(x *execution, out op.Outcome)) {
	s.flush(x)
	b := &blocked{ctx: newWaitContext(d), write: write, args: x.args, began: x.began, mute: s.mute != nil}
	s.waits.Store(b)
	if s.conn.Suspend == nil {
		stop := context.AfterFunc(x.ctx, func() { b.ctx.cancel(nil) })
		defer stop()
		got := make(chan op.Outcome, 1)
		begin(b.ctx, func(out op.Outcome) { got <- out })
		b.out = <-got
		s.unblocked(x, b)
		return
	}
	s.suspended = b
	resume := s.conn.Suspend(b.ctx.cancel)
	begin(b.ctx, func(out op.Outcome) {
		b.out = out
		resume()
	})
}

// unblocked writes the reply of a command that has waited.
func (s *Session) unblocked(x *execution, b *blocked) {
	s.waits.Store(nil)
	why := b.ctx.why()
	b.ctx.cancel(nil)
	switch {
	case why == nil || !errors.Is(b.out.Err, cluster.ErrTryAgain):
	case why == errUnblockTimeout:
		b.out = op.Outcome{}
	case why == errUnblockError:
		b.out.Err = why
	}
	mark := x.w.Len()
	b.write(x, b.out)
	if b.mute {
		x.w.Truncate(mark)
	}
	s.send(x)
}

// Resume goes on behind a command that has waited: it writes its reply, and serves what was behind it. See server.Session.
func (s *Session) Resume(ctx context.Context, w *resp.Writer) bool {
	b := s.suspended
	s.suspended = nil
	x := &execution{ctx: ctx, w: w, began: b.began, args: b.args}
	s.unblocked(x, b)
	if s.suspended != nil { // it was held back by a pause, and then by another
		s.suspended.rest = b.rest
		return true
	}
	return s.serve(x, b.rest)
}

// blocked tells whether a command of the session waits.
func (s *Session) blocked() bool { return s.waits.Load() != nil }

// unblockNow ends the command of the session that waits, and tells whether there was one.
func (s *Session) unblockNow(why error) bool {
	b := s.waits.Swap(nil)
	if b == nil {
		return false
	}
	b.ctx.cancel(why)
	return true
}

// awaitLock runs a LOCK that waits for its turn.
func (s *Session) awaitLock(x *execution, r *request) {
	ask, wait, reply := r.ops[0].(*op.LockAcquire), r.wait, r.write
	s.block(x, wait, func(ctx context.Context, then func(op.Outcome)) { s.h.backend.Wait(ctx, ask, then) }, func(x *execution, out op.Outcome) {
		reply(&call{s: s, w: x.w, d: s.h.backend}, []op.Outcome{out}, 0)
	})
}

// parseClientUnblock is of no effect on a client that does not wait.
func parseClientUnblock(p *parser) request {
	id, why := p.int(), errUnblockTimeout
	if p.more() {
		switch {
		case p.is("TIMEOUT"):
		case p.is("ERROR"):
			why = errUnblockError
		default:
			p.fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
		}
		p.end()
	}
	return request{local: func(c *call) {
		if s := c.s.h.session(id); s != nil && s.unblockNow(why) {
			c.w.Int(1)
			return
		}
		c.w.Int(0)
	}}
}

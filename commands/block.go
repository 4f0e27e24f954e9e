package commands

import (
	"context"
	"errors"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

// Why CLIENT UNBLOCK ends a command that waits.
var (
	errUnblockTimeout = errors.New("as if its time were over")
	errUnblockError   = userError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
)

// beginWait prepares for a command that blocks: the replies so far are sent, and the connection is watched. The context ends when
// the time is over (DeadlineExceeded), or else when nobody waits any more (Canceled): the client is gone, the server stops, or
// CLIENT UNBLOCK said so. end is called before anything is written, and returns what CLIENT UNBLOCK said, or nil.
func (s *Session) beginWait(ctx context.Context, d time.Duration) (waiting context.Context, end func() error) {
	stop := func() {}
	if s.conn.Watch != nil {
		ctx, stop = s.conn.Watch()
	}
	ctx, unblock := context.WithCancelCause(ctx)
	waiting, cancel := context.WithTimeout(ctx, d)
	s.unblock.Store(&unblock)
	return waiting, func() error {
		s.unblock.Store(nil)
		why := context.Cause(ctx)
		cancel()
		unblock(nil)
		stop()
		if why == errUnblockTimeout || why == errUnblockError {
			return why
		}
		return nil
	}
}

// blocked tells whether a command of the session waits.
func (s *Session) blocked() bool { return s.unblock.Load() != nil }

// unblockNow ends the command of the session that waits, and tells whether there was one.
func (s *Session) unblockNow(why error) bool {
	unblock := s.unblock.Swap(nil)
	if unblock == nil {
		return false
	}
	(*unblock)(why)
	return true
}

// awaitLock runs a LOCK that waits for its turn. What was pipelined before it is answered first, what is behind it waits.
func (s *Session) awaitLock(x *execution, r *request) {
	s.flush(x)
	ctx, end := s.beginWait(x.ctx, r.wait)
	out := s.h.backend.Wait(ctx, r.ops[0].(*op.LockAcquire))
	switch why := end(); {
	case why == nil || !errors.Is(out.Err, cluster.ErrTryAgain):
	case why == errUnblockTimeout:
		out = op.Outcome{}
	default:
		out.Err = why
	}
	r.write(&call{s: s, w: x.w, d: s.h.backend}, []op.Outcome{out}, 0)
	s.send(x)
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

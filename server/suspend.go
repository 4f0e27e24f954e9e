package server

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// watchBytesMax is what is kept of a client's pipeline behind a command that blocks.
const watchBytesMax = 64 << 10

var longAgo = time.Unix(1, 0)

// suspension is a command that blocks. While it does, the connection's goroutine has nothing of the session on its stack: it reads.
type suspension struct {
	interrupt func(cause error)
	state     atomic.Int32
	resumed   chan struct{}
}

// How far a suspension is.
const (
	suspended   int32 = iota // the session is still on its way out of Serve
	parked                   // the connection is read
	resumedOnce              // the session is to go on
)

// suspend is ConnInfo.Suspend.
func (c *conn) suspend(interrupt func(cause error)) (resume func()) {
	p := &suspension{interrupt: interrupt, resumed: make(chan struct{})}
	c.suspension.Store(p)
	switch { // who says so first looks for the suspension afterwards
	case c.ctx.Err() != nil:
		interrupt(ErrDisconnected)
	case c.srv.draining.Load():
		interrupt(ErrClosed)
	}
	return func() {
		was := p.state.Swap(resumedOnce)
		if was == resumedOnce {
			return
		}
		if was == parked {
			c.raw.SetReadDeadline(longAgo)
		}
		close(p.resumed)
	}
}

// interruptSuspended tells a command that blocks that nobody waits for it any more. Any goroutine may.
func (c *conn) interruptSuspended(cause error) {
	if p := c.suspension.Load(); p != nil {
		p.interrupt(cause)
	}
}

// park sends the replies so far and reads the connection until the session is to go on. What it reads is in the guard's buffer.
func (c *conn) park(p *suspension) {
	c.send(true) // on an error c.ctx has ended, and the session was told
	c.guard.rest()
	c.batch.cmds = nil
	c.disarm()
	if p.state.CompareAndSwap(suspended, parked) {
		c.readAhead(p)
	}
	<-p.resumed
	c.suspension.Store(nil)
	c.disarm()
	c.active = time.Now()
	c.hold()
}

// readAhead fills the guard's buffer until the session is to go on, or there is too much, or the client has gone.
func (c *conn) readAhead(p *suspension) {
	for c.guard.end-c.guard.start < watchBytesMax && p.state.Load() == parked {
		n, full, err := c.guard.fill(&c.source)
		if n > 0 {
			c.arrived(n, full)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.readErr = err
			c.cancel(ErrDisconnected)
			p.interrupt(ErrDisconnected)
			return
		}
		if p.state.Load() == parked { // a deadline of before, or that of Shutdown, which has told the session
			c.disarm()
		}
	}
}

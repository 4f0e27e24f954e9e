package server

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// watchBytesMax is what is kept of a client's pipeline behind a command that blocks, where it has to be read to see the client go.
const watchBytesMax = 64 << 10

var longAgo = time.Unix(1, 0)

// suspension is a command that blocks. Nothing of the session is on a stack meanwhile. A socket has no goroutine at all: whether the
// client goes is told by hangups, and resume starts one that goes on. Of any other connection, the goroutine reads.
type suspension struct {
	interrupt func(cause error)
	state     atomic.Int32
	resumed   chan struct{}
}

// How far a suspension is.
const (
	suspended   int32 = iota // the session is still on its way out of Serve
	reading                  // the connection's goroutine reads
	asleep                   // there is no goroutine
	resumedOnce              // the session is to go on
)

// errAsleep ends the connection's goroutine, not the connection, which belongs to another goroutine from then on.
var errAsleep = errors.New("server: the connection has no goroutine for now")

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
		switch p.state.Swap(resumedOnce) {
		case reading:
			c.raw.SetReadDeadline(longAgo)
			close(p.resumed)
		case asleep:
			go c.work(c.awake)
		}
	}
}

// interruptSuspended tells a command that blocks that nobody waits for it any more. Any goroutine may.
func (c *conn) interruptSuspended(cause error) {
	if p := c.suspension.Load(); p != nil {
		p.interrupt(cause)
	}
}

// park sends the replies so far and waits until the session is to go on. False: this goroutine is not to wait, and to leave the
// connection alone from now on.
func (c *conn) park(p *suspension) bool {
	c.send(true) // on an error c.ctx has ended, and the session was told
	c.guard.rest()
	c.batch.cmds = nil
	if h, socket := c.hangups(); h != nil && h.watch(socket, c.id) {
		if p.state.CompareAndSwap(suspended, asleep) {
			return false
		}
		h.forget(socket)
		return true
	}
	c.disarm()
	if p.state.CompareAndSwap(suspended, reading) {
		c.readAhead(p)
		<-p.resumed
	}
	c.disarm()
	return true
}

// hangups is who tells that the client has gone; nil when nobody does for such a connection.
func (c *conn) hangups() (*hangups, syscall.RawConn) {
	socket, ok := c.raw.(syscall.Conn)
	if !ok {
		return nil, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, nil
	}
	return c.srv.lookout(), raw
}

// awake goes on with a connection that had no goroutine.
func (c *conn) awake() error {
	if h, socket := c.hangups(); h != nil {
		h.forget(socket)
	}
	c.disarm()
	if err := c.served(c.resume(), 0); err != nil {
		return err
	}
	return c.loop()
}

// resume has the session go on.
func (c *conn) resume() (keep bool) {
	c.suspension.Store(nil)
	c.active = time.Now()
	c.hold()
	return c.session.Resume(c.ctx, &c.w)
}

// readAhead fills the guard's buffer until the session is to go on, or there is too much, or the client has gone.
func (c *conn) readAhead(p *suspension) {
	for c.guard.end-c.guard.start < watchBytesMax && p.state.Load() == reading {
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
		if p.state.Load() == reading { // a deadline of before, or that of Shutdown, which has told the session
			c.disarm()
		}
	}
}

// lookout is who tells which clients have gone whose connections have no goroutine; nil when there can't be one.
func (s *Server) lookout() *hangups {
	s.lookingOut.Do(func() {
		h, err := openHangups(s.hungUp)
		if err != nil {
			s.cfg.Logger.Info().Err(err).Msg("clients that wait keep a goroutine each")
			return
		}
		s.hangups = h
	})
	return s.hangups
}

// hungUp is told that a client has gone.
func (s *Server) hungUp(id int64) {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c != nil {
		c.cancel(ErrDisconnected)
		c.interruptSuspended(ErrDisconnected)
	}
}

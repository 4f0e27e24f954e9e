package server

import "time"

const (
	outputBytesMin   = 4 << 10     // replies an idle connection may keep a buffer for
	inputBytesBusy   = 256 << 10   // a buffer that reads fill grows to this, to take a pipeline at once
	trimAfter        = time.Second // large buffers not needed for so long are let go
	frameBytesPerSec = 16 << 10    // the least rate at which a begun command must arrive
	commandsIdleMax  = 64          // commands an idle connection keeps room for
	lingerTime       = time.Second // for a client to read the error that closes its connection
	lingerBytes      = 1 << 20
)

// A connection has one read deadline for all that time can do to it. It is moved only when it must come earlier; when it
// strikes too early, wakeAt is asked again. So the usual read sets none.

// arm sets the read deadline if it must be earlier than the one set.
func (c *conn) arm() {
	want := c.wakeAt()
	if want.IsZero() || !c.armed.IsZero() && !want.Before(c.armed) {
		return
	}
	c.armed = want
	c.nc.SetReadDeadline(want)
}

// disarm takes the read deadline away.
func (c *conn) disarm() {
	c.armed = time.Time{}
	c.nc.SetReadDeadline(time.Time{})
}

// wakeAt is the earliest moment at which silence has a consequence; zero: never.
func (c *conn) wakeAt() time.Time {
	at := c.closeAt()
	if c.large() {
		at = earlier(at, c.active.Add(trimAfter))
	}
	return at
}

// closeAt is when the connection is to be closed if nothing more arrives; zero: never.
func (c *conn) closeAt() (at time.Time) {
	cfg := &c.srv.cfg
	if c.limits.Unauthenticated && cfg.AuthTimeout > 0 {
		at = c.opened.Add(cfg.AuthTimeout)
	}
	if !c.frameSince.IsZero() && cfg.FrameTimeout > 0 {
		earned := time.Duration(c.frameBytes/frameBytesPerSec) * time.Second
		at = earlier(at, c.frameSince.Add(cfg.FrameTimeout+earned))
	}
	if !c.limits.KeepIdle && cfg.IdleTimeout > 0 {
		at = earlier(at, c.active.Add(cfg.IdleTimeout))
	}
	return at
}

// overdue does what the time asks for after a read ran into its deadline.
func (c *conn) overdue() error {
	now := time.Now()
	if at := c.closeAt(); !at.IsZero() && !now.Before(at) {
		c.srv.count.timedOut.Add(1)
		return ErrIdle
	}
	c.trim(now)
	c.disarm()
	return nil
}

// large tells whether the connection holds more memory than an idle one should.
func (c *conn) large() bool {
	return len(c.guard.buf) > inputBytesMin && !c.guard.midCommand() || c.w.Cap() > outputBytesMin ||
		cap(c.batch.cmds) > commandsIdleMax || cap(c.guard.frames) > commandsIdleMax
}

// trim lets large buffers go that were not needed for a while.
func (c *conn) trim(now time.Time) {
	if now.Sub(c.lastBig) < trimAfter {
		return
	}
	c.guard.shrink()
	c.batch.cmds = nil
	if c.w.Len() == 0 && c.w.Cap() > outputBytesMin {
		c.w.Release()
	}
}

// arrived notes that n bytes came in.
func (c *conn) arrived(n int, full bool) {
	c.srv.count.bytesIn.Add(int64(n))
	c.active = time.Now()
	c.frameBytes += n
	c.filled = full
	if c.guard.end-c.guard.start > inputBytesMin {
		c.lastBig = c.active
	}
}

// noteSize notes that a batch needs more memory than an idle connection should hold.
func (c *conn) noteSize(commands int) {
	if commands > commandsIdleMax || c.w.Len() > outputBytesMin {
		c.lastBig = c.active
	}
}

// noteFrame starts or ends the time that a begun command has to arrive.
func (c *conn) noteFrame(completed bool) {
	switch {
	case !c.guard.midCommand():
		c.frameSince = time.Time{}
	case completed || c.frameSince.IsZero():
		c.frameSince, c.frameBytes = c.active, 0
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

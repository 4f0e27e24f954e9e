package server

import (
	"context"
	"errors"
	"os"
	"time"
)

// watchBytesMax is what is kept of a client's pipeline behind a command that blocks.
const watchBytesMax = 64 << 10

var longAgo = time.Unix(1, 0)

// watcher reads a connection while a command blocks.
type watcher struct {
	done      chan struct{}
	stopDrain func() bool
	cancel    context.CancelCauseFunc
}

// watch is ConnInfo.Watch.
func (c *conn) watch() (context.Context, func()) {
	c.stopWatch()
	c.send(true) // on an error c.ctx has ended, and so has what is derived from it
	ctx, cancel := context.WithCancelCause(c.ctx)
	w := &watcher{done: make(chan struct{}), cancel: cancel}
	w.stopDrain = context.AfterFunc(c.srv.drain, func() { cancel(ErrClosed) })
	c.watcher = w
	c.disarm()
	go c.readAhead(w.done)
	return ctx, func() {
		if c.watcher == w {
			c.stopWatch()
		}
	}
}

// stopWatch ends the reading in the background; what it read is in the guard's buffer.
func (c *conn) stopWatch() {
	w := c.watcher
	if w == nil {
		return
	}
	c.watcher = nil
	c.nc.SetReadDeadline(longAgo)
	<-w.done
	c.disarm()
	w.stopDrain()
	w.cancel(context.Canceled)
	c.active = time.Now()
	c.hold()
}

// readAhead fills the guard's buffer, which nobody else uses meanwhile, until stopped.
func (c *conn) readAhead(done chan<- struct{}) {
	defer close(done)
	for c.guard.end-c.guard.start < watchBytesMax {
		n, full, err := c.guard.fill(c.nc)
		if n > 0 {
			c.arrived(n, full)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			c.readErr = err
			c.cancel(ErrDisconnected)
			return
		}
	}
}

package server

import (
	"errors"
	"os"
	"sync"
	"time"

	"kahuna/resp"
)

// output orders what is written to one connection: replies, from the connection's goroutine, and pushed data, from any.
//
// One goroutine writes at a time (writing), and it holds no mutex while it does. Pushed data waits while the replies of
// a batch gather (held), and follows them.
type output struct {
	mu      sync.Mutex
	free    sync.Cond   // on mu: writing has ended
	pushed  resp.Writer // waits to be written
	held    bool
	writing bool
	closed  bool
	pushers sync.WaitGroup // at most one runs
	writeBy time.Time      // the write deadline set; belongs to whoever is writing
}

// writeStepBytes is what a client must take within Config.WriteTimeout.
const writeStepBytes = 1 << 20

// hold makes pushed data wait for the next send.
func (c *conn) hold() {
	c.out.mu.Lock()
	c.out.held = true
	c.out.mu.Unlock()
}

// send writes the replies in c.w, then the pushed data that waited. With release, data pushed later is written at once.
// Only the connection's goroutine calls it.
func (c *conn) send(release bool) error {
	o := &c.out
	o.mu.Lock()
	o.held = true // so that a pusher ends
	for o.writing {
		o.free.Wait()
	}
	if o.closed {
		o.mu.Unlock()
		return errDone
	}
	o.held = !release
	if o.pushed.Len() > 0 {
		c.w.Raw(o.pushed.Bytes())
		o.pushed.Reset()
	}
	if c.w.Len() == 0 {
		o.mu.Unlock()
		return nil
	}
	o.writing = true
	o.mu.Unlock()
	err := c.writeReplies()
	c.endWrite()
	return err
}

func (c *conn) writeReplies() error {
	if limit := c.srv.cfg.OutputBufferBytes; limit > 0 && c.w.Len() > limit {
		c.dropSlow("replies larger than the output buffer")
		return ErrSlowClient
	}
	err := c.write(c.w.Bytes())
	c.w.Reset()
	return err
}

// endWrite gives up the right to write, or passes it to a pusher when data was pushed meanwhile.
func (c *conn) endWrite() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	c.startPusher()
	o.free.Signal()
}

// push is ConnInfo.Push.
func (c *conn) push(fn func(w *resp.Writer)) {
	if c.appendPush(fn) {
		c.dropSlow("pushed data larger than the output buffer")
	}
}

func (c *conn) appendPush(fn func(w *resp.Writer)) (overflow bool) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.pushed.SetProto(c.w.Proto())
	fn(&o.pushed)
	if limit := c.srv.cfg.PushBufferBytes; limit > 0 && o.pushed.Len() > limit {
		return true
	}
	c.startPusher()
	return false
}

// collect is ConnInfo.Collect. A pusher that runs writes what it took before any reply of this batch is written.
func (c *conn) collect() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	c.w.Raw(o.pushed.Bytes())
	o.pushed.Reset()
}

// startPusher has pushed data written in the background if nothing stands in its way. o.mu is held.
func (c *conn) startPusher() {
	o := &c.out
	if o.held || o.writing || o.closed || o.pushed.Len() == 0 {
		return
	}
	o.writing = true
	o.pushers.Add(1)
	go c.pushLoop()
}

// pushLoop writes pushed data until none is left or replies gather.
func (c *conn) pushLoop() {
	defer c.out.pushers.Done()
	var data []byte
	for {
		data = c.takePushed(data[:0])
		if len(data) == 0 || c.write(data) != nil {
			c.endWrite()
			return
		}
	}
}

func (c *conn) takePushed(data []byte) []byte {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held || o.closed {
		return data
	}
	data = append(data, o.pushed.Bytes()...)
	o.pushed.Reset()
	if o.pushed.Cap() > outputBytesMin {
		o.pushed.Release()
	}
	return data
}

// write sends bytes; the caller has the right to write. Each step must be taken within the write timeout.
func (c *conn) write(data []byte) error {
	for len(data) > 0 {
		step := data[:min(len(data), writeStepBytes)]
		c.armWrite()
		n, err := c.nc.Write(step)
		c.srv.count.bytesOut.Add(int64(n))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.dropSlow("replies not read")
			return ErrSlowClient
		}
		if err != nil {
			c.end(ErrDisconnected)
			return ErrDisconnected
		}
		data = data[n:]
	}
	return nil
}

// armWrite moves the write deadline when it has come nearer than the timeout. It is set half a timeout further away
// than it must be, so that most writes need no system timer.
func (c *conn) armWrite() {
	timeout := c.srv.cfg.WriteTimeout
	if timeout <= 0 {
		return
	}
	if now := time.Now(); c.out.writeBy.Before(now.Add(timeout)) {
		c.out.writeBy = now.Add(timeout + timeout/2)
		c.nc.SetWriteDeadline(c.out.writeBy) // an error shows at the write
	}
}

func (c *conn) dropSlow(why string) {
	if c.end(ErrSlowClient) {
		c.srv.count.slowClients.Add(1)
		c.srv.warn(c, why)
	}
}

// close makes Push do nothing from now on. A write under way goes on.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.pushed.Release()
	o.free.Broadcast()
}

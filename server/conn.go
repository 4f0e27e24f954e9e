package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"kahuna/resp"
)

// conn is one connection. All its fields belong to its goroutine, except out, ctx and what is never changed.
type conn struct {
	srv     *Server
	id      int64
	nc      net.Conn
	raw     net.Conn // what lies under nc's TLS, or nc; closing it never waits
	port    PortKind
	session Session
	ctx     context.Context
	cancel  context.CancelCauseFunc

	source source
	guard  guard
	batch  batch
	w      resp.Writer // replies not yet sent
	out    output
	limits Limits

	suspension atomic.Pointer[suspension] // while a command blocks
	readErr    error                      // what ended the reading; what was read before it is still served
	leave      bool                       // the end was announced: give the client time to read what was sent
	ended      atomic.Bool

	opened, active, lastBig time.Time
	frameSince              time.Time // when the command being read began to arrive; zero: none is
	frameBytes              int
	armed                   time.Time // the read deadline set
	filled                  bool      // the last read filled the buffer
}

func newConn(s *Server, id int64, nc net.Conn, port PortKind) *conn {
	now := time.Now()
	c := &conn{srv: s, id: id, nc: nc, raw: nc, port: port, opened: now, active: now, lastBig: now}
	if layered, ok := nc.(interface{ NetConn() net.Conn }); ok {
		c.raw = layered.NetConn()
	}
	c.ctx, c.cancel = context.WithCancelCause(s.base)
	c.out.free.L = &c.out.mu
	c.guard.budget = &s.input
	c.source.init(nc)
	return c
}

// run serves the connection to its end, or until it has no goroutine.
func (c *conn) run() { c.work(c.begin) }

// work takes a step, and ends the connection with it, unless the connection is another goroutine's by then.
func (c *conn) work(step func() error) {
	mine := true
	defer func() {
		if mine {
			c.finish()
			c.srv.forget(c)
		}
	}()
	defer c.recovered("connection")
	err := step()
	if err == errAsleep {
		mine = false
		return
	}
	c.farewell(err)
}

// begin opens the session and serves.
func (c *conn) begin() error {
	info, err := c.greet()
	if err != nil {
		return err
	}
	if text := c.refusal(info.Remote); text != "" {
		c.w.Error(text)
		if err := c.send(true); err != nil {
			return err
		}
		return errDone
	}
	c.session = c.srv.handler.Open(info)
	return c.loop()
}

// refusal is why the client is not served.
func (c *conn) refusal(remote string) string {
	if c.srv.cfg.Refuse == nil {
		return ""
	}
	text := c.srv.cfg.Refuse(remote)
	if text != "" {
		c.srv.count.rejected.Add(1)
		c.srv.warn(c, "client refused: "+text[:min(len(text), 64)])
	}
	return text
}

// loop serves batches until the connection ends, and returns why.
func (c *conn) loop() error {
	for {
		c.limits = c.session.Limits().settled(c.srv.cfg.MaxRequestBytes)
		c.guard.scan(&c.limits)
		cmds := c.batch.take(&c.guard)
		c.guard.release()
		c.noteFrame(len(cmds) > 0)
		var err error
		switch {
		case len(cmds) > 0:
			err = c.serve(cmds)
		case c.guard.err != nil:
			err = c.guard.err
		default:
			err = c.read()
		}
		if err != nil {
			return err
		}
	}
}

// serve runs one batch and sends its replies.
func (c *conn) serve(cmds []Command) error {
	c.countBatch(cmds)
	c.hold()
	return c.served(c.session.Serve(c.ctx, cmds, &c.w), len(cmds))
}

// served sends the replies of a batch, once no command of it blocks any more.
func (c *conn) served(keep bool, commands int) error {
	for p := c.suspension.Load(); p != nil; p = c.suspension.Load() {
		if !c.park(p) {
			return errAsleep
		}
		keep = c.resume()
	}
	c.noteSize(commands)
	if keep && c.limits.Unauthenticated && c.guard.pos < c.guard.end && c.w.Len() < outputBytesMin {
		return nil // one command at a time until authenticated, yet one write for what arrived together
	}
	if err := c.send(true); err != nil {
		return err
	}
	switch {
	case !keep || c.srv.draining.Load():
		return errDone
	case c.ctx.Err() != nil: // the client went while a command blocked, or was killed
		return c.ctx.Err()
	}
	return nil
}

func (c *conn) countBatch(cmds []Command) {
	count := &c.srv.count
	count.batches.Add(1)
	count.commands.Add(int64(len(cmds)))
	for i := range cmds {
		if cmds[i].Refused != "" {
			count.refused.Add(1)
		}
	}
}

// read waits for more bytes.
func (c *conn) read() error {
	if c.w.Len() > 0 {
		if err := c.send(true); err != nil {
			return err
		}
	}
	if c.large() {
		c.trim(c.active)
	}
	if size := len(c.guard.buf); c.filled && size < inputBytesBusy {
		c.guard.resize(2 * size) // no room for it in the budget: the old size does
	}
	c.guard.rest()
	for c.readErr == nil {
		c.arm()
		if c.srv.draining.Load() { // asked after arm: Shutdown sets it, then a deadline in the past
			return ErrClosed
		}
		n, full, err := c.guard.fill(&c.source)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.readErr = err
		}
		if n > 0 {
			c.arrived(n, full)
			return nil
		}
		if err != nil && c.readErr == nil {
			if err := c.overdue(); err != nil {
				return err
			}
		}
	}
	return c.readErr
}

// greet makes the TLS handshake, if there is one to make, and describes the connection.
func (c *conn) greet() (ConnInfo, error) {
	info := ConnInfo{
		ID: c.id, Remote: address(c.nc.RemoteAddr()), Local: address(c.nc.LocalAddr()), Port: c.port,
		Kill: func() { c.end(ErrKilled) }, Push: c.push, Collect: c.collect, Flush: func() error { return c.send(false) }, Suspend: c.suspend,
	}
	secure, ok := c.nc.(*tls.Conn)
	if !ok {
		return info, nil
	}
	ctx := c.ctx
	if timeout := c.srv.cfg.AuthTimeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		return info, err
	}
	state := secure.ConnectionState()
	info.TLS = &state
	return info, nil
}

func address(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

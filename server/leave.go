package server

import (
	"errors"
	"io"
	"runtime/debug"
	"time"
)

// farewell tells the client why the connection ends, where Redis would.
func (c *conn) farewell(why error) {
	var perr *protocolError
	switch {
	case errors.Is(why, errDone):
		c.leave = true
		return
	case errors.As(why, &perr):
		c.srv.count.protocolErrors.Add(1)
	case errors.Is(why, errInputMemory):
		perr = &protocolError{"OOM input buffers of all clients are full"}
	default:
		return
	}
	if perr.text == "" {
		c.srv.warn(c, "HTTP request on the Redis port (POST or Host: as a command), closed: possible cross-protocol attack")
		return
	}
	c.srv.cfg.Logger.Debug().Int64("connection", c.id).Str("error", perr.text).Msg("connection closed")
	c.w.Error(perr.text)
	c.leave = c.send(true) == nil
}

// linger takes what the client still sends, for a moment. Closing over unread bytes would reset the connection, and
// what was just written would be lost with it.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, c.raw, lingerBytes)
}

// end closes the connection at once, from any goroutine. It reports whether it was the first to.
func (c *conn) end(cause error) bool {
	if !c.ended.CompareAndSwap(false, true) {
		return false
	}
	c.out.close()
	c.cancel(cause)
	c.interruptSuspended(cause)
	c.raw.Close()
	return true
}

// finish joins what the connection started and closes the session.
func (c *conn) finish() {
	c.closeSession()
	c.out.close()
	if c.leave {
		c.linger()
	}
	c.closeGently()
	c.end(ErrDisconnected)
	c.out.pushers.Wait()
	c.guard.free()
}

func (c *conn) closeSession() {
	defer c.recovered("session close")
	if c.session != nil {
		c.session.Close()
	}
}

// closeGently lets TLS say goodbye, unless the connection was cut.
func (c *conn) closeGently() {
	if c.ctx.Err() == nil && c.raw != c.nc {
		c.nc.Close()
	}
}

// recovered turns a panic into the end of this connection.
func (c *conn) recovered(where string) {
	if value := recover(); value != nil {
		c.srv.count.panics.Add(1)
		c.srv.cfg.Logger.Error().Int64("connection", c.id).Str("remote", address(c.nc.RemoteAddr())).Str("in", where).
			Interface("panic", value).Bytes("stack", debug.Stack()).Msg("panic, connection closed")
	}
}

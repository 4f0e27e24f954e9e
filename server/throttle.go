package server

import (
	"sync/atomic"
	"time"
)

// throttle lets one log line through per second, so that clients cannot fill the log.
type throttle struct{ last atomic.Int64 }

func (t *throttle) allow() bool {
	now := time.Now().UnixNano()
	last := t.last.Load()
	return now-last >= int64(time.Second) && t.last.CompareAndSwap(last, now)
}

// warn logs a line about a connection, unless another was logged just now.
func (s *Server) warn(c *conn, what string) {
	if s.quiet.allow() {
		s.cfg.Logger.Warn().Int64("connection", c.id).Str("remote", address(c.nc.RemoteAddr())).Msg(what)
	}
}

package peer

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// accept takes connections until the listener is closed. Errors that may pass, as when file descriptors run out, are waited out.
func (n *Network) accept() {
	pause := acceptPauseMin
	for {
		raw, err := n.cfg.Listener.Accept()
		if err == nil {
			pause = acceptPauseMin
			n.admit(raw)
			continue
		}
		if n.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if n.warned.allow("accept") {
			n.log.Error().Err(err).Msg("can't take connections of other nodes")
		}
		if !n.pause(pause) {
			return
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// pause is false when the network is closed.
func (n *Network) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// admit begins to serve a connection, if there is room for strangers.
func (n *Network) admit(raw net.Conn) {
	host := hostOf(raw)
	if !n.enter(raw, host) {
		n.refuse(host, errors.New("peer: too many connections"))
		_ = raw.Close()
		return
	}
	if !n.goRun(func() { n.serve(raw, host) }) {
		_ = raw.Close()
	}
}

// enter counts a stranger, and has Close close its connection.
func (n *Network) enter(raw net.Conn, host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.cfg.Limits
	perHost := max(1, l.UnauthenticatedMax/4)
	if n.closed || n.accepted >= l.ConnectionsMax || n.unproved >= l.UnauthenticatedMax || n.byHost[host] >= perHost {
		return false
	}
	n.conns[raw] = struct{}{}
	n.accepted++
	n.unproved++
	n.byHost[host]++
	return true
}

// provedOrGone takes a stranger off the count of strangers.
func (n *Network) provedOrGone(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unproved--
	if n.byHost[host]--; n.byHost[host] == 0 {
		delete(n.byHost, host)
	}
}

// serve handles one connection of another node to its end.
func (n *Network) serve(raw net.Conn, host string) {
	defer func() {
		n.drop(raw)
		n.mu.Lock()
		n.accepted--
		n.mu.Unlock()
	}()
	s, err := n.welcome(raw)
	n.provedOrGone(host)
	if err != nil {
		n.refuse(host, err)
		return
	}
	c := &n.others
	if p := n.caller(s.who); p != nil {
		defer p.sessions.Add(-1)
		c = &p.counters
	}
	s.conn = countedConn{s.conn, c}
	if s.purpose == purposeStream {
		n.serveStream(s, c)
		return
	}
	newSession(n, s, c).run()
}

// welcome makes the handshake.
func (n *Network) welcome(raw net.Conn) (secured, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Limits.HandshakeTimeout)
	defer cancel()
	if err := setTimeouts(raw, n.cfg.Limits.UnackedTimeout); err != nil {
		return secured{}, err
	}
	s, err := n.secureAccepted(ctx, raw)
	if err == nil && s.purpose == purposeStream {
		err = setTimeouts(raw, n.cfg.Limits.StreamStallTimeout)
	}
	return s, err
}

// caller is the peer that has opened a connection. It is up: there is no reason to wait before it is called.
func (n *Network) caller(who identity) *peer {
	p, err := n.peer(who.addr)
	if err != nil {
		return nil
	}
	p.sessions.Add(1)
	p.nodeID.Store(&who.node)
	p.hurry()
	return p
}

// refuse counts a connection that was not let in, and tells it once per minute and host.
func (n *Network) refuse(host string, err error) {
	if n.ctx.Err() != nil {
		return
	}
	n.refused.Add(1)
	if n.warned.allow("refuse " + host) {
		n.log.Warn().Err(err).Str("from", host).Msg("refused a connection to the port for other nodes")
	}
}

func hostOf(c net.Conn) string {
	addr := c.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

package server

import (
	"errors"
	"net"
	"time"

	"kahuna/resp"
)

const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
	rejectTime     = time.Second // to tell a client that there are too many
)

// Serve accepts connections until Shutdown, then returns ErrClosed; the listener is closed in any case. Failures to
// accept (no file descriptors left) are waited out; only a listener closed by somebody else makes it return early.
func (s *Server) Serve(ln net.Listener, port PortKind) error {
	if !s.begin(func() { s.listeners[ln] = struct{}{} }) {
		ln.Close()
		return ErrClosed
	}
	defer s.running.Done()
	defer s.unlisten(ln)
	pause := acceptPauseMin
	for {
		nc, err := ln.Accept()
		switch {
		case s.draining.Load():
			if err == nil {
				nc.Close()
			}
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.count.acceptErrors.Add(1)
			if s.quiet.allow() {
				s.cfg.Logger.Warn().Err(err).Dur("pause", pause).Msg("cannot accept connections")
			}
			s.wait(pause)
			pause = min(2*pause, acceptPauseMax)
		default:
			pause = acceptPauseMin
			s.admit(nc, port)
		}
	}
}

func (s *Server) unlisten(ln net.Listener) {
	ln.Close()
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
}

// wait lets time pass, or less when Shutdown begins.
func (s *Server) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.drain.Done():
	}
}

// admit starts a connection, if there is room for it.
func (s *Server) admit(nc net.Conn, port PortKind) {
	if s.open.Add(1) > int64(s.cfg.MaxClients) {
		s.open.Add(-1)
		s.reject(nc)
		return
	}
	s.tune(nc)
	c := newConn(s, s.lastID.Add(1), nc, port)
	if !s.begin(func() { s.conns[c.id] = c }) {
		s.open.Add(-1)
		c.end(ErrClosed)
		return
	}
	s.count.accepted.Add(1)
	go c.run()
}

// tune sets what TCP should do; on other connections there is nothing to set.
func (s *Server) tune(nc net.Conn) {
	if layered, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = layered.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetNoDelay(true)
	if idle := s.cfg.KeepAlive; idle > 0 {
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: idle / 3, Count: 3})
	}
}

// reject tells a client that there are too many and closes.
func (s *Server) reject(nc net.Conn) {
	s.count.rejected.Add(1)
	if s.quiet.allow() {
		s.cfg.Logger.Warn().Int("max_clients", s.cfg.MaxClients).Str("remote", address(nc.RemoteAddr())).
			Msg("too many clients, connection rejected")
	}
	select {
	case s.rejecting <- struct{}{}:
	default:
		nc.Close()
		return
	}
	if !s.begin(func() {}) {
		nc.Close()
		<-s.rejecting
		return
	}
	go func() {
		defer s.running.Done()
		defer func() { <-s.rejecting }()
		s.sayTooMany(nc)
	}()
}

func (s *Server) sayTooMany(nc net.Conn) {
	defer nc.Close()
	var w resp.Writer
	w.Error("ERR max number of clients reached")
	nc.SetDeadline(time.Now().Add(rejectTime))
	if _, err := nc.Write(w.Bytes()); err != nil {
		return
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		var sink [512]byte
		for {
			if _, err := nc.Read(sink[:]); err != nil {
				return
			}
		}
	}
}

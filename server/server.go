package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// Server takes connections on any number of listeners. Create it with New.
type Server struct {
	cfg     Config
	handler Handler
	count   counters
	open    atomic.Int64 // connections now
	lastID  atomic.Int64
	input   budget
	quiet   throttle

	base      context.Context // ends when connections are cut
	cut       context.CancelCauseFunc
	drain     context.Context // ends when Shutdown begins
	startStop context.CancelFunc
	draining  atomic.Bool // drain has ended, cheaper to ask

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[int64]*conn
	running   sync.WaitGroup // accept loops, connections, rejections; no Add once draining
	rejecting chan struct{}  // bounds the rejections at once

	lookingOut sync.Once
	endLooking sync.Once
	hangups    *hangups // nil: not yet, or not here
}

// rejectionsMax is how many clients are told at once that there are too many; the others are just closed.
const rejectionsMax = 64

// New makes a server that opens a session with the handler for each connection. It starts nothing.
func New(cfg Config, handler Handler) *Server {
	s := &Server{
		cfg: cfg.settled(), handler: handler,
		listeners: map[net.Listener]struct{}{}, conns: map[int64]*conn{},
		rejecting: make(chan struct{}, rejectionsMax),
	}
	s.input.max = s.cfg.InputBytesMax
	s.base, s.cut = context.WithCancelCause(context.Background())
	s.drain, s.startStop = context.WithCancel(context.Background())
	return s
}

// Shutdown stops accepting, lets batches that run finish, sends their replies and closes all connections. Commands that
// block (ConnInfo.Suspend) are told to end at once. When ctx ends first, connections are cut and the sessions' contexts
// cancelled, and its error is returned. It returns after every session was closed, so a session that ignores its context
// holds it up. It may be called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		s.lookingOut.Do(func() {})
		if s.hangups != nil {
			s.endLooking.Do(s.hangups.close)
		}
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cut(ErrClosed)
	for _, c := range s.connections() {
		c.end(ErrClosed)
	}
	<-done
	return ctx.Err()
}

// stopAccepting closes the listeners and wakes the connections that wait for a command.
func (s *Server) stopAccepting() {
	s.mu.Lock()
	s.draining.Store(true)
	listeners := s.listeners
	s.listeners = map[net.Listener]struct{}{}
	s.mu.Unlock()
	s.startStop()
	for ln := range listeners {
		ln.Close()
	}
	for _, c := range s.connections() {
		c.raw.SetReadDeadline(longAgo)
		c.interruptSuspended(ErrClosed)
	}
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		all = append(all, c)
	}
	return all
}

// begin counts something that Shutdown waits for, unless Shutdown has begun; register runs under the mutex.
func (s *Server) begin(register func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.running.Add(1)
	register()
	return true
}

// forget is the end of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
	s.open.Add(-1)
	s.running.Done()
}

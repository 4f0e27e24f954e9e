package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// session is a connection for calls that another node has opened. Its reader never waits for a handler: each request is handled by a
// goroutine of its own, as many as the limits allow; beyond them the answer is "busy".
type session struct {
	n *Network
	s secured
	c *counters
	w *writer

	ctx     context.Context // of all requests; ends with the connection
	cancel  context.CancelFunc
	jobs    chan job     // to workers that have nothing to do
	idle    atomic.Int64 // these workers
	workers sync.WaitGroup

	mu      sync.Mutex
	running map[uint64]context.CancelFunc
	handled [classes]int
	bytes   int // of requests being handled
}

// job is a request to be handled.
type job struct {
	ctx     context.Context
	id      uint64
	class   int
	request []byte
}

const idleWorkersMax = 32 // goroutines kept for the next request: they have grown their stacks already

func newSession(n *Network, s secured, c *counters) *session {
	ss := &session{
		n: n, s: s, c: c, w: newWriter(s.conn, n.cfg.Limits, &c.writes),
		jobs: make(chan job), running: map[uint64]context.CancelFunc{},
	}
	ss.ctx, ss.cancel = context.WithCancel(n.ctx)
	return ss
}

// run serves until the connection ends, and waits for all handlers.
func (s *session) run() {
	s.workers.Go(func() {
		_ = s.w.run() // the reader tells
		_ = s.s.raw.Close()
	})
	err := s.read()
	s.cancel()
	s.w.fail(ErrConnectionLost)
	_ = s.s.raw.Close()
	s.workers.Wait()
	if err != io.EOF && s.n.ctx.Err() == nil {
		s.n.log.Warn().Err(err).Str("node", s.s.who.node).Str("peer", s.s.who.addr).Msg("connection of another node broke")
	}
}

func (s *session) read() error {
	r := frameReader{src: bufio.NewReaderSize(s.s.conn, readBufferBytes), max: s.n.cfg.Limits.FrameBytesMax}
	for {
		f, err := r.next(nil)
		if err != nil {
			return err
		}
		switch {
		case f.kind == kindRequest && len(f.payload) >= deadlineBytes:
			err = s.take(f)
		case f.kind == kindCancel && len(f.payload) == 0:
			s.cancelCall(f.id)
		default:
			err = fmt.Errorf("%w: kind %d, %d bytes", errMalformed, f.kind, len(f.payload))
		}
		if err != nil {
			return err
		}
	}
}

// take has a request handled, or says that it is not.
func (s *session) take(f frame) error {
	j := job{id: f.id, request: f.payload[deadlineBytes:]}
	j.class = classOf(j.request)
	admitted, err := s.admit(&j, binary.LittleEndian.Uint32(f.payload))
	if err != nil {
		return err
	}
	if !admitted {
		s.c.busy.Add(1)
		return s.answer(f.id, statusBusy, nil)
	}
	select {
	case s.jobs <- j:
	default:
		s.hire(j)
	}
	return nil
}

// hire handles a request with one more worker.
func (s *session) hire(j job) { s.workers.Go(func() { s.work(j) }) }

// admit makes room for a request and gives it its context. An error: two requests of one id.
func (s *session) admit(j *job, remaining uint32) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[j.id] != nil {
		return false, fmt.Errorf("%w: a second request of id %d", errMalformed, j.id)
	}
	l := s.n.cfg.Limits
	if s.handled[j.class] >= l.inFlight(j.class) || s.bytes > 0 && s.bytes+len(j.request) > l.HandledBytesMax {
		return false, nil
	}
	var cancel context.CancelFunc
	j.ctx, cancel = contextFor(s.ctx, remaining)
	s.running[j.id] = cancel
	s.handled[j.class]++
	s.bytes += len(j.request)
	return true, nil
}

// contextFor is a request's context: it ends when the caller's does.
func contextFor(parent context.Context, remainingMillis uint32) (context.Context, context.CancelFunc) {
	if remainingMillis == 0 {
		return context.WithCancel(parent)
	}
	return context.WithTimeout(parent, time.Duration(remainingMillis)*time.Millisecond)
}

// work handles a request and then further ones, as long as few goroutines wait for some.
func (s *session) work(j job) {
	for {
		s.handle(j)
		if s.idle.Add(1) > idleWorkersMax {
			s.idle.Add(-1)
			return
		}
		select {
		case j = <-s.jobs:
			s.idle.Add(-1)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *session) handle(j job) {
	size := len(j.request)
	response, err := (*s.n.handler.Load()).HandleCall(j.ctx, j.request)
	s.c.handled.Add(1)
	s.finish(j.id, j.class, size)
	status, body := toResponse(response, err, s.n.cfg.Limits.FrameBytesMax)
	_ = s.answer(j.id, status, body) // on an error the connection ends, and with it the caller's wait
}

func (s *session) finish(id uint64, class, size int) {
	s.mu.Lock()
	cancel := s.running[id]
	delete(s.running, id)
	s.handled[class]--
	s.bytes -= size
	s.mu.Unlock()
	cancel()
}

func (s *session) cancelCall(id uint64) {
	s.mu.Lock()
	cancel := s.running[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// answer queues a response. A caller that does not read its answers loses the connection.
func (s *session) answer(id uint64, status byte, body []byte) error {
	err := s.w.send(kindResponse, id, []byte{status}, body)
	if err != nil {
		_ = s.s.raw.Close()
	}
	return err
}

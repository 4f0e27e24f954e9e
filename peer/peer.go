package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Pauses between attempts to connect: the first follows the failure of a connection at once, the second the first.
const (
	redialFirst = 50 * time.Millisecond
	redialMax   = time.Second
)

// peer is another node, known by its address: the connection for calls to it, made when it is needed.
type peer struct {
	n        *Network
	addr     string
	counters counters
	nodeID   atomic.Pointer[string]
	sessions atomic.Int64 // connections that it has opened
	streams  atomic.Int64 // to it

	mu       sync.Mutex
	link     *link    // nil: none
	dialing  *attempt // nil: none
	failures int      // attempts in a row that led to nothing
	retryAt  time.Time
	lastErr  error // of the last attempt
}

// attempt is a connection being made. link and err are set before done is closed.
type attempt struct {
	done chan struct{}
	link *link
	err  error
}

// connected returns the connection for calls, and makes one if need be. While attempts fail it returns the last one's error at
// once, until the next is due.
func (p *peer) connected(ctx context.Context) (*link, error) {
	l, a, err := p.linkOrAttempt()
	if l != nil || err != nil {
		return l, err
	}
	select {
	case <-a.done:
		return a.link, a.err
	case <-ctx.Done():
		return nil, unreachable(p.addr, ctx.Err())
	}
}

func (p *peer) linkOrAttempt() (*link, *attempt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != nil {
		return p.link, nil, nil
	}
	if p.dialing != nil {
		return nil, p.dialing, nil
	}
	if p.lastErr != nil && time.Now().Before(p.retryAt) {
		return nil, nil, p.lastErr
	}
	a := &attempt{done: make(chan struct{})}
	if !p.n.goRun(func() { p.try(a) }) {
		return nil, nil, ErrClosed
	}
	p.dialing = a
	return nil, a, nil
}

// try makes a connection.
func (p *peer) try(a *attempt) {
	var s secured
	if s, a.err = p.open(p.n.ctx, purposeCalls, p.n.cfg.Limits.UnackedTimeout); a.err == nil {
		a.link = newLink(p, s)
	}
	p.tried(a)
	if a.link != nil && !p.n.goRun(a.link.run) {
		a.link.fail(errClosing)
		p.n.drop(s.raw)
	}
	close(a.done)
}

// tried notes the outcome of an attempt.
func (p *peer) tried(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing, p.lastErr = nil, a.err
	if a.err == nil {
		p.link = a.link
		p.n.log.Info().Str("peer", p.addr).Str("node", a.link.s.who.node).Msg("connected to another node")
		return
	}
	p.failed()
	if p.failures == 1 || errors.As(a.err, new(ErrRefused)) && p.n.warned.allow("dial "+p.addr) {
		p.n.log.Warn().Err(a.err).Str("peer", p.addr).Msg("can't connect to another node")
	}
}

// failed puts the next attempt off. p.mu is held.
func (p *peer) failed() {
	p.failures++
	p.retryAt = time.Now().Add(redialPause(p.failures))
}

func redialPause(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(redialMax, redialFirst<<min(failures-2, 10))
}

// lost has the next call make another connection. One that never carried an answer counts as a failed attempt.
func (p *peer) lost(l *link, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return // it was noted before
	}
	p.link = nil
	if !l.useful.Load() {
		p.failed()
		p.lastErr = unreachable(p.addr, err)
	}
}

// proved notes that a connection works: the next failure is the first.
func (p *peer) proved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures, p.retryAt, p.lastErr = 0, time.Time{}, nil
}

// open makes a connection and its handshake. The connection must be dropped when it is not needed any more.
func (p *peer) open(ctx context.Context, purpose byte, unacked time.Duration) (s secured, err error) {
	p.counters.dials.Add(1)
	raw, err := p.dial(ctx)
	if err != nil {
		return s, unreachable(p.addr, err)
	}
	if !p.n.hold(raw) {
		return s, ErrClosed
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	if err = setTimeouts(raw, unacked); err == nil {
		s, err = p.n.secureDialed(ctx, raw, p.addr, purpose)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		p.n.drop(raw)
		return s, unreachable(p.addr, fmt.Errorf("peer: handshake: %w", err))
	}
	p.nodeID.Store(&s.who.node)
	s.conn = countedConn{s.conn, &p.counters}
	return s, nil
}

func (p *peer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.n.cfg.Limits.DialTimeout)
	defer cancel()
	return p.n.cfg.Dial(ctx, p.addr)
}

// call sends a request over the connection. A connection that turns out to have ended before the request was queued is replaced once.
func (p *peer) call(ctx context.Context, request []byte) ([]byte, error) {
	for again := true; ; again = false {
		l, err := p.connected(ctx)
		if err != nil {
			return nil, err
		}
		response, sent, err := l.call(ctx, request)
		if sent || !again {
			return response, err
		}
		p.lost(l, err)
	}
}

// idle is whether nothing would be missed if the peer were forgotten.
func (p *peer) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link == nil && p.dialing == nil && p.sessions.Load() == 0 && p.streams.Load() == 0
}

// count counts a call or a stream, and whether it failed in between the nodes.
func (p *peer) count(kind *atomic.Uint64, err error) {
	kind.Add(1)
	if err != nil && !errors.As(err, new(RemoteError)) {
		p.counters.errors.Add(1)
	}
}

func (p *peer) stats() PeerStats {
	s := PeerStats{Addr: p.addr, Counters: p.counters.read()}
	if id := p.nodeID.Load(); id != nil {
		s.NodeID = *id
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Connected = p.link != nil || p.sessions.Load() > 0
	return s
}

// hurry makes the next attempt due at once.
func (p *peer) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retryAt = time.Time{}
	p.failures = min(p.failures, 1)
}

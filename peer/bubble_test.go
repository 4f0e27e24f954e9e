package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kahuna/raftgroup"
)

// pipes is a network of net.Pipe between nodes in one bubble.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	hole      bool // dialing gets no answer
	dials     []time.Time
	wrap      func(net.Conn) net.Conn // of the dialer's end
}

type pipeListener struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string          { return "pipe" }
func (pipeAddr) String() string           { return "pipe" }
func (l *pipeListener) Addr() net.Addr    { return pipeAddr{} }
func newPipes() *pipes                    { return &pipes{listeners: map[string]*pipeListener{}} }
func (p *pipes) set(f func())             { p.mu.Lock(); defer p.mu.Unlock(); f() }
func (p *pipes) dialed() (at []time.Time) { p.set(func() { at = p.dials }); return at }

func (p *pipes) dial(ctx context.Context, addr string) (net.Conn, error) {
	p.mu.Lock()
	p.dials = append(p.dials, time.Now())
	l, hole, wrap := p.listeners[addr], p.hole, p.wrap
	p.mu.Unlock()
	if hole {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if l == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
	case <-l.gone:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if wrap != nil {
		near = wrap(near)
	}
	return near, nil
}

// node opens a node; the test closes it.
func (p *pipes) node(t *testing.T, name string, h raftgroup.NetworkHandler) *Network {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), gone: make(chan struct{})}
	n, err := New(Config{Listener: l, Advertise: name, Dial: p.dial, NodeID: name, Secret: testSecret, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.listeners[name] = l })
	n.Serve(h)
	return n
}

func (p *pipes) close(t *testing.T, n *Network) {
	t.Helper()
	p.set(func() { delete(p.listeners, n.LocalAddr()) })
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestInABubble: everything runs on virtual time, and Close leaves no goroutine behind: the bubble would fail.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPipes(), newHandler()
		h.stream = summing
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", h)
		mustCall(t, a, "b", otherKind+"echo x", "x")
		mustCall(t, b, "a", otherKind+"echo x", "x")
		if _, err := a.Stream(t.Context(), "b", []byte("s"), bytes.NewReader(randomBytes(1<<20))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := a.Call(ctx, "b", []byte(otherKind+"hang")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Fatal(err, time.Since(began))
		}
		synctest.Wait()
		if h.ended.Load() != 1 || h.running.Load() != 0 {
			t.Fatal("the handler goes on")
		}
		p.close(t, a)
		p.close(t, b)
	})
}

// TestCloseInTheMiddle closes while calls, streams, dials and handshakes are under way.
func TestCloseInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPipes(), newHandler()
		h.stream = func(ctx context.Context, _ []byte, _ io.Reader) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", h)
		mute, err := p.dial(t.Context(), "b") // never says a word
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 4)
		run := func(f func() error) { go func() { errs <- f() }() }
		run(func() error { _, err := a.Call(context.Background(), "b", []byte(otherKind+"hang")); return err })
		run(func() error {
			_, err := a.Stream(context.Background(), "b", nil, strings.NewReader(strings.Repeat("x", 8<<20)))
			return err
		})
		synctest.Wait()
		p.set(func() { p.hole = true })
		run(func() error { _, err := a.Call(context.Background(), "c", []byte(otherKind+"echo")); return err })
		run(func() error {
			_, err := a.Stream(context.Background(), "c", nil, strings.NewReader(""))
			return err
		})
		synctest.Wait()
		p.close(t, a)
		for range 4 {
			if err := <-errs; err == nil {
				t.Error("no error")
			}
		}
		p.close(t, b)
		_ = mute.Close()
	})
}

func TestRedialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", newHandler())
		defer p.close(t, a)
		mustCall(t, a, "b", otherKind+"echo x", "x")
		p.close(t, b)
		synctest.Wait()
		lost, before := time.Now(), len(p.dialed())
		for time.Since(lost) < 5*time.Second {
			if _, err := a.Call(t.Context(), "b", []byte(otherKind+"echo x")); !errors.Is(err, raftgroup.ErrUnreachable) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		var pauses []string
		at := lost
		for _, d := range p.dialed()[before:] {
			pauses = append(pauses, fmt.Sprint(d.Sub(at).Round(10*time.Millisecond)))
			at = d
		}
		if got := strings.Join(pauses, " "); !strings.HasPrefix(got, "0s 0s 50ms 100ms 200ms 400ms 800ms 1s 1s") {
			t.Fatal(got)
		}
		// A node that comes back and calls is called at once.
		b = p.node(t, "b", newHandler())
		defer p.close(t, b)
		mustCall(t, b, "a", otherKind+"echo x", "x")
		mustCall(t, a, "b", otherKind+"echo x", "x")
	})
}

// TestNodeThatTakesConnectionsOnly: one that lets itself be connected to and then hangs up is not dialed in a tight loop.
func TestNodeThatTakesConnectionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", newHandler())
		defer p.close(t, a)
		defer p.close(t, b)
		p.wrap = func(c net.Conn) net.Conn { return &failingConn{Conn: c, reads: 4} } // just enough for the handshake
		began := time.Now()
		for time.Since(began) < 10*time.Second {
			_, _ = a.Call(t.Context(), "b", []byte(otherKind+"hang"))
			time.Sleep(time.Millisecond)
		}
		if n := len(p.dialed()); n > 20 || n < 5 {
			t.Fatal(n, "dials")
		}
	})
}

type failingConn struct {
	net.Conn
	reads int
}

func (f *failingConn) Read(p []byte) (int, error) {
	if f.reads--; f.reads < 0 {
		return 0, io.EOF
	}
	return f.Conn.Read(p)
}

// blackhole is a connection whose bytes go nowhere from some moment on.
type blackhole struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
	sunk   *bool // under mu
	mu     *sync.Mutex

	deadline time.Time // of writes
}

func (b *blackhole) isSunk() bool { b.mu.Lock(); defer b.mu.Unlock(); return *b.sunk }

func (b *blackhole) SetWriteDeadline(at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deadline = at
	return b.Conn.SetWriteDeadline(at)
}

func (b *blackhole) Write(p []byte) (int, error) {
	if !b.isSunk() {
		return b.Conn.Write(p)
	}
	b.mu.Lock()
	left := time.Until(b.deadline)
	b.mu.Unlock()
	select {
	case <-time.After(left):
		return 0, errors.New("write: timeout")
	case <-b.closed:
		return 0, net.ErrClosed
	}
}

func (b *blackhole) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Conn.Close()
}

// TestConnThatStopsReading: the connection is given up in bounded time, callers keep their deadlines, and the next call finds a way.
func TestConnThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		var mu sync.Mutex
		sunk := false
		p.wrap = func(c net.Conn) net.Conn {
			return &blackhole{Conn: c, closed: make(chan struct{}), sunk: &sunk, mu: &mu}
		}
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", newHandler())
		defer p.close(t, a)
		defer p.close(t, b)
		mustCall(t, a, "b", otherKind+"echo x", "x")
		mu.Lock()
		sunk = true
		mu.Unlock()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Call(ctx, "b", []byte(otherKind+"echo x")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Fatal(err, time.Since(began))
		}
		if _, err := a.Call(t.Context(), "b", []byte(otherKind+"echo x")); !errors.Is(err, ErrConnectionLost) || time.Since(began) > 6*time.Second {
			t.Fatal(err, time.Since(began))
		}
		mu.Lock()
		sunk = false
		mu.Unlock()
		mustCall(t, a, "b", otherKind+"echo x", "x")
	})
}

func TestSilentReceiverOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPipes(), newHandler()
		release := make(chan bool)
		h.stream = func(context.Context, []byte, io.Reader) ([]byte, error) { <-release; return []byte("late"), nil }
		a, b := p.node(t, "a", newHandler()), p.node(t, "b", h)
		defer p.close(t, a)
		defer p.close(t, b)
		time.AfterFunc(10*time.Minute, func() { close(release) })
		// As long as the receiver lives, its handler has time.
		if got, err := a.Stream(t.Context(), "b", nil, strings.NewReader("x")); err != nil || string(got) != "late" {
			t.Fatal(err)
		}
		// One that gives no sign of life is given up.
		mute := &pipeListener{conns: make(chan net.Conn), gone: make(chan struct{})}
		defer func() { _ = mute.Close() }()
		p.set(func() { p.listeners["mute"] = mute })
		go func() {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			s := self{identity: identity{node: "mute"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, 64))}
			_, _ = s.receive(c)
			_, _ = io.Copy(io.Discard, c)
		}()
		began := time.Now()
		if _, err := a.Stream(t.Context(), "mute", nil, strings.NewReader("x")); !errors.Is(err, ErrConnectionLost) || time.Since(began) != 30*time.Second {
			t.Fatal(err, time.Since(began))
		}
	})
}

func TestHandshakeHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		b := p.node(t, "b", newHandler())
		defer p.close(t, b)
		began := time.Now()
		for _, sent := range [][]byte{nil, magic[:4], magic[:]} {
			conn, err := p.dial(t.Context(), "b")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := b.Stats(); s.Unauthenticated != 3 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		if s := b.Stats(); s.Unauthenticated != 3 {
			t.Fatal("too early", time.Since(began))
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s := b.Stats(); s.Unauthenticated != 0 || s.Connections != 0 || s.Refused != 3 {
			t.Fatalf("%+v", s)
		}
		// And a listener that says nothing holds nobody for ever.
		a := p.node(t, "a", newHandler())
		defer p.close(t, a)
		mute := &pipeListener{conns: make(chan net.Conn, 1), gone: make(chan struct{})}
		p.set(func() { p.listeners["mute"] = mute })
		began = time.Now()
		if _, err := a.Call(t.Context(), "mute", []byte("x")); !errors.Is(err, raftgroup.ErrUnreachable) || time.Since(began) != 5*time.Second {
			t.Fatal(err, time.Since(began))
		}
		_ = (<-mute.conns).Close()
	})
}

func TestRefusalsAreLoggedOncePerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l throttle
		n := 0
		for range 300 {
			if l.allow("x") {
				n++
			}
			time.Sleep(time.Second)
		}
		if n != 5 {
			t.Fatal(n)
		}
		for i := range 3 * throttleKeysMax {
			l.allow(fmt.Sprint(i))
		}
		if len(l.last) > throttleKeysMax {
			t.Fatal(len(l.last))
		}
	})
}

func TestPeersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		a := p.node(t, "a", newHandler())
		defer p.close(t, a)
		a.cfg.Limits.PeersMax = 10
		for i := range 50 {
			_, _ = a.Call(t.Context(), fmt.Sprint("none", i), []byte("x"))
		}
		if n := len(a.Stats().Peers); n != 10 {
			t.Fatal(n)
		}
	})
}

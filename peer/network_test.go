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
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kahuna/raftgroup"
)

// testHandler does what a request says: its first byte is the class, the rest a word and an argument.
type testHandler struct {
	running atomic.Int64
	ended   atomic.Int64  // handlers whose context ended
	gate    chan struct{} // "wait" waits for it
	stream  func(ctx context.Context, request []byte, body io.Reader) ([]byte, error)
}

func newHandler() *testHandler { return &testHandler{gate: make(chan struct{})} }

func (h *testHandler) HandleCall(ctx context.Context, request []byte) ([]byte, error) {
	h.running.Add(1)
	defer h.running.Add(-1)
	word, argument, _ := strings.Cut(string(request[1:]), " ")
	switch word {
	case "echo":
		return []byte(argument), nil
	case "fail":
		return nil, errors.New(argument)
	case "big":
		return make([]byte, 2<<20), nil
	case "deadline":
		at, ok := ctx.Deadline()
		left := time.Until(at)
		return []byte(fmt.Sprint(ok, " ", left > 50*time.Second && left <= 100*time.Second)), nil
	case "hang":
		<-ctx.Done()
		h.ended.Add(1)
		return nil, ctx.Err()
	case "wait":
		select {
		case <-h.gate:
			return []byte("waited"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("unknown word %q", word)
}

func (h *testHandler) HandleStream(ctx context.Context, request []byte, body io.Reader) ([]byte, error) {
	return h.stream(ctx, request, body)
}

const (
	raftKind  = string(rune(raftgroup.KindFirst))
	otherKind = "\x40"
	waitKind  = "\x80"
)

var testSecret = []byte("a secret of the test cluster")

// node makes a network on loopback, changed by change, which serves h.
func node(t testing.TB, name string, h raftgroup.NetworkHandler, change ...func(*Config)) *Network {
	t.Helper()
	cfg := Config{NodeID: name, Secret: testSecret, Logger: zerolog.New(zerolog.NewTestWriter(t)).With().Str("own", name).Logger()}
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Listener == nil {
		cfg.Listener = listen(t, "127.0.0.1:0")
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	n.Serve(h)
	return n
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func pair(t testing.TB, change ...func(*Config)) (a, b *Network, h *testHandler) {
	t.Helper()
	h = newHandler()
	return node(t, "a", newHandler(), change...), node(t, "b", h, change...), h
}

func mustCall(t testing.TB, from *Network, addr, request, want string) {
	t.Helper()
	got, err := from.Call(t.Context(), addr, []byte(request))
	if err != nil || string(got) != want {
		t.Fatalf("%.20q, %v", got, err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatal("never happened: ", what)
		}
		tick := time.NewTimer(time.Millisecond)
		<-tick.C
	}
}

func TestCalls(t *testing.T) {
	a, b, _ := pair(t)
	mustCall(t, a, b.LocalAddr(), raftKind+"echo hello", "hello")
	mustCall(t, a, b.LocalAddr(), otherKind+"echo ", "")
	mustCall(t, b, a.LocalAddr(), otherKind+"echo back", "back")
	mustCall(t, a, a.LocalAddr(), otherKind+"echo own", "own")
	for _, size := range []int{100, stepBytes - 1, stepBytes, stepBytes + 1, 3 << 20} {
		long := strings.Repeat("x", size)
		mustCall(t, a, b.LocalAddr(), otherKind+"echo "+long, long)
	}
	_, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"fail for a reason"))
	if remote := (RemoteError{}); !errors.As(err, &remote) || remote.Text != "for a reason" || errors.Is(err, raftgroup.ErrUnreachable) {
		t.Fatal(err)
	}
	s := a.Stats()
	if len(s.Peers) != 1 || s.Peers[0].Addr != b.LocalAddr() || s.Peers[0].NodeID != "b" || !s.Peers[0].Connected ||
		s.Peers[0].Calls != 8 || s.Peers[0].Handled != 1 || s.Peers[0].Errors != 0 || s.Peers[0].BytesIn < 3<<20 || s.Peers[0].Dials != 1 || s.Connections != 2 {
		t.Fatalf("%+v", s)
	}
}

func TestAnswersComeInAnyOrder(t *testing.T) {
	a, b, h := pair(t)
	slow := make(chan error, 1)
	go func() {
		got, err := a.Call(context.Background(), b.LocalAddr(), []byte(otherKind+"wait"))
		if err == nil && string(got) != "waited" {
			err = fmt.Errorf("answer %q", got)
		}
		slow <- err
	}()
	until(t, "it waits", func() bool { return h.running.Load() == 1 })
	for i := range 100 {
		mustCall(t, a, b.LocalAddr(), fmt.Sprintf("%secho %d", raftKind, i), fmt.Sprint(i))
	}
	close(h.gate)
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
}

func TestManyCallersAtATime(t *testing.T) {
	a, b, _ := pair(t)
	var wg sync.WaitGroup
	for c := range 32 {
		wg.Go(func() {
			for i := range 200 {
				text := fmt.Sprint(c, "/", i, strings.Repeat("y", i*c))
				got, err := a.Call(context.Background(), b.LocalAddr(), []byte(otherKind+"echo "+text))
				if err != nil || string(got) != text {
					t.Error(err, len(got))
					return
				}
			}
		})
	}
	wg.Wait()
	if s := b.Stats(); s.Peers[0].Handled != 6400 || s.Connections != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestDeadlineTravels(t *testing.T) {
	a, b, _ := pair(t)
	mustCall(t, a, b.LocalAddr(), otherKind+"deadline", "false false")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	got, err := a.Call(ctx, b.LocalAddr(), []byte(otherKind+"deadline"))
	if err != nil || string(got) != "true true" {
		t.Fatalf("%q %v", got, err)
	}
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := a.Call(past, b.LocalAddr(), []byte(otherKind+"echo")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestCancelEndsTheHandler(t *testing.T) {
	a, b, h := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := a.Call(ctx, b.LocalAddr(), []byte(otherKind+"hang"))
		failed <- err
	}()
	until(t, "it hangs", func() bool { return h.running.Load() == 1 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	until(t, "the handler ended", func() bool { return h.ended.Load() == 1 && h.running.Load() == 0 })
	mustCall(t, a, b.LocalAddr(), otherKind+"echo on", "on")
}

func TestLostConnectionEndsHandlersAndCalls(t *testing.T) {
	a, b, h := pair(t)
	failed := make(chan error, 1)
	go func() {
		_, err := a.Call(context.Background(), b.LocalAddr(), []byte(otherKind+"hang"))
		failed <- err
	}()
	until(t, "it hangs", func() bool { return h.running.Load() == 1 })
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, ErrConnectionLost) || errors.Is(err, raftgroup.ErrUnreachable) {
		t.Fatal(err)
	}
	until(t, "the handler ended", func() bool { return h.ended.Load() == 1 })
	if _, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo")); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestLimitsOfCalls(t *testing.T) {
	a, b, h := pair(t, func(c *Config) {
		c.Limits.FrameBytesMax = 1 << 20
		if c.NodeID == "b" {
			c.Limits.CallsInFlightMax = 4
		}
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := a.Call(context.Background(), b.LocalAddr(), []byte(otherKind+"wait")); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "all wait", func() bool { return h.running.Load() == 4 })
	_, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo"))
	if !errors.Is(err, ErrBusy) || !errors.Is(err, raftgroup.ErrUnreachable) {
		t.Fatal(err)
	}
	mustCall(t, a, b.LocalAddr(), raftKind+"echo beat", "beat") // Raft has room of its own
	close(h.gate)
	wg.Wait()
	mustCall(t, a, b.LocalAddr(), otherKind+"echo", "")

	if _, err := a.Call(t.Context(), b.LocalAddr(), make([]byte, 1<<20)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if _, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"big")); !errors.As(err, new(RemoteError)) {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Peers[0].Busy != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestCallerLimit(t *testing.T) {
	a, b, h := pair(t, func(c *Config) {
		if c.NodeID == "a" {
			c.Limits.CallsInFlightMax = 1
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = a.Call(context.Background(), b.LocalAddr(), []byte(otherKind+"wait")) })
	until(t, "it waits", func() bool { return h.running.Load() == 1 })
	if _, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo")); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	close(h.gate)
	wg.Wait()
}

// However many wait for something to happen, what is answered at once gets through; on both sides.
func TestWaitsDoNotCrowdOutCalls(t *testing.T) {
	a, b, h := pair(t, func(c *Config) { c.Limits.CallsInFlightMax, c.Limits.WaitsInFlightMax = 1, 3 })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _, _ = a.Call(context.Background(), b.LocalAddr(), []byte(waitKind+"wait")) })
	}
	until(t, "all wait", func() bool { return h.running.Load() == 3 })
	if _, err := a.Call(t.Context(), b.LocalAddr(), []byte(waitKind+"wait")); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	mustCall(t, a, b.LocalAddr(), otherKind+"echo x", "x")
	close(h.gate)
	wg.Wait()
}

func TestReconnectAfterRestartOnTheSamePort(t *testing.T) {
	a, b, _ := pair(t)
	addr := b.LocalAddr()
	for round := range 3 {
		mustCall(t, a, addr, otherKind+"echo 1", "1")
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "it is gone", func() bool {
			_, err := a.Call(t.Context(), addr, []byte(otherKind+"echo 1"))
			return errors.Is(err, raftgroup.ErrUnreachable)
		})
		b = node(t, "b", newHandler(), func(c *Config) { c.Listener = listen(t, addr) })
		if round == 1 { // it calls first: then it is known to be back
			mustCall(t, b, a.LocalAddr(), otherKind+"echo 1", "1")
			continue
		}
		until(t, "it is back", func() bool {
			_, err := a.Call(t.Context(), addr, []byte(otherKind+"echo 1"))
			return err == nil
		})
	}
}

func TestStrayBytesFromAnAuthenticatedNode(t *testing.T) {
	// Whatever an authenticated node sends, it loses the connection at most.
	for name, bad := range map[string][]byte{
		"checksum":    append(appendFrame(nil, kindRequest, 1, make([]byte, 4), []byte("x"))[:21], 1, 2, 3, 4),
		"huge":        {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"kind":        appendFrame(nil, 99, 1, nil, nil),
		"stream data": appendFrame(nil, kindData, 1, nil, nil),
		"response":    appendFrame(nil, kindResponse, 1, nil, []byte{0}),
		"no deadline": appendFrame(nil, kindRequest, 1, nil, []byte("abc")),
		"same id": appendFrame(appendFrame(nil, kindRequest, 1, make([]byte, 4), []byte(otherKind+"hang")),
			kindRequest, 1, make([]byte, 4), []byte(otherKind+"hang")),
	} {
		b := node(t, "b", newHandler())
		conn := rawConn(t, b, purposeCalls)
		if _, err := conn.Write(bad); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Fatal(name, err)
		}
		until(t, "it is forgotten", func() bool { return b.Stats().Connections == 0 })
	}
}

// rawConn is an authenticated connection to b with nothing on it.
func rawConn(t *testing.T, b *Network, purpose byte) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := self{identity: identity{node: "raw", addr: "nowhere"}, mode: modeSecret, secret: testSecret, random: bytes.NewReader(make([]byte, 64))}
	if _, err := s.greet(conn, purpose); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestBytesBeingHandledAreLimited(t *testing.T) {
	a, b, h := pair(t, func(c *Config) { c.Limits.HandledBytesMax = 1 << 20 })
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := a.Call(context.Background(), b.LocalAddr(), append([]byte(otherKind+"wait "), make([]byte, 2<<20)...)); err != nil {
			t.Error(err) // alone it may be larger
		}
	})
	until(t, "it waits", func() bool { return h.running.Load() == 1 })
	if _, err := a.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo")); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	close(h.gate)
	wg.Wait()
	mustCall(t, a, b.LocalAddr(), otherKind+"echo", "")
}

// stuckConn takes nothing.
type stuckConn struct {
	net.Conn
	began chan struct{}
	free  chan struct{}
}

func (s stuckConn) SetWriteDeadline(time.Time) error { return nil }

func (s stuckConn) Write([]byte) (int, error) {
	s.began <- struct{}{}
	<-s.free
	return 0, io.ErrClosedPipe
}

func TestWriteBufferIsLimited(t *testing.T) {
	conn := stuckConn{began: make(chan struct{}), free: make(chan struct{})}
	w := newWriter(conn, Limits{WriteBufferBytesMax: 1000}.withDefaults(), new(atomic.Uint64))
	ended := make(chan error, 1)
	go func() { ended <- w.run() }()
	if err := w.send(kindCancel, 1, nil, nil); err != nil {
		t.Fatal(err)
	}
	<-conn.began
	sent := 0
	for ; ; sent++ {
		if err := w.send(kindCancel, 1, nil, nil); errors.Is(err, ErrBusy) {
			break
		} else if err != nil || sent > 1000 {
			t.Fatal(sent, err)
		}
	}
	if sent != 1000/overheadBytes {
		t.Fatal(sent)
	}
	close(conn.free)
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	if err := w.send(kindCancel, 1, nil, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
}

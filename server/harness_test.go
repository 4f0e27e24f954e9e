package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kahuna/resp"
)

// funcHandler makes sessions of one function.
type funcHandler struct {
	serve  func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool
	limits Limits
	open   func(s *funcSession)

	mu     sync.Mutex
	closed int
}

type funcSession struct {
	h    *funcHandler
	info ConnInfo
	lim  Limits

	resume func(ctx context.Context, w *resp.Writer) bool // of the command that blocks
}

func (h *funcHandler) Open(info ConnInfo) Session {
	s := &funcSession{h: h, info: info, lim: h.limits}
	if h.open != nil {
		h.open(s)
	}
	return s
}

func (h *funcHandler) sessionsClosed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (s *funcSession) Serve(ctx context.Context, cmds []Command, w *resp.Writer) bool {
	return s.h.serve(s, ctx, cmds, w)
}

func (s *funcSession) Resume(ctx context.Context, w *resp.Writer) bool { return s.resume(ctx, w) }

func (s *funcSession) Limits() Limits { return s.lim }

func (s *funcSession) Close() {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.closed++
}

// basic answers ECHO, PING and QUIT, and refused commands with their error.
func basic(_ *funcSession, _ context.Context, cmds []Command, w *resp.Writer) bool {
	for _, cmd := range cmds {
		if cmd.Refused != "" {
			w.Error(cmd.Refused)
			continue
		}
		switch strings.ToUpper(string(cmd.Args[0])) {
		case "ECHO":
			w.Bulk(cmd.Args[1])
		case "QUIT":
			w.SimpleString("OK")
			return false
		default:
			w.SimpleString("PONG")
		}
	}
	return true
}

// pipeListener is a listener whose connections are pipes, for tests in a synctest bubble.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() *client {
	near, far := net.Pipe()
	l.conns <- far
	return newClient(near)
}

// client is the other end of a connection.
type client struct {
	net.Conn
	r *bufio.Reader
}

func newClient(c net.Conn) *client { return &client{c, bufio.NewReader(c)} }

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("sending %.40q: %v", text, err)
	}
}

func (c *client) expect(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %.200q, %v; want %.200q", got[:n], err, want)
	}
}

func (c *client) expectClosed(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("not closed: %.100q, %v", rest, err)
	}
}

// running is a server with one listener.
type running struct {
	*Server
	served chan error
}

func start(cfg Config, h Handler, ln net.Listener) *running {
	r := &running{New(cfg, h), make(chan error, 1)}
	go func() { r.served <- r.Serve(ln, PortMain) }()
	return r
}

// stop shuts down without hurry and checks that nothing is left.
func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-r.served; !errors.Is(err, ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if st := r.Stats(); st.Connections != 0 || st.InputBytes != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// startTCP starts a server on a loopback port; dial connects to it.
func startTCP(t *testing.T, cfg Config, h Handler) (r *running, dial func() *client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = start(cfg, h, ln)
	t.Cleanup(func() { r.stop(t) })
	return r, func() *client {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return newClient(c)
	}
}

func pipeline(n int) (in, out string) {
	var a, b strings.Builder
	for i := range n {
		text := fmt.Sprint("n", i)
		fmt.Fprintf(&a, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(text), text)
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(text), text)
	}
	return a.String(), b.String()
}

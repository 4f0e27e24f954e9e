package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kahuna/config"
	"kahuna/server"
)

// fakeNode is a node that only answers PONG to each line that ends in PING.
type fakeNode struct {
	mu         sync.Mutex
	notReady   error
	closed     bool
	failed     chan error
	clients    *fakeClients
	collectors []prometheus.Collector
	closeError error
}

func newFakeNode() *fakeNode {
	return &fakeNode{failed: make(chan error, 1), clients: newFakeClients()}
}

func (n *fakeNode) set(notReady error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notReady = notReady
}

func (n *fakeNode) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.notReady
}

func (n *fakeNode) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errors.New("closed twice")
	}
	n.closed = true
	return n.closeError
}

func (n *fakeNode) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

func (n *fakeNode) Failed() <-chan error               { return n.failed }
func (n *fakeNode) Collectors() []prometheus.Collector { return n.collectors }
func (n *fakeNode) Clients() clients                   { return n.clients }

// fakeClients serves one connection after the other until Shutdown, which waits until hold is closed.
type fakeClients struct {
	down      chan struct{} // closed when Shutdown begins
	hold      chan struct{} // Shutdown waits for it, or for its context
	mu        sync.Mutex
	listeners []net.Listener
	broken    map[server.PortKind]error // what Serve gives at once
}

func newFakeClients() *fakeClients {
	c := &fakeClients{down: make(chan struct{}), hold: make(chan struct{}), broken: map[server.PortKind]error{}}
	close(c.hold)
	return c
}

func (c *fakeClients) Serve(l net.Listener, port server.PortKind) error {
	if err := c.broken[port]; err != nil {
		return err
	}
	c.mu.Lock()
	c.listeners = append(c.listeners, l)
	c.mu.Unlock()
	select {
	case <-c.down: // before this began
		l.Close()
	default:
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			<-c.down
			return server.ErrClosed
		}
		pong(conn)
		conn.Close()
	}
}

func (c *fakeClients) Shutdown(ctx context.Context) error {
	close(c.down)
	c.mu.Lock()
	for _, l := range c.listeners {
		l.Close()
	}
	c.mu.Unlock()
	select {
	case <-c.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pong(c io.ReadWriter) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "PING\r\n" {
			io.WriteString(c, "+PONG\r\n")
			return
		}
	}
}

// hangs in the environment makes the program's fake node never finish its clients.
const hangs = "TEST_HANGS"

func openFake(context.Context, *config.Config, *ports, zerolog.Logger) (node, error) {
	n := newFakeNode()
	if os.Getenv(hangs) != "" {
		n.clients.hold = make(chan struct{})
	}
	return n, nil
}

package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kahuna/raftgroup"
)

// Network is one node's end of the network. Its methods may be called at any time by any goroutine.
type Network struct {
	cfg     Config
	mode    mode
	log     zerolog.Logger
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	handler atomic.Pointer[raftgroup.NetworkHandler]
	refused atomic.Uint64
	others  counters // of addresses beyond PeersMax
	warned  throttle

	streamsIn, streamsOut atomic.Int64

	mu       sync.Mutex
	closed   bool
	serving  bool
	conns    map[net.Conn]struct{} // all, to be closed by Close
	accepted int                   // of conns, opened by others
	unproved int                   // of accepted, not authenticated yet
	byHost   map[string]int        // of unproved, per host
	peers    map[string]*peer
	running  sync.WaitGroup // all goroutines; added to under mu
}

var _ raftgroup.Network = (*Network)(nil)

// New makes a node's network. It takes connections from Serve on.
func New(cfg Config) (*Network, error) {
	if cfg.Listener == nil {
		return nil, errors.New("peer: no listener")
	}
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, errors.Join(err, cfg.Listener.Close())
	}
	n := &Network{
		cfg: cfg, mode: cfg.mode(), log: cfg.Logger,
		conns: map[net.Conn]struct{}{}, byHost: map[string]int{}, peers: map[string]*peer{},
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// LocalAddr is the address by which other nodes call this one.
func (n *Network) LocalAddr() string { return n.cfg.Advertise }

// Serve says who handles what comes in, and begins to take connections. A later call replaces the handler.
func (n *Network) Serve(h raftgroup.NetworkHandler) {
	n.handler.Store(&h)
	n.mu.Lock()
	begin := !n.serving && !n.closed
	n.serving = true
	if begin {
		n.running.Go(n.accept)
	}
	n.mu.Unlock()
}

// Close ends all connections, calls and streams, and waits for everything that was started. Handlers must return when their context
// ends, and callers' stream bodies too: a Read that waits is not interrupted.
func (n *Network) Close() error {
	err := n.stop()
	n.cancel()
	n.running.Wait()
	return err
}

func (n *Network) stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	err := n.cfg.Listener.Close()
	for c := range n.conns {
		_ = c.Close() // what was on its way is lost either way
	}
	return err
}

// goRun starts a goroutine that Close waits for. False: the network is closed.
func (n *Network) goRun(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.running.Go(f)
	return true
}

// hold has Close close a connection. False: the network is closed, and so is the connection.
func (n *Network) hold(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		_ = c.Close()
		return false
	}
	n.conns[c] = struct{}{}
	return true
}

// drop closes a connection and forgets it.
func (n *Network) drop(c net.Conn) {
	_ = c.Close() // it may have been closed before
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// Reconnect ends all connections, which are made anew when they are needed. It is for when this node comes to belong to a cluster: whether
// two nodes belong together is judged when they connect, and a node that belongs to none fits everybody.
func (n *Network) Reconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		_ = c.Close() // what was on its way is lost either way
	}
}

// Call sends a request and waits for the answer.
func (n *Network) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, unreachable(addr, err) // nothing is sent
	}
	if addr == n.cfg.Advertise {
		h, err := n.own()
		if err != nil {
			return nil, err
		}
		return h.HandleCall(ctx, append([]byte(nil), request...))
	}
	p, err := n.peer(addr)
	if err != nil {
		return nil, err
	}
	response, err := p.call(ctx, request)
	p.count(&p.counters.calls, err)
	return response, err
}

// Stream sends a request and the bytes of body, over a connection of its own.
func (n *Network) Stream(ctx context.Context, addr string, request []byte, body io.Reader) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if addr == n.cfg.Advertise {
		h, err := n.own()
		if err != nil {
			return nil, err
		}
		return h.HandleStream(ctx, append([]byte(nil), request...), localBody{ctx, body})
	}
	p, err := n.peer(addr)
	if err != nil {
		return nil, err
	}
	response, err := p.stream(ctx, request, body)
	p.count(&p.counters.streamsOut, err)
	return response, err
}

// own is the node's own handler.
func (n *Network) own() (raftgroup.NetworkHandler, error) {
	h := n.handler.Load()
	switch {
	case n.ctx.Err() != nil:
		return nil, ErrClosed
	case h == nil:
		return nil, unreachable(n.cfg.Advertise, errors.New("nobody serves yet"))
	}
	return *h, nil
}

// peer is what is known of an address.
func (n *Network) peer(addr string) (*peer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.peers[addr]; p != nil {
		return p, nil
	}
	if n.closed {
		return nil, ErrClosed
	}
	if len(n.peers) >= n.cfg.Limits.PeersMax && !n.forgetPeer() {
		return nil, unreachable(addr, fmt.Errorf("more than %d addresses", n.cfg.Limits.PeersMax))
	}
	p := &peer{n: n, addr: addr}
	n.peers[addr] = p
	return p, nil
}

// forgetPeer makes room for one. n.mu is held.
func (n *Network) forgetPeer() bool {
	for addr, p := range n.peers {
		if p.idle() {
			delete(n.peers, addr)
			return true
		}
	}
	return false
}

// localBody fails when its context has ended.
type localBody struct {
	ctx context.Context
	r   io.Reader
}

func (b localBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

// throttle lets a message through once per minute and key.
type throttle struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	throttleTime    = time.Minute
	throttleKeysMax = 1024
)

func (t *throttle) allow(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if at, ok := t.last[key]; ok && now.Sub(at) < throttleTime {
		return false
	}
	if t.last == nil || len(t.last) >= throttleKeysMax {
		t.last = map[string]time.Time{}
	}
	t.last[key] = now
	return true
}

// Package hub is what the nodes of a cluster ask each other, beside Raft: calls of several kinds over the one network that the
// Raft groups use too. Nodes are known by their ids; where they can be reached is the hub's to know, so that a node may change
// its address while it is a member of groups.
package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"

	"kahuna/raftgroup"
)

// Kind says what a call is about. Those up to raftgroup.KindLast belong to Raft. The numbers travel between nodes of different
// versions: append only.
type Kind byte

// Handler answers a call. It owns body. An error reaches the caller as a RemoteError, unless it is a raftgroup.ErrUnreachable,
// which says that nothing was done and arrives as one.
type Handler func(ctx context.Context, body []byte) ([]byte, error)

// RemoteError is an error that the other node's handler returned.
type RemoteError struct{ Text string }

// Error is the error's text over there.
func (e *RemoteError) Error() string { return e.Text }

// The first byte of an answer.
const (
	answered byte = 0
	failed   byte = 1 // with the error's text
	refused  byte = 2 // the same, and nothing was done
)

var (
	errAnswer    = errors.New("hub: the answer can't be read")
	errAddressee = errors.New("hub: the message is for another node, which was at this address before")
)

// Hub is one node's end.
type Hub struct {
	net      raftgroup.Network
	self     string
	handlers [256]Handler
	raft     atomic.Pointer[raftgroup.NetworkHandler]
	known    atomic.Pointer[map[string]string] // addresses by node id

	mu      sync.Mutex
	closed  bool
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // handlers, added to under mu
}

// New makes the hub of a node. Nothing comes in before Serve.
func New(net raftgroup.Network, self string) *Hub {
	h := &Hub{net: net, self: self}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.known.Store(&map[string]string{})
	return h
}

// Handle says who answers calls of a kind; before Serve.
func (h *Hub) Handle(k Kind, f Handler) {
	if byte(k) <= raftgroup.KindLast || h.handlers[k] != nil {
		panic(fmt.Sprintf("hub: kind %d is taken", k))
	}
	h.handlers[k] = f
}

// Serve lets calls in.
func (h *Hub) Serve() { h.net.Serve(h) }

// Close refuses calls from now on, ends those that are being handled and waits for them.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.running.Wait()
}

// SetAddresses says where nodes can be reached. The map is the hub's from now on.
func (h *Hub) SetAddresses(byNode map[string]string) { h.known.Store(&byNode) }

// AddAddress says where one node can be reached.
func (h *Hub) AddAddress(node, addr string) {
	for {
		old := h.known.Load()
		if (*old)[node] == addr {
			return
		}
		next := maps.Clone(*old)
		next[node] = addr
		if h.known.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (h *Hub) address(node string) (string, error) {
	if node == h.self {
		return h.net.LocalAddr(), nil
	}
	if addr, ok := (*h.known.Load())[node]; ok {
		return addr, nil
	}
	return "", fmt.Errorf("%w: node %s has no known address", raftgroup.ErrUnreachable, node)
}

// Call asks a node. An error that is a raftgroup.ErrUnreachable proves that nothing was done; after a RemoteError the handler says
// what was; after any other it is not known.
func (h *Hub) Call(ctx context.Context, node string, k Kind, body []byte) ([]byte, error) {
	addr, err := h.address(node)
	if err != nil {
		return nil, err
	}
	return h.call(ctx, addr, node, k, body)
}

// CallAddress is Call for a node that is known by its address only.
func (h *Hub) CallAddress(ctx context.Context, addr string, k Kind, body []byte) ([]byte, error) {
	return h.call(ctx, addr, "", k, body)
}

func (h *Hub) call(ctx context.Context, addr, node string, k Kind, body []byte) ([]byte, error) {
	request := make([]byte, 0, 2+len(body)+len(node))
	request = append(append(request, byte(k)), body...)
	answer, err := h.net.Call(ctx, addr, addressed(request, node))
	if err != nil {
		return nil, err
	}
	if len(answer) == 0 {
		return nil, errAnswer
	}
	switch rest := answer[1:]; answer[0] {
	case answered:
		return rest, nil
	case failed:
		return nil, &RemoteError{string(rest)}
	case refused:
		return nil, fmt.Errorf("%w: %s: %s", raftgroup.ErrUnreachable, addr, rest)
	}
	return nil, errAnswer
}

// addressed puts the node that a request is for, and the length of its id, behind the request; an empty one is for whoever is at the
// address. A node that was made anew at an address is not the one that was there before: what it would say in a group in that
// one's place, on what it never had, would count as that one's word.
func addressed(request []byte, node string) []byte {
	return append(append(request, node...), byte(len(node)))
}

// mine takes the addressee off a request, and tells whether it is this node.
func (h *Hub) mine(request []byte) ([]byte, bool) {
	end := len(request) - 1
	if end < 0 || int(request[end]) > end {
		return nil, false
	}
	from := end - int(request[end])
	node := string(request[from:end])
	return request[:from], node == "" || node == h.self
}

// enter notes a handler that runs. False: the hub is closed.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.running.Add(1)
	return true
}

// HandleCall takes a call to its handler, or to Raft.
func (h *Hub) HandleCall(ctx context.Context, request []byte) ([]byte, error) {
	ofRaft := len(request) > 0 && request[0] <= raftgroup.KindLast
	request, mine := h.mine(request)
	switch {
	case !mine && ofRaft:
		return nil, errAddressee
	case !mine:
		return append([]byte{refused}, errAddressee.Error()...), nil
	case ofRaft:
		raft, err := h.raftHandler()
		if err != nil {
			return nil, err
		}
		return raft.HandleCall(ctx, request)
	}
	if len(request) == 0 || h.handlers[request[0]] == nil {
		return append([]byte{refused}, "this node does not know such calls"...), nil
	}
	if !h.enter() {
		return append([]byte{refused}, "the node is stopping"...), nil
	}
	defer h.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	body, err := h.handlers[request[0]](ctx, request[1:])
	switch {
	case errors.Is(err, raftgroup.ErrUnreachable):
		return append([]byte{refused}, err.Error()...), nil
	case err != nil:
		return append([]byte{failed}, err.Error()...), nil
	}
	return append([]byte{answered}, body...), nil
}

// HandleStream takes a stream to Raft, the only one who uses them.
func (h *Hub) HandleStream(ctx context.Context, request []byte, body io.Reader) ([]byte, error) {
	request, mine := h.mine(request)
	if !mine {
		return nil, errAddressee
	}
	raft, err := h.raftHandler()
	if err != nil {
		return nil, err
	}
	return raft.HandleStream(ctx, request, body)
}

func (h *Hub) raftHandler() (raftgroup.NetworkHandler, error) {
	if raft := h.raft.Load(); raft != nil {
		return *raft, nil
	}
	return nil, errors.New("hub: nobody handles Raft's messages yet")
}

// Raft is the network as the Raft groups see it: an address is a node's id. A request is the hub's from Call and Stream on.
func (h *Hub) Raft() raftgroup.Network { return raftView{h} }

type raftView struct{ h *Hub }

func (v raftView) LocalAddr() string                { return v.h.self }
func (v raftView) Serve(r raftgroup.NetworkHandler) { v.h.raft.Store(&r) }

func (v raftView) Call(ctx context.Context, node string, request []byte) ([]byte, error) {
	addr, err := v.h.address(node)
	if err != nil {
		return nil, err
	}
	return v.h.net.Call(ctx, addr, addressed(request, node))
}

func (v raftView) Stream(ctx context.Context, node string, request []byte, body io.Reader) ([]byte, error) {
	addr, err := v.h.address(node)
	if err != nil {
		return nil, err
	}
	return v.h.net.Stream(ctx, addr, addressed(request, node), body)
}

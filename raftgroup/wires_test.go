package raftgroup

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// wires join the nodes of a test cluster. Messages take a millisecond; a direction that is cut loses them.
type wires struct {
	mu       sync.Mutex
	handlers map[string]NetworkHandler
	cut      map[[2]string]bool // from, to
	calls    map[byte]int       // requests by kind
	before   func(from, to string, request []byte) error
}

func newWires() *wires {
	return &wires{handlers: map[string]NetworkHandler{}, cut: map[[2]string]bool{}, calls: map[byte]int{}}
}

// plug is one node's end.
type plug struct {
	w    *wires
	addr string
}

var errCut = errors.New("wire is cut")

func (p plug) LocalAddr() string { return p.addr }

func (p plug) Serve(h NetworkHandler) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.handlers[p.addr] = h
}

// pass lets a message travel from one node to another.
func (w *wires) pass(ctx context.Context, from, to string) (NetworkHandler, error) {
	select {
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	h, cut := w.handlers[to], w.cut[[2]string{from, to}] || w.handlers[to] == nil
	w.mu.Unlock()
	if !cut {
		return h, nil
	}
	<-ctx.Done()
	return nil, errCut
}

func (p plug) count(to string, request []byte) error {
	p.w.mu.Lock()
	p.w.calls[request[0]]++
	before := p.w.before
	p.w.mu.Unlock()
	if before != nil {
		return before(p.addr, to, request)
	}
	return nil
}

func (p plug) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	if err := p.count(addr, request); err != nil {
		return nil, err
	}
	h, err := p.w.pass(ctx, p.addr, addr)
	if err != nil {
		return nil, err
	}
	response, err := h.HandleCall(ctx, append([]byte(nil), request...))
	if err != nil {
		return nil, err
	}
	_, err = p.w.pass(ctx, addr, p.addr)
	return response, err
}

func (p plug) Stream(ctx context.Context, addr string, request []byte, body io.Reader) ([]byte, error) {
	if err := p.count(addr, request); err != nil {
		return nil, err
	}
	h, err := p.w.pass(ctx, p.addr, addr)
	if err != nil {
		return nil, err
	}
	response, err := h.HandleStream(ctx, append([]byte(nil), request...), body)
	if err != nil {
		return nil, err
	}
	_, err = p.w.pass(ctx, addr, p.addr)
	return response, err
}

func (w *wires) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// isolate cuts a node off from all others, or heals it.
func (w *wires) isolate(addr string, cut bool) {
	w.set(func() {
		for other := range w.handlers {
			if other != addr {
				w.cut[[2]string{addr, other}] = cut
				w.cut[[2]string{other, addr}] = cut
			}
		}
	})
}

func (w *wires) sent(kind byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[kind]
}

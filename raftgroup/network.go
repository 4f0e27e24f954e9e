package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// Network carries messages between the nodes of a cluster, for all groups. The first byte of a request says for whom it is: this
// package uses KindFirst to KindLast (see codec.go), and leaves all other values to other users of the same network.
//
// What an implementation owes: a message arrives whole and unchanged, or not at all. It may be handled though the caller got an
// error, and it may come late. Messages of this package may come twice, all others come once at most. Messages may overtake
// each other.
type Network interface {
	// LocalAddr is the address by which other nodes call this one.
	LocalAddr() string
	// Call sends a request and waits for the answer, at most until ctx ends. An error: the request may or may not have been handled.
	// It does not keep request.
	Call(ctx context.Context, addr string, request []byte) (response []byte, err error)
	// Stream sends a request that is followed by a stream of bytes (a snapshot), read until io.EOF. An error of body ends the stream
	// for the receiver with an error too. It does not read body any more once it has returned; a Read that waits is not
	// interrupted.
	Stream(ctx context.Context, addr string, request []byte, body io.Reader) (response []byte, err error)
	// Serve says who handles what comes in; called once, before the first message.
	Serve(h NetworkHandler)
}

// NetworkHandler handles what other nodes send. It is called by many goroutines at a time.
type NetworkHandler interface {
	// HandleCall owns request. When it returns late, after ctx has ended, its answer is not wanted any more. An error reaches the
	// caller as an error of Call.
	HandleCall(ctx context.Context, request []byte) (response []byte, err error)
	// HandleStream is HandleCall with the bytes that follow. Reading body fails once ctx has ended, and when the stream is cut. body
	// is not read after the return.
	HandleStream(ctx context.Context, request []byte, body io.Reader) ([]byte, error)
}

// The kinds of requests that belong to this package.
const (
	KindFirst byte = 0x01
	KindLast  byte = 0x1f
)

// KindWait is the first of the kinds of requests that may wait long for something to happen. There may be very many of them, so that
// they are counted apart from all others.
const KindWait byte = 0x80

// ErrUnreachable: there is no way to that address, or nobody serves there. The request was not handled.
var ErrUnreachable = errors.New("raftgroup: unreachable")

// Loopback is the network of a node that is alone, for tests: every call to another address fails.
type Loopback struct {
	addr    string
	handler atomic.Pointer[NetworkHandler]
}

// NewLoopback returns the network of a single node.
func NewLoopback(addr string) *Loopback { return &Loopback{addr: addr} }

var _ Network = (*Loopback)(nil)

// LocalAddr is the address given at the start.
func (l *Loopback) LocalAddr() string { return l.addr }

// Serve sets the handler.
func (l *Loopback) Serve(h NetworkHandler) { l.handler.Store(&h) }

// Call handles the request at once if it is for the node itself.
func (l *Loopback) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	h, err := l.route(ctx, addr)
	if err != nil {
		return nil, err
	}
	return h.HandleCall(ctx, append([]byte(nil), request...))
}

// Stream handles the request at once if it is for the node itself.
func (l *Loopback) Stream(ctx context.Context, addr string, request []byte, body io.Reader) ([]byte, error) {
	h, err := l.route(ctx, addr)
	if err != nil {
		return nil, err
	}
	return h.HandleStream(ctx, append([]byte(nil), request...), contextReader{ctx, body})
}

func (l *Loopback) route(ctx context.Context, addr string) (NetworkHandler, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := l.handler.Load()
	if addr != l.addr || h == nil {
		return nil, fmt.Errorf("%w: %s from %s", ErrUnreachable, addr, l.addr)
	}
	return *h, nil
}

// contextReader fails when its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

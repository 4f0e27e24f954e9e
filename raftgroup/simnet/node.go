package simnet

import (
	"context"
	"io"
	"time"

	"kahuna/raftgroup"
)

// Node is one node's end of the network.
type Node struct {
	net  *Net
	addr string

	// Under net.mu. life ends when the node goes down, stop ends it.
	life    context.Context
	stop    context.CancelFunc
	handler raftgroup.NetworkHandler
}

var _ raftgroup.Network = (*Node)(nil)

// LocalAddr is the node's address.
func (s *Node) LocalAddr() string { return s.addr }

// Serve sets the handler.
func (s *Node) Serve(h raftgroup.NetworkHandler) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.handler = h
}

type result struct {
	response []byte
	err      error
}

// Call sends a request.
func (s *Node) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	sess, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer sess.close()
	f := s.net.draw(s.addr, addr, false)
	if f.again && request[0] <= raftgroup.KindLast {
		s.handleAgain(addr, request, f.late)
	}
	if err := sess.carry(f.lost, f.delay); err != nil {
		return nil, err
	}
	answer := make(chan result, 1)
	err = s.net.deliver(sess.ctx, addr, answer, func(ctx context.Context, h raftgroup.NetworkHandler) ([]byte, error) {
		return h.HandleCall(ctx, clone(request))
	})
	if err != nil {
		return nil, err
	}
	return sess.await(addr, answer, false)
}

// handleAgain has a copy of the request handled late, whether anybody waits for it or not.
func (s *Node) handleAgain(addr string, request []byte, late time.Duration) {
	request = clone(request)
	s.net.goRun(func() {
		ctx, cancel := context.WithTimeout(s.net.ctx, lateTimeout)
		defer cancel()
		if sleep(ctx, late) != nil || s.net.isCut(s.addr, addr) {
			return
		}
		err := s.net.deliver(ctx, addr, make(chan result, 1), func(ctx context.Context, h raftgroup.NetworkHandler) ([]byte, error) {
			s.net.note(func(c *Counters) { c.Duplicated++ })
			return h.HandleCall(ctx, request)
		})
		_ = err // a duplicate that does not arrive is nobody's loss
	})
}

// Stream sends a request and what body holds.
func (s *Node) Stream(ctx context.Context, addr string, request []byte, body io.Reader) ([]byte, error) {
	sess, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer sess.close()
	f := s.net.draw(s.addr, addr, true)
	if err := sess.carry(f.lost, f.delay); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	defer context.AfterFunc(sess.ctx, func() { _ = w.CloseWithError(ErrReset) })()
	answer := make(chan result, 1)
	err = s.net.deliver(sess.ctx, addr, answer, func(ctx context.Context, h raftgroup.NetworkHandler) ([]byte, error) {
		defer context.AfterFunc(ctx, func() { _ = w.CloseWithError(ErrReset) })()
		response, err := h.HandleStream(ctx, clone(request), r)
		_ = r.CloseWithError(errHandled)
		return response, err
	})
	if err != nil {
		return nil, err
	}
	switch err := s.pump(sess, addr, w, body, f); err {
	case nil:
		return sess.await(addr, answer, true)
	case errBroken: // the receiver gets the time to mistake the cut for the end
		_, _ = sess.await(addr, answer, true)
		return nil, ErrReset
	default:
		_ = w.CloseWithError(err)
		return nil, err
	}
}

// deliver has a request handled in a goroutine of its own, with a context that ends with the caller's and with the life of the
// receiver. The answer goes to answer, which needs one slot; a receiver that goes down answers nothing any more.
func (n *Net) deliver(ctx context.Context, addr string, answer chan<- result, handle func(context.Context, raftgroup.NetworkHandler) ([]byte, error)) error {
	life, h, err := n.receiver(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(life, cancel)
	started := n.goRun(func() {
		defer cancel()
		defer unlink()
		response, err := handle(ctx, h)
		if life.Err() != nil {
			response, err = nil, ErrReset
		}
		answer <- result{clone(response), err}
	})
	if !started {
		cancel()
		return ErrClosed
	}
	return nil
}

func (n *Net) receiver(addr string) (context.Context, raftgroup.NetworkHandler, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := n.nodes[addr]
	if node == nil || node.handler == nil || node.life.Err() != nil {
		n.counters.Refused++
		return nil, nil, ErrDown
	}
	return node.life, node.handler, nil
}

// goRun is false when the network is closed.
func (n *Net) goRun(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.running.Go(f)
	return true
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

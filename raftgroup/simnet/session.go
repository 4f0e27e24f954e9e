package simnet

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	errHandled = errors.New("simnet: handled")    // ends a stream whose handler has returned before its end
	errBroken  = errors.New("simnet: broken off") // the stream was cut; its handler still deals with that
)

const chunkBytes = 16 << 10

// session is one request under way, from the view of its sender. Its context ends with the caller's and with the sender's life.
type session struct {
	node   *Node
	ctx    context.Context
	cancel context.CancelFunc
	unlink func() bool
	caller context.Context
}

func (s *Node) open(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.net.mu.Lock()
	life, current := s.life, s.net.nodes[s.addr] == s
	s.net.mu.Unlock()
	if life.Err() != nil || !current {
		return nil, ErrDown
	}
	sess := &session{node: s, caller: ctx}
	sess.ctx, sess.cancel = context.WithCancel(ctx)
	sess.unlink = context.AfterFunc(life, sess.cancel)
	return sess, nil
}

func (s *session) close() {
	s.unlink()
	s.cancel()
}

// ended is why nothing more comes.
func (s *session) ended() error {
	if err := s.caller.Err(); err != nil {
		return err
	}
	return ErrReset
}

// carry lets a message take its time. A lost one takes for ever.
func (s *session) carry(lost bool, delay time.Duration) error {
	if lost {
		<-s.ctx.Done()
		return s.ended()
	}
	if sleep(s.ctx, delay) != nil {
		return s.ended()
	}
	return nil
}

// await waits for the answer of addr and carries it back. The end of a stream that loses its answer is noticed, as that of a
// connection is.
func (s *session) await(addr string, answer <-chan result, stream bool) ([]byte, error) {
	select {
	case r := <-answer:
		lost, delay := s.node.net.drawAnswer(addr, s.node.addr)
		if lost && stream {
			return nil, ErrReset
		}
		if err := s.carry(lost, delay); err != nil {
			return nil, err
		}
		return r.response, r.err
	case <-s.ctx.Done():
		return nil, s.ended()
	}
}

// pump moves the body to the receiver and ends its stream. An error of the body, or of the way, is the error of the stream.
func (s *Node) pump(sess *session, addr string, w *io.PipeWriter, body io.Reader, f fate) error {
	buf := make([]byte, chunkBytes)
	for sent := int64(0); ; {
		n, err := body.Read(buf)
		if s.net.isCut(s.addr, addr) {
			return sess.carry(true, 0)
		}
		if f.cutAt >= 0 && sent+int64(n) > f.cutAt {
			return s.breakOff(w, buf[:f.cutAt-sent], f.asEnd)
		}
		sent += int64(n)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return sess.broken(werr)
		}
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
	}
}

// broken judges an error of the pipe: a receiver that has answered already wants no more.
func (s *session) broken(err error) error {
	if err == errHandled {
		return nil
	}
	return s.ended()
}

// breakOff delivers the last bytes and cuts the stream.
func (s *Node) breakOff(w *io.PipeWriter, last []byte, asEnd bool) error {
	s.net.note(func(c *Counters) { c.StreamsCut++ })
	_, _ = w.Write(last)
	if asEnd {
		_ = w.Close()
	} else {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	return errBroken
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

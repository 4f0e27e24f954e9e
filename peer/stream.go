package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	streamChunkBytes = 256 << 10
	streamID         = 1
	aliveInterval    = time.Second // between signs of life of the receiver
)

// stream sends a request and a body over a connection of its own.
func (p *peer) stream(ctx context.Context, request []byte, body io.Reader) ([]byte, error) {
	l := p.n.cfg.Limits
	if len(request) > l.FrameBytesMax-overheadBytes-deadlineBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(request))
	}
	defer p.n.streamsOut.Add(-1)
	if p.n.streamsOut.Add(1) > int64(l.StreamsMax) {
		return nil, unreachable(p.addr, ErrBusy)
	}
	p.streams.Add(1)
	defer p.streams.Add(-1)
	ctx, leave := p.n.join(ctx)
	if leave == nil {
		return nil, ErrClosed
	}
	defer leave()
	s, err := p.open(ctx, purposeStream, l.StreamStallTimeout)
	if err != nil {
		return nil, err
	}
	defer p.n.drop(s.raw)
	defer context.AfterFunc(ctx, func() { _ = s.raw.Close() })()
	out := &outStream{p: p, s: s, done: make(chan answer, 1)}
	go out.await()
	return out.send(ctx, request, body)
}

// join returns a ctx that ends with the network too, and has Close wait until leave is called. A nil leave: the network is closed.
func (n *Network) join(ctx context.Context) (joined context.Context, leave func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, nil
	}
	n.running.Add(1)
	joined, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(n.ctx, func() { cancel(errClosing) })
	return joined, func() {
		unlink()
		cancel(nil)
		n.running.Done()
	}
}

// errClosing ends a stream that is on its way when the network is closed: it may have been handled.
var errClosing = fmt.Errorf("%w: this node's network was closed", ErrConnectionLost)

// outStream is a stream on its way out.
type outStream struct {
	p     *peer
	s     secured
	done  chan answer // one slot: the answer, or why there is none
	frame []byte
}

// send sends everything and waits for the answer. The answer may come early: then the rest is not wanted. When it returns, await has
// ended.
func (o *outStream) send(ctx context.Context, request []byte, body io.Reader) ([]byte, error) {
	early, err := o.sendAll(ctx, request, body)
	if early != nil {
		return early.body, early.err
	}
	if err != nil {
		_ = o.s.raw.Close()
	}
	a := <-o.done
	switch {
	case a.err == nil || errors.As(a.err, new(RemoteError)):
		return a.body, a.err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	return nil, a.err
}

func (o *outStream) sendAll(ctx context.Context, request []byte, body io.Reader) (early *answer, err error) {
	remaining, ok := remainingMillis(ctx)
	if !ok {
		return nil, context.DeadlineExceeded
	}
	var prefix [deadlineBytes]byte
	binary.LittleEndian.PutUint32(prefix[:], remaining)
	if err := o.write(kindRequest, prefix[:], request); err != nil {
		return nil, err
	}
	buf := make([]byte, min(streamChunkBytes, o.p.n.cfg.Limits.FrameBytesMax-overheadBytes))
	for total := uint64(0); ; {
		select {
		case a := <-o.done:
			return &a, nil
		default:
		}
		count, readErr := body.Read(buf)
		total += uint64(count)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if count > 0 {
			if err := o.write(kindData, nil, buf[:count]); err != nil {
				return nil, err
			}
		}
		switch {
		case readErr == io.EOF:
			return nil, o.write(kindEnd, nil, binary.LittleEndian.AppendUint64(nil, total))
		case readErr != nil:
			_, text := toResponse(nil, readErr, o.p.n.cfg.Limits.FrameBytesMax)
			_ = o.write(kindAbort, nil, text) // else the receiver sees the connection end
			return nil, readErr
		}
	}
}

func (o *outStream) write(kind byte, prefix, body []byte) error {
	o.frame = appendFrame(o.frame[:0], kind, streamID, prefix, body)
	if err := writeAll(o.s.conn, o.frame, o.p.n.cfg.Limits.StreamStallTimeout); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrConnectionLost, o.p.addr, err)
	}
	return nil
}

// await waits for the answer. A receiver that gives no sign of life is given up.
func (o *outStream) await() {
	r := frameReader{src: bufio.NewReaderSize(o.s.conn, 4<<10), max: o.p.n.cfg.Limits.FrameBytesMax}
	for {
		f, err := o.nextFrame(&r)
		if err != nil {
			o.done <- answer{err: fmt.Errorf("%w: %s: %w", ErrConnectionLost, o.p.addr, err)}
			return
		}
		switch {
		case f.kind == kindAlive && len(f.payload) == 0:
		case f.kind == kindResponse && len(f.payload) >= statusBytes:
			o.done <- readResponse(f.payload)
			return
		default:
			o.done <- answer{err: fmt.Errorf("%w: kind %d in a stream's answer", errMalformed, f.kind)}
			return
		}
	}
}

func (o *outStream) nextFrame(r *frameReader) (frame, error) {
	if err := o.s.conn.SetReadDeadline(time.Now().Add(o.p.n.cfg.Limits.StreamStallTimeout)); err != nil {
		return frame{}, err
	}
	return r.next(nil)
}

package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// inStream is a stream on its way in. One goroutine reads the connection, one runs the handler, and the one that serves the
// connection writes: signs of life, then the answer.
type inStream struct {
	n      *Network
	s      secured
	c      *counters
	r      frameReader
	ctx    context.Context // of the handler; ends with the connection, its cause says why
	cancel context.CancelCauseFunc
	body   *streamBody
}

// serveStream serves a connection for one stream to its end.
func (n *Network) serveStream(s secured, c *counters) {
	in := &inStream{n: n, s: s, c: c}
	in.r = frameReader{src: bufio.NewReaderSize(s.conn, readBufferBytes), max: n.cfg.Limits.FrameBytesMax}
	if err := in.serve(); err != nil && n.ctx.Err() == nil {
		n.log.Warn().Err(err).Str("node", s.who.node).Str("peer", s.who.addr).Msg("stream of another node broke")
	}
}

func (in *inStream) serve() error {
	request, remaining, err := in.readRequest()
	if err != nil {
		return err
	}
	defer in.n.streamsIn.Add(-1)
	if in.n.streamsIn.Add(1) > int64(in.n.cfg.Limits.StreamsMax) {
		return in.turnAway(statusBusy)
	}
	in.c.streamsIn.Add(1)
	ctx, stop := contextFor(in.n.ctx, remaining)
	defer stop()
	in.ctx, in.cancel = context.WithCancelCause(ctx)
	defer in.cancel(nil)
	in.body = newStreamBody(in.ctx)

	var reading sync.WaitGroup
	defer reading.Wait()
	defer func() { _ = in.s.raw.Close() }() // ends the reader
	reading.Go(in.read)
	done := make(chan answer, 1)
	reading.Go(func() {
		response, err := (*in.n.handler.Load()).HandleStream(in.ctx, request, in.body)
		done <- answer{response, err}
	})
	a := in.await(done)
	close(in.body.gone)
	status, body := toResponse(a.body, a.err, in.n.cfg.Limits.FrameBytesMax)
	if err := in.write(kindResponse, []byte{status}, body); err != nil {
		return err
	}
	in.linger()
	reading.Wait()
	return in.broken()
}

const lingerTimeout = 5 * time.Second

// linger lets the sender read the answer and leave first: what closes a connection with unread bytes destroys its own last words.
func (in *inStream) linger() { _ = in.s.raw.SetReadDeadline(time.Now().Add(lingerTimeout)) }

// broken is why the stream broke, if its sender broke the rules; that it was cut is the handler's to judge.
func (in *inStream) broken() error {
	if errors.Is(in.body.end, errMalformed) {
		return in.body.end
	}
	return nil
}

// turnAway answers without a handler.
func (in *inStream) turnAway(status byte) error {
	in.c.busy.Add(1)
	if err := in.write(kindResponse, []byte{status}, nil); err != nil {
		return err
	}
	in.linger()
	_, _ = io.Copy(io.Discard, in.s.conn) // ends with the sender, or in time
	return nil
}

func (in *inStream) readRequest() (request []byte, remainingMillis uint32, err error) {
	if err := in.s.raw.SetReadDeadline(time.Now().Add(in.n.cfg.Limits.StreamStallTimeout)); err != nil {
		return nil, 0, err
	}
	f, err := in.r.next(nil)
	if err != nil {
		return nil, 0, err
	}
	if f.kind != kindRequest || len(f.payload) < deadlineBytes {
		return nil, 0, fmt.Errorf("%w: kind %d in place of a stream's request", errMalformed, f.kind)
	}
	return f.payload[deadlineBytes:], binary.LittleEndian.Uint32(f.payload), in.s.raw.SetReadDeadline(time.Time{})
}

// await waits for the handler and gives signs of life meanwhile. One that can't be written ends the handler's context.
func (in *inStream) await(done <-chan answer) answer {
	t := time.NewTicker(aliveInterval)
	defer t.Stop()
	for {
		select {
		case a := <-done:
			return a
		case <-t.C:
			if in.ctx.Err() != nil {
				continue // the handler ends
			}
			if err := in.write(kindAlive, nil, nil); err != nil {
				in.cancel(fmt.Errorf("%w: %w", ErrStreamCut, err))
			}
		}
	}
}

func (in *inStream) write(kind byte, prefix, body []byte) error {
	return writeAll(in.s.conn, appendFrame(nil, kind, streamID, prefix, body), in.n.cfg.Limits.WriteTimeout)
}

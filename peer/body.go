package peer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// streamBody is what the handler of a stream reads. The goroutine that reads the connection fills one buffer while the handler
// empties another.
type streamBody struct {
	ctx   context.Context
	full  chan []byte   // closed at the end, after end is set
	empty chan []byte   // buffers to be filled
	gone  chan struct{} // closed when the handler has returned
	end   error         // io.EOF, or why the stream was cut

	// Of the handler.
	buf  []byte // being read
	rest []byte // of buf
}

const streamBuffers = 3 // one being filled, one waiting, one being read

func newStreamBody(ctx context.Context) *streamBody {
	b := &streamBody{ctx: ctx, full: make(chan []byte, 1), empty: make(chan []byte, streamBuffers), gone: make(chan struct{})}
	for range streamBuffers {
		b.empty <- nil
	}
	return b
}

// Read reads what has come. io.EOF: the sender has sent all, and all has come.
func (b *streamBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	for len(b.rest) == 0 && len(p) > 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *streamBody) next() error {
	if b.buf != nil {
		b.empty <- b.buf
		b.buf = nil
	}
	select {
	case buf, ok := <-b.full:
		if !ok {
			return b.end
		}
		b.buf, b.rest = buf, buf
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}

// buffer is one to be filled; nil when nobody will read it.
func (b *streamBody) buffer() []byte {
	select {
	case buf := <-b.empty:
		return buf
	case <-b.gone:
	case <-b.ctx.Done():
	}
	return nil
}

// put hands a full buffer to the handler, or drops it when nobody will read it.
func (b *streamBody) put(buf []byte) {
	select {
	case b.full <- buf:
	case <-b.gone:
	case <-b.ctx.Done():
	}
}

// finish says how the stream ended.
func (b *streamBody) finish(err error) {
	b.end = err
	close(b.full)
}

// read reads the connection: the body, and then that the sender leaves, which ends the handler's context. What nobody reads is
// dropped, so that the sender gets to see an early answer.
func (in *inStream) read() {
	err := in.readBody()
	if err != io.EOF {
		in.cancel(err)
	}
	in.body.finish(err)
	if err == io.EOF {
		_, err = in.r.next(nil)
		in.cancel(fmt.Errorf("%w: the sender has left: %w", ErrStreamCut, err))
	}
}

// readBody returns io.EOF at the end of the body, and an ErrStreamCut anywhere else.
func (in *inStream) readBody() error {
	for total := uint64(0); ; {
		f, err := in.r.next(in.body.buffer())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStreamCut, noEOF(err))
		}
		switch {
		case f.kind == kindData:
			total += uint64(len(f.payload))
			in.body.put(f.payload)
		case f.kind == kindEnd && len(f.payload) == 8 && binary.LittleEndian.Uint64(f.payload) == total:
			return io.EOF
		case f.kind == kindAbort:
			return fmt.Errorf("%w by its sender: %s", ErrStreamCut, f.payload)
		default:
			return fmt.Errorf("%w: %w: kind %d, %d bytes, in a stream of %d", ErrStreamCut, errMalformed, f.kind, len(f.payload), total)
		}
	}
}

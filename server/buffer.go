package server

import "io"

// inputBuffer holds a connection's bytes that were read and are still needed. It grows as bytes arrive, twice as large
// each time it is full, and never by what a client announces.
type inputBuffer struct {
	buf    []byte
	start  int // first byte still needed
	pos    int // first byte not yet judged
	seen   int // first byte not yet searched for a newline, pos <= seen
	end    int
	budget *budget // what all connections together may hold; nil: no bound
}

// inputBytesMin is the size of the smallest buffer. A connection that is silent has none, where it is a plain socket.
const inputBytesMin = 4 << 10

// discard lets go of everything before buf[needed].
func (b *inputBuffer) discard(needed int) {
	b.start = needed
	if b.start == b.end {
		b.start, b.pos, b.seen, b.end = 0, 0, 0, 0
	}
}

// compact moves what is held to the front when little room is left behind it, and returns by how much.
func (b *inputBuffer) compact() (by int) {
	if len(b.buf)-b.end >= len(b.buf)/4 {
		return 0
	}
	by = b.start
	copy(b.buf, b.buf[b.start:b.end])
	b.start, b.pos, b.end = 0, b.pos-by, b.end-by
	b.seen = max(b.seen-by, b.pos)
	return by
}

// fill reads once. full tells that the read used all the room there was.
func (b *inputBuffer) fill(r io.Reader) (n int, full bool, err error) {
	if s, ok := r.(*source); ok && s.raw != nil && len(b.buf) == 0 {
		return b.fillPage(s)
	}
	if b.end == len(b.buf) {
		if err := b.resize(max(inputBytesMin, 2*len(b.buf))); err != nil {
			return 0, false, err
		}
	}
	n, err = r.Read(b.buf[b.end:])
	b.end += n
	return n, b.end == len(b.buf), err
}

// fillPage is fill while there is no buffer.
func (b *inputBuffer) fillPage(s *source) (n int, full bool, err error) {
	p, n, err := s.readPage()
	if p == nil {
		return 0, false, err
	}
	if !b.budget.take(inputBytesMin) {
		pages.Put(p)
		return 0, false, errInputMemory
	}
	b.buf, b.end = p[:], n
	return n, n == len(b.buf), err
}

// rest gives a small buffer up in which nothing is held. The next read takes one when there is something to be read.
func (b *inputBuffer) rest() {
	if b.start == b.end && len(b.buf) == inputBytesMin {
		pages.Put((*page)(b.buf))
		b.free()
	}
}

// resize moves the bytes to a buffer of another size, at least as large as they are. Positions stay.
func (b *inputBuffer) resize(size int) error {
	if !b.budget.take(size - len(b.buf)) {
		return errInputMemory
	}
	buf := make([]byte, size)
	copy(buf, b.buf[:b.end])
	b.buf = buf
	return nil
}

// shrink gives a large buffer up, if nothing is held.
func (b *inputBuffer) shrink() {
	if b.start == b.end && len(b.buf) > inputBytesMin {
		b.free()
	}
}

// free gives the buffer up at the end of a connection.
func (b *inputBuffer) free() {
	b.budget.take(-len(b.buf))
	b.buf = nil
	b.start, b.pos, b.seen, b.end = 0, 0, 0, 0
}

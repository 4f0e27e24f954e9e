package fsm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type streamWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	err error
}

func newStreamWriter(w io.Writer) *streamWriter {
	return &streamWriter{w: bufio.NewWriterSize(w, 64<<10), sum: crc32.New(castagnoli)}
}

func (s *streamWriter) raw(b []byte) {
	if s.err == nil {
		s.sum.Write(b)
		_, s.err = s.w.Write(b)
	}
}

func (s *streamWriter) bytes(b []byte) {
	var n [binary.MaxVarintLen64]byte
	s.raw(n[:binary.PutUvarint(n[:], uint64(len(b)))])
	s.raw(b)
}

func (s *streamWriter) checksum() {
	s.raw(binary.BigEndian.AppendUint32(nil, s.sum.Sum32()))
}

func (s *streamWriter) end() error {
	s.checksum()
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}

// fieldBytesMax bounds a key or a value in a stream: a value's chunk, or a record of a transaction.
const fieldBytesMax = 16 << 20

type streamReader struct {
	r   *bufio.Reader
	sum hash.Hash32
	err error
}

func newStreamReader(r io.Reader) *streamReader {
	return &streamReader{r: bufio.NewReaderSize(r, 64<<10), sum: crc32.New(castagnoli)}
}

// ReadByte is for reading lengths.
func (s *streamReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		s.sum.Write([]byte{c})
	}
	return c, err
}

func (s *streamReader) raw(n int) []byte {
	if s.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.r, b); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrSnapshot, err)
		return nil
	}
	s.sum.Write(b)
	return b
}

func (s *streamReader) bytes() []byte {
	if s.err != nil {
		return nil
	}
	n, err := binary.ReadUvarint(s)
	if err != nil || n > fieldBytesMax {
		s.err = ErrSnapshot
		return nil
	}
	return s.raw(int(n))
}

// state reads the head of a stream.
func (s *streamReader) state() (State, error) {
	magic := s.raw(len(snapshotMagic))
	state := s.bytes()
	if err := s.end(); err != nil {
		return State{}, err
	}
	if string(magic) != snapshotMagic {
		return State{}, ErrSnapshot
	}
	return decodeState(state)
}

// end reads and compares a checksum of all that was read before.
func (s *streamReader) end() error {
	want := s.sum.Sum32()
	sum := s.raw(4)
	if s.err == nil && binary.BigEndian.Uint32(sum) != want {
		s.err = ErrSnapshot
	}
	return s.err
}

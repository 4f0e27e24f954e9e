package raftgroup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A spool is a received snapshot that has not yet replaced the state: a marker, the stream, and a trailer of the stream's
// length (8) and checksum (4). It has its name only when it is complete and durable.

const spoolTrailerBytes = 12

// spoolWriter writes a spool.
type spoolWriter struct {
	path string
	f    *os.File
	w    *bufio.Writer
	head int64 // bytes before the stream
	size uint64
	crc  uint32
}

func createSpool(path string, m *marker) (*spoolWriter, error) {
	f, err := os.Create(path + tmpSuffix)
	if err != nil {
		return nil, err
	}
	s := &spoolWriter{path: path, f: f, w: bufio.NewWriterSize(f, 256<<10)}
	head, err := s.w.Write(m.encode())
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.head = int64(head)
	return s, nil
}

func (s *spoolWriter) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.size += uint64(n)
	s.crc = crc32.Update(s.crc, checksums, b[:n])
	return n, err
}

// finish makes the spool complete and durable, if admit, which may be nil, does not refuse its stream.
func (s *spoolWriter) finish(admit func(io.Reader) error) error {
	if admit != nil {
		err := s.w.Flush()
		if err == nil {
			err = admit(io.NewSectionReader(s.f, s.head, int64(s.size)))
		}
		if err != nil {
			s.cancel()
			return err
		}
	}
	trailer := binary.LittleEndian.AppendUint64(nil, s.size)
	trailer = binary.LittleEndian.AppendUint32(trailer, s.crc)
	_, err := s.w.Write(trailer)
	if err == nil {
		err = s.w.Flush()
	}
	return publish(s.f, err, s.path)
}

func (s *spoolWriter) cancel() { _ = errors.Join(s.f.Close(), os.Remove(s.f.Name())) }

// spool is a complete one.
type spool struct {
	f      *os.File
	marker *marker
	start  int64 // of the stream
	size   int64
}

// openSpool opens a spool and checks all of it. It returns nil when there is none.
func openSpool(path string) (*spool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &spool{f: f}
	if err := s.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return s, nil
}

func (s *spool) check() error {
	head := make([]byte, markerMaxBytes)
	n, err := io.ReadFull(s.f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	m, length, err := decodeMarker(head[:n])
	if err != nil {
		return err
	}
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	s.marker, s.start = m, int64(length)
	s.size = info.Size() - s.start - spoolTrailerBytes
	if s.size < 0 {
		return fmt.Errorf("%w: spool is cut off", ErrDamaged)
	}
	return s.checkStream()
}

func (s *spool) checkStream() error {
	sum := crc32.New(checksums)
	if _, err := io.Copy(sum, s.stream()); err != nil {
		return err
	}
	var trailer [spoolTrailerBytes]byte
	if _, err := s.f.ReadAt(trailer[:], s.start+s.size); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(trailer[:]) != uint64(s.size) || binary.LittleEndian.Uint32(trailer[8:]) != sum.Sum32() {
		return fmt.Errorf("%w: spool's length or checksum", ErrDamaged)
	}
	return nil
}

// stream reads the stream from its start.
func (s *spool) stream() io.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(s.f, s.start, s.size), 256<<10)
}

func (s *spool) close() error { return s.f.Close() }

package raftgroup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// The bytes of a snapshot go in frames: length (4 bytes, little endian), CRC-32C of the data (4 bytes), data. A frame of length 0
// ends the stream; its checksum is that of all data, and the number of all bytes (8 bytes) follows. So a stream that ends anywhere
// else is an error, wherever it was cut.
const (
	frameHeaderBytes = 8
	frameDataMax     = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errStreamCut     = errors.New("raftgroup: snapshot stream was cut")
	errStreamDamaged = errors.New("raftgroup: snapshot stream is damaged")
)

// frameWriter reads src and gives it out in frames. An error of src is its error too, before any end frame.
type frameWriter struct {
	src   io.Reader
	buf   []byte // of one frame
	rest  []byte // of buf, still to be given out
	sum   uint32
	total uint64
	ended bool
}

func newFrameWriter(src io.Reader) *frameWriter {
	return &frameWriter{src: src, buf: make([]byte, frameHeaderBytes+frameDataMax)}
}

func (f *frameWriter) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		if f.ended {
			return 0, io.EOF
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *frameWriter) next() error {
	n, err := io.ReadFull(f.src, f.buf[frameHeaderBytes:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if n == 0 {
		f.ended = true
		f.rest = binary.LittleEndian.AppendUint64(f.header(0, f.sum), f.total)
		return nil
	}
	data := f.buf[frameHeaderBytes : frameHeaderBytes+n]
	f.sum = crc32.Update(f.sum, castagnoli, data)
	f.total += uint64(n)
	f.header(uint32(n), crc32.Checksum(data, castagnoli))
	f.rest = f.buf[:frameHeaderBytes+n]
	return nil
}

func (f *frameWriter) header(length, sum uint32) []byte {
	binary.LittleEndian.PutUint32(f.buf, length)
	binary.LittleEndian.PutUint32(f.buf[4:], sum)
	return f.buf[:frameHeaderBytes]
}

// copyFrames writes the data of a stream of frames to w until the end frame, and checks everything on the way: w gets only data
// whose checksum is right. An error of w ends it.
func copyFrames(w io.Writer, src io.Reader) error {
	buf := make([]byte, frameDataMax)
	var sum uint32
	var total uint64
	for {
		var header [frameHeaderBytes]byte
		if err := readWhole(src, header[:]); err != nil {
			return err
		}
		length, want := binary.LittleEndian.Uint32(header[:]), binary.LittleEndian.Uint32(header[4:])
		if length == 0 {
			return checkEnd(src, want == sum, total)
		}
		if length > frameDataMax {
			return fmt.Errorf("%w: a frame of %d bytes, limit %d", errStreamDamaged, length, frameDataMax)
		}
		data := buf[:length]
		if err := readWhole(src, data); err != nil {
			return err
		}
		if crc32.Checksum(data, castagnoli) != want {
			return errStreamDamaged
		}
		sum = crc32.Update(sum, castagnoli, data)
		total += uint64(length)
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
}

func checkEnd(src io.Reader, sumFits bool, total uint64) error {
	var tail [8]byte
	if err := readWhole(src, tail[:]); err != nil {
		return err
	}
	if !sumFits || binary.LittleEndian.Uint64(tail[:]) != total {
		return errStreamDamaged
	}
	switch n, err := io.ReadFull(src, tail[:1]); {
	case n > 0:
		return fmt.Errorf("%w: bytes behind its end", errStreamDamaged)
	case err != io.EOF:
		return err
	}
	return nil
}

func readWhole(src io.Reader, p []byte) error {
	_, err := io.ReadFull(src, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errStreamCut
	}
	return err
}

// sizedReader tells Raft the size of a snapshot when it has been read: Raft wants exactly Size bytes, but looks at Size only after
// it has read to the end, in the same goroutine. So the sender need not know the size.
type sizedReader struct {
	src io.Reader
	req *raft.InstallSnapshotRequest
	n   int64
}

func (s *sizedReader) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.n += int64(n)
	if err == io.EOF {
		s.req.Size = s.n
	}
	return n, err
}

// idleReader ends a transfer that stands still: between two reads there may be as long as idle, and after the end as long as
// finish, in which the receiver installs what it got.
type idleReader struct {
	src          io.Reader
	timer        *time.Timer
	idle, finish time.Duration
}

func newIdleReader(src io.Reader, idle, finish time.Duration, cancel context.CancelFunc) *idleReader {
	return &idleReader{src: src, timer: time.AfterFunc(idle, cancel), idle: idle, finish: finish}
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	if err == io.EOF {
		r.timer.Reset(r.finish)
	} else {
		r.timer.Reset(r.idle)
	}
	return n, err
}

func (r *idleReader) stop() { r.timer.Stop() }

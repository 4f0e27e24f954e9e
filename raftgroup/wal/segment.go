package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	segmentSuffix = ".wal"
	tempSuffix    = ".tmp"
)

// segment is one file of the log. number, header and file never change once it is in use; the rest belongs to the writer.
type segment struct {
	number uint64
	salt   uint64
	seed   uint32
	size   atomic.Int64 // bytes of the file; changed by the writer alone, and read by Stats too
	f      *os.File

	off       int64 // end of its last frame
	live      int   // records that some cell still points to
	liveBytes int64
}

func (s *segment) room() int64 { return s.size.Load() - s.off }

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", number, segmentSuffix))
}

// parseSegmentName returns the number in a segment's file name.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil && n > 0
}

// createSegment makes a segment full of zeros, synced, and visible under its name only when it is complete. On an error
// nothing is left but perhaps a temporary file.
func createSegment(o Options, number uint64) (*segment, error) {
	path := segmentPath(o.Dir, number)
	temp := path + tempSuffix
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	h := segmentHeader{number: number, salt: rand.Uint64(), size: uint64(o.SegmentBytes)}
	err = errors.Join(h.create(o, f), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return nil, fmt.Errorf("wal: making segment %d: %w", number, err)
	}
	if err := o.syncDir(); err != nil {
		return nil, err
	}
	return openSegment(o.Dir, number)
}

// create fills the file.
func (h segmentHeader) create(o Options, f *os.File) error {
	if err := fill(f, 0, int64(h.size), o.Sync); err != nil {
		return err
	}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	return o.Sync(f)
}

// fill writes zeros, in parts, so that syncs of batches do not wait for all of it.
func fill(f *os.File, from, to int64, sync func(*os.File) error) error {
	if err := allocate(f, from, to-from); err != nil {
		return err
	}
	zeros := make([]byte, min(fillBytes, to-from))
	for off := from; off < to; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), to-off)], off); err != nil {
			return err
		}
		if err := sync(f); err != nil {
			return err
		}
	}
	return nil
}

// grow makes an empty segment large enough for a batch above the segment size. When the disk is full it is left as it was.
func (s *segment) grow(o Options, size int64) error {
	if err := fill(s.f, s.size.Load(), size, o.Sync); err != nil {
		return errors.Join(err, s.f.Truncate(s.size.Load()))
	}
	h := segmentHeader{number: s.number, salt: s.salt, size: uint64(size)}
	if _, err := s.f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	s.size.Store(size)
	return o.Sync(s.f)
}

// openSegment opens an existing segment and checks its header. It changes nothing.
func openSegment(dir string, number uint64) (*segment, error) {
	f, err := os.OpenFile(segmentPath(dir, number), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s, err := readHeader(f, number)
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func readHeader(f *os.File, number uint64) (*segment, error) {
	var b [segmentHeaderBytes]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h, err := decodeSegmentHeader(b[:n])
	if errors.Is(err, ErrNewerFormat) {
		return nil, err
	}
	if err != nil {
		return nil, &CorruptError{Segment: number, Reason: err.Error()}
	}
	if h.number != number {
		return nil, &CorruptError{Segment: number, Reason: fmt.Sprintf("header of segment %d", h.number)}
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if h.size < segmentHeaderBytes || st.Size() < int64(h.size) {
		return nil, &CorruptError{Segment: number, Offset: st.Size(), Reason: fmt.Sprintf("file is shorter than %d bytes", h.size)}
	}
	s := &segment{number: number, salt: h.salt, seed: h.seed(), f: f, off: segmentHeaderBytes}
	s.size.Store(st.Size())
	return s, nil
}

// syncDir makes creations, renames and removals in the directory durable.
func (o Options) syncDir() error {
	d, err := os.Open(o.Dir)
	if err != nil {
		return err
	}
	return errors.Join(o.syncDirectory(d), d.Close())
}

// removeFile is os.Remove that does not mind a file that is gone.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

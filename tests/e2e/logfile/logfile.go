// Package logfile reads the log's files as they are on disk, and does to them what a power cut does. It has the form of
// raftgroup/wal/format.go written down once more: a test that read them with the program's own code would follow each of its mistakes.
package logfile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

const (
	segmentHeader = 64
	frameHeader   = 36
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Segment is a file of the log.
type Segment struct {
	Path   string
	Frames []Frame

	data []byte
	seed uint32
}

// Frame is a batch: where it is in the file, and its sequence.
type Frame struct {
	At, End   int
	Seq, Prev uint64
}

// Read reads all segments of a data directory in order, with the whole frames at their beginning.
func Read(dir string) (all []*Segment, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s := &Segment{Path: path, data: data}
		if len(data) >= segmentHeader {
			s.seed = crc32.Checksum(data[16:32], castagnoli)
			s.readFrames()
		}
		all = append(all, s)
	}
	return all, nil
}

func (s *Segment) readFrames() {
	at := segmentHeader
	for at+frameHeader <= len(s.data) {
		h := s.data[at : at+frameHeader]
		if binary.LittleEndian.Uint32(h[32:]) != crc32.Update(s.seed, castagnoli, h[:32]) {
			return
		}
		f := Frame{at, at + frameHeader + int(binary.LittleEndian.Uint32(h[24:])), binary.LittleEndian.Uint64(h[8:]), binary.LittleEndian.Uint64(h[16:])}
		s.Frames = append(s.Frames, f)
		at = f.End
	}
}

// Used is where the frames end.
func (s *Segment) Used() int {
	if len(s.Frames) == 0 {
		return segmentHeader
	}
	return s.Frames[len(s.Frames)-1].End
}

// Current is the segment with the last frame; nil when there is none.
func Current(all []*Segment) *Segment {
	for _, s := range slices.Backward(all) {
		if len(s.Frames) > 0 {
			return s
		}
	}
	return nil
}

// Fullest is the segment with the most frames.
func Fullest(all []*Segment) *Segment {
	return slices.MaxFunc(all, func(a, b *Segment) int { return len(a.Frames) - len(b.Frames) })
}

// ReadMark reads which batch the mark says is on disk, and whether the log was closed in order.
func ReadMark(dir string) (durable uint64, clean bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "log", "mark"))
	if err != nil {
		return 0, false, err
	}
	return binary.LittleEndian.Uint64(b[16:]), b[12] == 1, nil
}

// TearTail writes what a power cut leaves of a batch that was being written: it goes behind the last one, which may have been
// acknowledged, and lacks its end. False when that can't have happened: there is no room for it, the last batch is itself torn,
// or the log was closed in order.
func TearTail(r *rand.Rand, dir string) (bool, error) {
	all, err := Read(dir)
	if err != nil {
		return false, err
	}
	s := Current(all)
	if _, clean, err := ReadMark(dir); err != nil || s == nil || clean {
		return false, err
	}
	last := s.Frames[len(s.Frames)-1]
	torn := s.tornCopy(r, s.Frames[r.IntN(len(s.Frames))], last.Seq)
	if last.End+len(torn) > len(s.data) || len(bytes.Trim(s.data[last.End:], "\x00")) > 0 {
		return false, nil
	}
	return true, Overwrite(s.Path, int64(last.End), torn)
}

// tornCopy is a part of what the batch after seq may have looked like.
func (s *Segment) tornCopy(r *rand.Rand, of Frame, seq uint64) []byte {
	b := bytes.Clone(s.data[of.At:of.End])
	binary.LittleEndian.PutUint64(b[8:], seq+1)
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint32(b[32:], crc32.Update(s.seed, castagnoli, b[:32]))
	n := 1 + r.IntN(len(b))
	if len(bytes.Trim(b[n:], "\x00")) == 0 {
		b[n-1] ^= 0x55 // a batch that lacks nothing but zeros is no torn one
	}
	return b[:n]
}

// Overwrite overwrites a part of a file.
func Overwrite(path string, at int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	if end := f.Close(); err == nil {
		err = end
	}
	return err
}

// FlipBit flips one bit of a file, mostly in the part that is not just zeros at its end, and tells where.
func FlipBit(r *rand.Rand, path string) (at int64, bit int, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	used := len(data)
	for used > 1 && data[used-1] == 0 {
		used--
	}
	at, bit = int64(r.IntN(min(len(data), used+used/16+8))), r.IntN(8)
	return at, bit, Overwrite(path, at, []byte{data[at] ^ 1<<bit})
}

package e2e

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The form of the log's files as raftgroup/wal/format.go has it, written down once more: a test that reads them with the
// program's own code would follow each of its mistakes.
const (
	segmentHeader = 64
	frameHeader   = 36
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is a file of the log.
type segment struct {
	path   string
	data   []byte
	seed   uint32
	frames []frame
}

// frame is a batch: where it is in the file, and its sequence.
type frame struct {
	at, end   int
	seq, prev uint64
}

// readLog reads all segments of a data directory in order, with the whole frames at their beginning.
func readLog(t *testing.T, dir string) (all []*segment) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := &segment{path: path, data: data}
		if len(data) >= segmentHeader {
			s.seed = crc32.Checksum(data[16:32], castagnoli)
			s.readFrames()
		}
		all = append(all, s)
	}
	return all
}

func (s *segment) readFrames() {
	at := segmentHeader
	for at+frameHeader <= len(s.data) {
		h := s.data[at : at+frameHeader]
		if binary.LittleEndian.Uint32(h[32:]) != crc32.Update(s.seed, castagnoli, h[:32]) {
			return
		}
		f := frame{at, at + frameHeader + int(binary.LittleEndian.Uint32(h[24:])), binary.LittleEndian.Uint64(h[8:]), binary.LittleEndian.Uint64(h[16:])}
		s.frames = append(s.frames, f)
		at = f.end
	}
}

// used is where the frames end.
func (s *segment) used() int {
	if len(s.frames) == 0 {
		return segmentHeader
	}
	return s.frames[len(s.frames)-1].end
}

// current is the segment with the last frame; nil when there is none.
func current(all []*segment) *segment {
	for _, s := range slices.Backward(all) {
		if len(s.frames) > 0 {
			return s
		}
	}
	return nil
}

// fullest is the segment with the most frames.
func fullest(all []*segment) *segment {
	return slices.MaxFunc(all, func(a, b *segment) int { return len(a.frames) - len(b.frames) })
}

// readMark reads which batch the mark says is on disk, and whether the log was closed in order.
func readMark(t *testing.T, dir string) (durable uint64, clean bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "log", "mark"))
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[16:]), b[12] == 1
}

// tearTail writes what a power cut leaves of a batch that was being written: it goes behind the last one, which may have been
// acknowledged, and lacks its end. False when that can't have happened: there is no room for it, the last batch is itself torn,
// or the log was closed in order.
func tearTail(t *testing.T, r *rand.Rand, dir string) bool {
	t.Helper()
	s := current(readLog(t, dir))
	if _, clean := readMark(t, dir); s == nil || clean {
		return false
	}
	last := s.frames[len(s.frames)-1]
	torn := s.tornCopy(r, s.frames[r.IntN(len(s.frames))], last.seq)
	if last.end+len(torn) > len(s.data) || len(bytes.Trim(s.data[last.end:], "\x00")) > 0 {
		return false
	}
	write(t, s.path, int64(last.end), torn)
	return true
}

// tornCopy is a part of what the batch after seq may have looked like.
func (s *segment) tornCopy(r *rand.Rand, of frame, seq uint64) []byte {
	b := bytes.Clone(s.data[of.at:of.end])
	binary.LittleEndian.PutUint64(b[8:], seq+1)
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint32(b[32:], crc32.Update(s.seed, castagnoli, b[:32]))
	n := 1 + r.IntN(len(b))
	if len(bytes.Trim(b[n:], "\x00")) == 0 {
		b[n-1] ^= 0x55 // a batch that lacks nothing but zeros is no torn one
	}
	return b[:n]
}

// write overwrites a part of a file.
func write(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

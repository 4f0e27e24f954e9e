package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// copyCrashed copies the directory of a log whose writer stands still, as a crash would leave it. The keeper may run: the mark is read
// last, so what it says of the segments is true of the copy.
func copyCrashed(t testing.TB, from, to string) {
	check(t, os.MkdirAll(to, 0o700))
	files, err := os.ReadDir(from)
	check(t, err)
	slices.SortFunc(files, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) // digits before "mark"
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(filepath.Join(to, f.Name()), b, 0o600))
	}
}

func (m *model) clone() *model {
	c := *m
	c.logs, c.keys = slices.Clone(m.logs), maps.Clone(m.keys)
	return &c
}

// crasher takes copies of the directory between the write of a batch and its sync, with some of the sectors of the batch lost.
type crasher struct {
	t       *testing.T
	r       *rand.Rand
	l       *Log
	to      string
	before  []*model
	after   []*model
	copies  int
	torn    int
	applied int
}

func (c *crasher) sync(f *os.File) error {
	if c.l != nil && strings.HasSuffix(f.Name(), segmentSuffix) && f == c.l.current().f && c.before != nil && c.r.Intn(8) == 0 {
		c.crash()
	}
	return nil
}

func (c *crasher) crash() {
	seg := c.l.current()
	dir := filepath.Join(c.to, fmt.Sprint(c.copies))
	c.copies++
	copyCrashed(c.t, c.l.o.Dir, dir)
	path := segmentPath(dir, seg.number)
	b, err := os.ReadFile(path)
	check(c.t, err)
	c.loseSectors(b, seg.off)
	check(c.t, os.WriteFile(path, b, 0o600))
	if err := c.reopen(dir); err != nil {
		c.t.Errorf("crash %d: %v", c.copies, err)
	}
	check(c.t, os.RemoveAll(dir))
}

// loseSectors puts zeros where sectors of the last frame did not reach the disk.
func (c *crasher) loseSectors(b []byte, off int64) {
	const sector = 512
	all := c.r.Intn(4)
	for at := off / sector * sector; at < int64(len(b)); at += sector {
		if all == 0 || all > 1 && c.r.Intn(2) == 0 {
			clear(b[max(at, off):min(at+sector, int64(len(b)))])
		}
	}
}

// reopen checks that the state is the one before or after the call that was going on, and that the log works on. It runs in the
// writer, so it must not end the goroutine.
func (c *crasher) reopen(dir string) error {
	o := options(dir)
	o.SegmentBytes = 4 << 10
	for i := range 2 {
		l, err := Open(o)
		if err != nil {
			return err
		}
		if err := c.same(l, c.before); err == nil {
			c.torn++
		} else if err2 := c.same(l, c.after); err2 == nil {
			c.applied++
		} else {
			return fmt.Errorf("neither before (%v) nor after (%v)", err, err2)
		}
		if i == 1 || c.r.Intn(2) == 0 {
			err = errors.Join(l.Group(77).Set([]byte("k"), []byte("v")), l.RemoveGroup(77))
		}
		if err := errors.Join(err, l.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (c *crasher) same(l *Log, models []*model) error {
	for _, m := range models {
		if err := m.verify(l.Group(m.id)); err != nil {
			return err
		}
	}
	return nil
}

// TestCrashBetweenWriteAndSync: whatever part of the last batch is lost, nothing acknowledged is.
func TestCrashBetweenWriteAndSync(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	c := &crasher{t: t, r: rand.New(rand.NewSource(seed + 1)), to: t.TempDir()}
	o := options(t.TempDir())
	o.SegmentBytes, o.Sync = 4<<10, c.sync
	l := open(t, o)
	l.mu.Lock() // the writer reads c.l from its hook
	c.l = l
	l.mu.Unlock()
	models := []*model{}
	for i := range 3 {
		models = append(models, &model{id: uint32(i), keys: map[string][]byte{}, term: 1})
	}
	for range 400 {
		before := []*model{models[0].clone(), models[1].clone(), models[2].clone()}
		l.mu.Lock()
		c.before, c.after = before, models
		l.mu.Unlock()
		check(t, models[r.Intn(3)].step(r, l))
		settle(l)
	}
	c.before = nil
	check(t, l.Close())
	if c.copies < 20 || c.torn == 0 || c.applied == 0 {
		t.Fatalf("vacuous: %d crashes, %d before, %d after", c.copies, c.torn, c.applied)
	}
	t.Logf("%d crashes, %d opens before, %d after", c.copies, c.torn, c.applied)
}

// smallLog makes a cleanly closed log of some segments and returns its directory and the bounds of each frame by segment.
func smallLog(t testing.TB) (dir string, frames map[uint64][][2]int64) {
	dir = t.TempDir()
	o := options(dir)
	o.SegmentBytes = 4 << 10
	l := open(t, o)
	for i := uint64(1); i <= 30; i++ {
		check(t, l.Group(uint32(i%2)).StoreLogs(run(2*i, 2*i, i, 150)))
		check(t, l.Group(uint32(i%2)).DeleteRange(2*i, 2*i))
		check(t, l.Group(2).SetUint64([]byte("term"), i))
		check(t, l.Group(3).StoreLogs(run(i, i, i, 100)))
	}
	check(t, l.Close())
	return dir, framesOf(t, dir)
}

func framesOf(t testing.TB, dir string) map[uint64][][2]int64 {
	frames := map[uint64][][2]int64{}
	numbers, _, err := list(dir)
	check(t, err)
	for _, n := range numbers {
		b, err := os.ReadFile(segmentPath(dir, n))
		check(t, err)
		h, err := decodeSegmentHeader(b)
		check(t, err)
		for off := int64(segmentHeaderBytes); ; {
			f, err := decodeFrame(b[off:], h.seed())
			if err != nil {
				break
			}
			end := off + frameHeaderBytes + int64(f.body)
			frames[n] = append(frames[n], [2]int64{off, end})
			off = end
		}
	}
	return frames
}

func lastFrame(frames map[uint64][][2]int64) (seg uint64, bounds [2]int64) {
	seg = slices.Max(slices.Collect(maps.Keys(frames)))
	return seg, frames[seg][len(frames[seg])-1]
}

// reset makes dir a copy of a directory.
func reset(t testing.TB, from, dir string) {
	check(t, os.RemoveAll(dir))
	copyDir(t, from, dir)
}

func setMark(t testing.TB, dir string, change func(*mark)) {
	m, err := openMark(Options{Dir: dir, Sync: noSync})
	check(t, err)
	to := m.mark
	change(&to)
	check(t, m.save(to))
	check(t, m.f.Close())
}

func dirBytes(t testing.TB, dir string) string {
	var all bytes.Buffer
	files, err := os.ReadDir(dir)
	check(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		check(t, err)
		fmt.Fprintf(&all, "%s %d %s", f.Name(), len(b), b)
	}
	return all.String()
}

// outcome opens and says what it found: "corrupt", "lost", "newer" or "ok"; a refused log must be untouched.
func outcome(t testing.TB, dir string) string {
	t.Helper()
	before := dirBytes(t, dir)
	o := options(dir)
	o.SegmentBytes = 4 << 10
	l, err := Open(o)
	if err == nil {
		check(t, l.Close())
		return "ok"
	}
	if dirBytes(t, dir) != before {
		t.Fatalf("%v, but files were changed", err)
	}
	var corrupt *CorruptError
	var lost *LostTailError
	switch {
	case errors.As(err, &corrupt):
		return "corrupt"
	case errors.As(err, &lost):
		return "lost"
	case errors.Is(err, ErrNewerFormat):
		return "newer"
	}
	t.Fatalf("unexpected error: %v", err)
	return ""
}

func flipBits(t testing.TB, path string, at int64, mask byte) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	check(t, err)
	b[0] ^= mask
	_, err = f.WriteAt(b[:], at)
	check(t, err)
}

func TestAnyFlipAfterCleanCloseIsDetected(t *testing.T) {
	from, frames := smallLog(t)
	if len(frames) < 2 {
		t.Fatalf("vacuous: %d segments", len(frames))
	}
	dir := filepath.Join(t.TempDir(), "d")
	copyDir(t, from, dir)
	flip := func(name string, at int64) {
		path := filepath.Join(dir, name)
		flipBits(t, path, at, 1<<(at%8))
		if got := outcome(t, dir); got == "ok" {
			t.Fatalf("%s byte %d: not detected", name, at)
		}
		flipBits(t, path, at, 1<<(at%8))
	}
	for at := range int64(markBytes) {
		flip(markName, at)
	}
	lastSeg, last := lastFrame(frames)
	for n, fs := range frames {
		end := min(fs[len(fs)-1][1]+20, 4<<10)
		for at := int64(0); at < end; at++ {
			if at < segmentHeaderBytes || at%17 == 0 || n == lastSeg && at >= last[0] {
				flip(filepath.Base(segmentPath(dir, n)), at)
			}
		}
	}
}

func TestFlipWithoutRecentMark(t *testing.T) {
	from, frames := smallLog(t)
	setMark(t, from, func(m *mark) { m.clean, m.seq = false, m.seq-1 })
	dir := filepath.Join(t.TempDir(), "d")
	lastSeg, last := lastFrame(frames)
	torn := 0
	copyDir(t, from, dir)
	for n, fs := range frames {
		for at := fs[0][0]; at < fs[len(fs)-1][1]; at += 13 {
			path := segmentPath(dir, n)
			flipBits(t, path, at, 0x10)
			got := outcome(t, dir)
			flipBits(t, path, at, 0x10)
			if inLast := n == lastSeg && at >= last[0]; inLast && got == "ok" {
				torn++
				reset(t, from, dir)
			} else if got != "corrupt" {
				t.Fatalf("segment %d byte %d of %v: %s", n, at, last, got)
			}
		}
	}
	if torn == 0 {
		t.Fatal("vacuous: no torn tail seen")
	}
}

func TestTruncatedOrZeroedTail(t *testing.T) {
	from, frames := smallLog(t)
	unmarked := filepath.Join(t.TempDir(), "unmarked")
	copyDir(t, from, unmarked)
	setMark(t, unmarked, func(m *mark) { m.clean, m.seq = false, m.seq-1 })
	dir := filepath.Join(t.TempDir(), "d")
	seg, last := lastFrame(frames)
	path := segmentPath(dir, seg)
	for at := last[0]; at < last[1]; at++ {
		for _, src := range []string{from, unmarked} {
			reset(t, src, dir)
			check(t, os.Truncate(path, at))
			if got := outcome(t, dir); got != "corrupt" {
				t.Fatalf("truncated at %d: %s", at, got)
			}
			reset(t, src, dir)
			b, err := os.ReadFile(path)
			check(t, err)
			clear(b[at:])
			check(t, os.WriteFile(path, b, 0o600))
			got := outcome(t, dir)
			if src == unmarked && got != "ok" || src == from && at == last[0] && got != "lost" || src == from && got == "ok" {
				t.Fatalf("zero from %d of %v, marked %v: %s", at, last, src == from, got)
			}
		}
	}
}

func TestTornTailIsCutAndItsSequenceNotUsedAgain(t *testing.T) {
	dir, frames := smallLog(t)
	var before mark
	setMark(t, dir, func(m *mark) { m.clean, m.seq = false, m.seq-1; before = *m })
	seg, last := lastFrame(frames)
	b, err := os.ReadFile(segmentPath(dir, seg))
	check(t, err)
	clear(b[last[1]-5 : last[1]])
	check(t, os.WriteFile(segmentPath(dir, seg), b, 0o600))
	l := open(t, options(dir))
	wantBounds(t, l.Group(3), 1, 29)
	check(t, l.Group(3).StoreLogs(run(30, 30, 31, 100)))
	if s := l.Stats().Sequence; s < before.seq+2 {
		t.Fatalf("batch %d again", s)
	}
	check(t, l.Close())
	if got := outcome(t, dir); got != "ok" {
		t.Fatal(got)
	}
}

func TestMissingFiles(t *testing.T) {
	from, frames := smallLog(t)
	dir := filepath.Join(t.TempDir(), "d")
	for n := range frames {
		reset(t, from, dir)
		check(t, os.Remove(segmentPath(dir, n)))
		if got := outcome(t, dir); got == "ok" {
			t.Errorf("without segment %d: %s", n, got)
		}
	}
	reset(t, from, dir)
	check(t, os.Remove(filepath.Join(dir, markName)))
	if got := outcome(t, dir); got != "corrupt" {
		t.Errorf("without mark: %s", got)
	}
	reset(t, from, dir)
	numbers, _, _ := list(dir)
	for _, n := range numbers {
		check(t, os.Remove(segmentPath(dir, n)))
	}
	if got := outcome(t, dir); got != "lost" {
		t.Errorf("without all segments: %s", got)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	from, frames := smallLog(t)
	dir := filepath.Join(t.TempDir(), "d")
	seg, last := lastFrame(frames)
	change := func(path string, off int64, magic [8]byte) {
		b, err := os.ReadFile(path)
		check(t, err)
		h, _ := decodeSegmentHeader(b)
		if off > 0 {
			f, err := decodeFrame(b[off:], h.seed())
			check(t, err)
			f.put(b[off:], h.seed())
			le.PutUint32(b[off+4:], formatVersion+1)
			le.PutUint32(b[off+32:], crcOf(h.seed(), b[off:off+32]))
		} else {
			le.PutUint32(b[8:], formatVersion+1)
			le.PutUint32(b[60:], crcOf(0, b[:60]))
		}
		check(t, os.WriteFile(path, b, 0o600))
		if got := outcome(t, dir); got != "newer" {
			t.Errorf("%s at %d: %s", path, off, got)
		}
	}
	reset(t, from, dir)
	change(filepath.Join(dir, markName), 0, markMagic)
	reset(t, from, dir)
	change(segmentPath(dir, seg), 0, segmentMagic)
	reset(t, from, dir)
	change(segmentPath(dir, seg), last[0], segmentMagic)
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir, _ := smallLog(t)
	check(t, os.WriteFile(segmentPath(dir, 99)+tempSuffix, []byte("x"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, markName+tempSuffix), []byte("x"), 0o600))
	check(t, open(t, options(dir)).Close())
	_, temps, err := list(dir)
	check(t, err)
	if len(temps) > 0 {
		t.Fatalf("left: %v", temps)
	}
}

// TestReadFindsDamage: a record that is damaged after Open is found by GetLog, and stops the log.
func TestReadFindsDamage(t *testing.T) {
	dir, _ := smallLog(t)
	var faults int
	o := options(dir)
	o.OnFault = func(error) { faults++ }
	l := open(t, o)
	defer l.Close()
	s, ok := l.Group(3).find(15)
	if !ok {
		t.Fatal("no entry")
	}
	_, err := s.seg.f.WriteAt([]byte{0xff}, int64(s.off)+recordHeaderBytes+entryHeaderBytes+3)
	check(t, err)
	var out raft.Log
	err = l.Group(3).GetLog(15, &out)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.Segment != s.seg.number || !errors.Is(err, ErrFailed) || faults != 1 {
		t.Fatalf("%v, %d faults", err, faults)
	}
}

func crcOf(seed uint32, b []byte) uint32 { return crc32.Update(seed, castagnoli, b) }

// settle returns when the writer has nothing left to collect.
func settle(l *Log) {
	for {
		l.mu.Lock()
		idle := !l.collects && len(l.queue) == 0 || l.fault != nil
		l.mu.Unlock()
		if idle {
			return
		}
		runtime.Gosched()
	}
}

// addFrame writes a batch behind the last frame of a closed log, and makes it the marked one.
func addFrame(t testing.TB, dir string, b *batch) {
	seg, last := lastFrame(framesOf(t, dir))
	f, err := os.OpenFile(segmentPath(dir, seg), os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	s, err := readHeader(f, seg)
	check(t, err)
	setMark(t, dir, func(m *mark) {
		h := frame{seq: m.seq + 1, prev: m.seq, body: uint32(len(b.buf) - frameHeaderBytes), records: uint32(len(b.refs))}
		h.put(b.buf, s.seed)
		m.seq++
	})
	_, err = f.WriteAt(b.buf, last[1])
	check(t, err)
}

// TestImpossibleRecords: valid frames that no writer could have written, by invariant 4 of the package.
func TestImpossibleRecords(t *testing.T) {
	g := &Group{id: 3}
	for name, c := range map[string]struct {
		fill func(*batch)
		want string
	}{
		"copy of what is there": {func(b *batch) { b.addCopy(g, entry(10, 10, 5)) }, "ok"},
		"deletions of nothing":  {func(b *batch) { b.addDelete(g, kindDeleteSuffix, 99); b.addDelete(g, kindDeletePrefix, 0) }, "ok"},
		"entry again":           {func(b *batch) { b.addEntries(g, run(10, 10, 10, 5), nil) }, "corrupt"},
		"copy with other term":  {func(b *batch) { b.addCopy(g, entry(10, 11, 5)) }, "corrupt"},
		"hole above":            {func(b *batch) { b.addCopy(g, entry(32, 1, 5)) }, "corrupt"},
		"far above":             {func(b *batch) { b.addCopy(g, entry(1<<60, 1, 5)) }, "corrupt"},
		"hole below":            {func(b *batch) { b.addDelete(g, kindDeletePrefix, 5); b.addCopy(g, entry(3, 3, 5)) }, "corrupt"},
		"index 0":               {func(b *batch) { b.addCopy(g, entry(0, 3, 5)) }, "corrupt"},
	} {
		dir, _ := smallLog(t)
		b := newBatch(buffers{})
		c.fill(b)
		addFrame(t, dir, b)
		if got := outcome(t, dir); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestBytesBehindATornFrame: only one batch is ever under way, so nothing can be behind it.
func TestBytesBehindATornFrame(t *testing.T) {
	from, frames := smallLog(t)
	setMark(t, from, func(m *mark) { m.clean, m.seq = false, m.seq-1 })
	seg, last := lastFrame(frames)
	flipBits(t, segmentPath(from, seg), last[1]-3, 1)
	dir := filepath.Join(t.TempDir(), "d")
	for at, want := range map[int64]string{last[1] - 1: "ok", last[1] + 5: "corrupt", 4<<10 - 1: "corrupt"} {
		reset(t, from, dir)
		flipBits(t, segmentPath(dir, seg), at, 0x40)
		if got := outcome(t, dir); got != want {
			t.Errorf("byte %d behind a frame %v: %s", at, last, got)
		}
	}
}

package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// pass is the work that is left in one segment: what was live in it when it was surveyed. What dies meanwhile is skipped, and nothing
// becomes live in a sealed segment.
type pass struct {
	seg  *segment
	todo []liveRef
}

// liveRef is a cell that is set by a record in the segment.
type liveRef struct {
	g     *Group
	index uint64 // of an entry, or 0
	key   string
}

// collect removes what is dead at the front, and copies one pass from the oldest segment if that is worth it.
func (l *Log) collect() error {
	l.dropDead()
	seg := l.victim()
	if seg == nil || !l.canCopy(seg) {
		l.setCollects(false)
		return nil
	}
	if l.pass.seg != seg {
		l.pass = pass{seg: seg, todo: l.survey(seg)}
	}
	b, err := l.fillPass()
	if err != nil {
		return err
	}
	if len(b.ops) == 0 {
		return fmt.Errorf("wal: segment %d has %d live records that nothing points to", seg.number, seg.live)
	}
	return l.commitPass(b)
}

// canCopy saves the survey when there is no space for a pass.
func (l *Log) canCopy(seg *segment) bool {
	need := frameHeaderBytes + min(seg.liveBytes, l.passBytes())
	return l.peekNext() != nil || l.fits(need, l.mayReserve(seg))
}

// mayReserve says whether copies from a segment may use the reserve: user calls come first, but a copy that frees a
// segment may take half of what is left.
func (l *Log) mayReserve(seg *segment) bool { return seg.liveBytes*2 <= l.current().room() }

func (l *Log) passBytes() int64 { return min(passMaxBytes, l.o.SegmentBytes/8) }

// commitPass writes the copies. Without space it gives up until there is some.
func (l *Log) commitPass(b *batch) error {
	seg, err := l.place(int64(len(b.buf)), l.mayReserve(l.pass.seg), false)
	if errors.Is(err, ErrNoSpace) {
		l.pass = pass{}
		l.setCollects(false)
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.put(b, seg); err != nil {
		return err
	}
	l.mu.Lock()
	l.stats.CopiedBytes += uint64(len(b.buf) - frameHeaderBytes)
	l.mu.Unlock()
	l.dropDead()
	return nil
}

func (l *Log) setCollects(on bool) {
	l.mu.Lock()
	l.collects = on
	l.mu.Unlock()
}

// dropDead hands the sealed segments at the front with nothing live over to the keeper. The current segment stays: it has
// the last batch.
func (l *Log) dropDead() {
	n := 0
	for n < len(l.segs)-1 && l.segs[n].live == 0 {
		n++
	}
	if n == 0 {
		return
	}
	l.mu.Lock()
	l.dead = append(l.dead, l.segs[:n]...)
	l.segs = slices.Clone(l.segs[n:])
	l.mu.Unlock()
	l.pass = pass{}
	l.wakeKeeper()
}

// victim is the oldest segment, if copying its live records is worth it (see the package comment).
func (l *Log) victim() *segment {
	sealed := l.segs[:len(l.segs)-1]
	if len(sealed) == 0 {
		return nil
	}
	oldest := sealed[0]
	if oldest.liveBytes*8 <= oldest.size.Load() {
		return oldest
	}
	var live, written int64
	for _, s := range sealed {
		live += s.liveBytes
		written += s.off
	}
	if len(sealed) >= 4 && live*2 <= written {
		return oldest
	}
	return nil
}

// survey finds what is live in a segment. It looks at groups until it has found as many records as are live.
func (l *Log) survey(seg *segment) []liveRef {
	todo := make([]liveRef, 0, seg.live)
	for _, g := range l.sortedGroups() {
		if len(todo) == seg.live {
			break
		}
		todo = g.survey(seg, todo)
	}
	return todo
}

// survey needs no lock: only the writer changes groups.
func (g *Group) survey(seg *segment, todo []liveRef) []liveRef {
	var keys []string
	for key, v := range g.keys {
		if v.seg == seg {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		todo = append(todo, liveRef{g: g, key: key})
	}
	for i := range g.entries.slots {
		if len(todo) == seg.live {
			break
		}
		if g.entries.slots[i].seg == seg {
			todo = append(todo, liveRef{g: g, index: g.entries.first + uint64(i)})
		}
	}
	return todo
}

// fillPass takes live records from the list until the pass is full. At least one is taken if there is one.
func (l *Log) fillPass() (*batch, error) {
	limit := int(l.passBytes())
	b := newBatch(buffers{})
	for len(l.pass.todo) > 0 && len(b.buf) < limit {
		ref := l.pass.todo[0]
		l.pass.todo = l.pass.todo[1:]
		if err := l.copyLive(b, ref); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (l *Log) copyLive(b *batch, ref liveRef) error {
	if ref.index == 0 {
		if v, ok := ref.g.keys[ref.key]; ok && v.seg == l.pass.seg {
			b.addSet(ref.g, ref.key, v.val)
		}
		return nil
	}
	s := ref.g.entries.at(ref.index)
	if s == nil || s.seg != l.pass.seg {
		return nil
	}
	var e raft.Log
	if err := s.read(ref.g.id, ref.index, &e); err != nil {
		return err
	}
	b.addCopy(ref.g, &e)
	return nil
}

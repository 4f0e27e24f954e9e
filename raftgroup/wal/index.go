package wal

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// slot says where the record of one entry is.
type slot struct {
	seg  *segment  // nil: a hole, while replaying only
	log  *raft.Log // the entry itself while it is cached
	term uint64
	off  uint32 // of the record in the segment
	size uint32 // of the whole record
}

func (s *slot) retain() {
	s.seg.live++
	s.seg.liveBytes += int64(s.size)
}

func (s *slot) release() {
	if s.seg != nil {
		s.seg.live--
		s.seg.liveBytes -= int64(s.size)
	}
	*s = slot{}
}

// maxHoles bounds what a replay allocates for entries that are still to come as copies.
const maxHoles = 1 << 24

// entries is the index of a group: a slot for each index from first on, without holes except while replaying. Removing a prefix
// costs as much as is removed, amortized: the rest is moved only when it is the smaller part.
type entries struct {
	first uint64 // index of slots[0]; meaningless when there are none
	slots []slot
	spent int // slots in front of slots[0] that the array still holds
}

func (e *entries) empty() bool { return len(e.slots) == 0 }

// bounds returns 0, 0 when there is nothing.
func (e *entries) bounds() (first, last uint64) {
	if e.empty() {
		return 0, 0
	}
	return e.first, e.first + uint64(len(e.slots)) - 1
}

// at returns nil when there is no such entry.
func (e *entries) at(index uint64) *slot {
	if e.empty() || index < e.first || index-e.first >= uint64(len(e.slots)) {
		return nil
	}
	if s := &e.slots[index-e.first]; s.seg != nil {
		return s
	}
	return nil
}

// put sets a cell, and leaves holes between it and the rest if it must.
func (e *entries) put(index uint64, s slot) error {
	s.retain()
	if e.empty() {
		e.first, e.slots, e.spent = index, append(e.slots, s), 0
		return nil
	}
	if index < e.first {
		return e.putBefore(index, s)
	}
	at := index - e.first
	if at > uint64(len(e.slots))+maxHoles {
		return fmt.Errorf("entry %d is far behind entry %d", index, e.first+uint64(len(e.slots)))
	}
	for at > uint64(len(e.slots)) {
		e.slots = append(e.slots, slot{})
	}
	if at == uint64(len(e.slots)) {
		e.slots = append(e.slots, s)
		return nil
	}
	e.slots[at].release()
	e.slots[at] = s
	return nil
}

func (e *entries) putBefore(index uint64, s slot) error {
	n := e.first - index
	if n > maxHoles {
		return fmt.Errorf("entry %d is far before entry %d", index, e.first)
	}
	slots := make([]slot, n, n+uint64(len(e.slots)))
	e.slots, e.first, e.spent = append(slots, e.slots...), index, 0
	e.slots[0] = s
	return nil
}

// deletePrefix clears all cells at or below index.
func (e *entries) deletePrefix(index uint64) {
	if e.empty() || index < e.first {
		return
	}
	n := min(index-e.first, uint64(len(e.slots))-1) + 1
	e.dropFront(int(n))
	e.trim()
}

// deleteSuffix clears all cells at or above index.
func (e *entries) deleteSuffix(index uint64) {
	if _, last := e.bounds(); e.empty() || index > last {
		return
	}
	keep := uint64(0)
	if index > e.first {
		keep = index - e.first
	}
	e.dropBack(int(keep))
	e.trim()
}

func (e *entries) clear() { e.dropBack(0) }

func (e *entries) dropFront(n int) {
	for i := range e.slots[:n] {
		e.slots[i].release()
	}
	e.slots, e.first, e.spent = e.slots[n:], e.first+uint64(n), e.spent+n
	if e.spent > len(e.slots)+64 {
		e.slots, e.spent = append([]slot(nil), e.slots...), 0
	}
}

func (e *entries) dropBack(keep int) {
	for i := range e.slots[keep:] {
		e.slots[keep+i].release()
	}
	e.slots = e.slots[:keep]
}

// trim takes holes off both ends, so that no entry means no slot.
func (e *entries) trim() {
	for len(e.slots) > 0 && e.slots[0].seg == nil {
		e.slots, e.first, e.spent = e.slots[1:], e.first+1, e.spent+1
	}
	for len(e.slots) > 0 && e.slots[len(e.slots)-1].seg == nil {
		e.slots = e.slots[:len(e.slots)-1]
	}
}

// hole returns an index without an entry between first and last.
func (e *entries) hole() (uint64, bool) {
	for i := range e.slots {
		if e.slots[i].seg == nil {
			return e.first + uint64(i), true
		}
	}
	return 0, false
}

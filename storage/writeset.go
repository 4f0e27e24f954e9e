package storage

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// write is one key of a batch: set to a value, or deleted.
type write struct {
	key, value []byte
	deleted    bool
}

// writeSet is what a batch has written so far: the last write per key. It is a slice with an open-addressing hash table of
// positions beside it, which costs a third of a map[string] here, as no key is copied to a string.
type writeSet struct {
	writes []write
	table  []uint32 // position in writes plus 1; 0 is free. The length is a power of two
	order  []uint32 // positions of the first len(order) writes by key; the rest is not sorted yet
	bytes  int
	sets   int // writes that are not deletions
}

const (
	tableMin = 64
	// entryOverhead is what Badger counts for a key beside its bytes (Txn.checkSize).
	entryOverhead = 12
)

var hashSeed = maphash.MakeSeed()

// find is the position of a key in writes, or -1, and the place in the table where it is or belongs.
func (s *writeSet) find(key []byte) (pos int, at uint32) {
	if len(s.table) == 0 {
		return -1, 0
	}
	mask := uint32(len(s.table) - 1)
	for at = uint32(maphash.Bytes(hashSeed, key)) & mask; ; at = (at + 1) & mask {
		p := s.table[at]
		if p == 0 {
			return -1, at
		}
		if bytes.Equal(s.writes[p-1].key, key) {
			return int(p - 1), at
		}
	}
}

// put adds a write, or replaces that of the same key.
func (s *writeSet) put(w write) {
	if len(s.table) < 2*(len(s.writes)+1) {
		s.grow()
	}
	pos, at := s.find(w.key)
	if pos < 0 {
		s.writes = append(s.writes, w)
		s.table[at] = uint32(len(s.writes))
		s.account(w, 1)
		return
	}
	s.account(s.writes[pos], -1)
	s.writes[pos] = w
	s.account(w, 1)
}

func (s *writeSet) account(w write, sign int) {
	s.bytes += sign * (len(w.key) + len(w.value) + entryOverhead)
	if !w.deleted {
		s.sets += sign
	}
}

func (s *writeSet) grow() {
	s.table = make([]uint32, max(tableMin, 2*len(s.table)))
	for i := range s.writes {
		_, at := s.find(s.writes[i].key)
		s.table[at] = uint32(i + 1)
	}
}

// sorted is the positions of all writes in the order of their keys. The slice is not changed later.
func (s *writeSet) sorted() []uint32 {
	if len(s.order) == len(s.writes) {
		return s.order
	}
	tail := make([]uint32, 0, len(s.writes)-len(s.order))
	for i := len(s.order); i < len(s.writes); i++ {
		tail = append(tail, uint32(i))
	}
	slices.SortFunc(tail, func(a, b uint32) int { return bytes.Compare(s.writes[a].key, s.writes[b].key) })
	s.order = s.merge(s.order, tail)
	return s.order
}

func (s *writeSet) merge(a, b []uint32) []uint32 {
	if len(a) == 0 {
		return b
	}
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if bytes.Compare(s.writes[a[0]].key, s.writes[b[0]].key) < 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// within is the part of sorted whose keys are in [lo, hi), where an empty hi is no bound.
func (s *writeSet) within(lo, hi []byte) []uint32 {
	all := s.sorted()
	at := func(key []byte) int {
		i, _ := slices.BinarySearchFunc(all, key, func(p uint32, k []byte) int { return bytes.Compare(s.writes[p].key, k) })
		return i
	}
	from, to := at(lo), len(all)
	if len(hi) > 0 {
		to = max(from, at(hi))
	}
	return all[from:to]
}

// reset empties the set and keeps its memory, unless that has grown large.
func (s *writeSet) reset() {
	if len(s.table) > 1<<14 {
		*s = writeSet{}
		return
	}
	clear(s.writes)
	clear(s.table)
	*s = writeSet{writes: s.writes[:0], table: s.table}
}

package storage

import (
	"bytes"
	"encoding/binary"

	"github.com/dgraph-io/badger/v4/y"

	"kahuna/op"
)

// Span is a table: bytes between two keys, both of which are in it.
type Span struct {
	First, Last []byte
	Bytes       int64
}

// Spans are all tables. What is in memtables only is not among them.
func (s *Store) Spans() ([]Span, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	tables := s.db.Tables()
	spans := make([]Span, len(tables))
	for i, t := range tables {
		spans[i] = Span{y.ParseKey(t.Left), y.ParseKey(t.Right), int64(t.OnDiskSize)}
	}
	return spans, nil
}

// Share estimates how many of a span's bytes belong to the positions from from to to, the zero to being the end. Within a span names
// are taken to be evenly spread; one with several kinds of keys or spaces is taken to be spread over all slots.
func (s *Span) Share(from, to op.Position) int64 {
	head := len(s.First) > 2 && len(s.Last) > 2 && bytes.Equal(s.First[:2], s.Last[:2])
	if !head || !positioned(Kind(s.First[0])) {
		first, end := int64(from.Slot), int64(to.Slot)
		if to.Slot == 0 && len(to.Name) == 0 {
			end = op.Slots
		}
		return s.Bytes * max(0, end-first) / op.Slots
	}
	lo, hi := Bounds(Kind(s.First[0]), op.Space(s.First[1]), from, to)
	if bytes.Compare(hi, s.First) <= 0 || bytes.Compare(lo, s.Last) > 0 {
		return 0
	}
	return int64(float64(s.Bytes) * (s.place(hi) - s.place(lo)))
}

func positioned(k Kind) bool {
	return k == KindCurrent || k == KindHistory || k == KindIntent || k == KindChunk
}

// place is about where in a span a key lies: 0 before it, 1 behind it.
func (s *Span) place(key []byte) float64 {
	switch {
	case bytes.Compare(key, s.First) <= 0:
		return 0
	case bytes.Compare(key, s.Last) > 0:
		return 1
	}
	common := 0
	for common < len(s.First) && common < len(s.Last) && s.First[common] == s.Last[common] {
		common++
	}
	first, last := digits(s.First[common:]), digits(s.Last[common:])
	if last <= first {
		return 0.5
	}
	return (digits(key[min(common, len(key)):]) - first) / (last - first)
}

// digits are the first bytes of a key as a number.
func digits(key []byte) float64 {
	var b [8]byte
	copy(b[:], key)
	return float64(binary.BigEndian.Uint64(b[:]))
}

// Slots are the first and the last slot that a span may have something of.
func (s *Span) Slots() (first, last uint16) {
	if len(s.First) < 4 || len(s.Last) < 4 || !bytes.Equal(s.First[:2], s.Last[:2]) || !positioned(Kind(s.First[0])) {
		return 0, op.Slots - 1
	}
	return binary.BigEndian.Uint16(s.First[2:]), binary.BigEndian.Uint16(s.Last[2:])
}

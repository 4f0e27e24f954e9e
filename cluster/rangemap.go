package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"kahuna/fsm"
	"kahuna/op"
)

const rangeMapFormat = 1

var errRangeMap = errors.New("cluster: the range map can't be read")

// Range is a partition with the part of the ordered space [slot][name] that it owns.
type Range struct {
	ID    uint32
	Epoch uint64
	From  op.Position
	To    op.Position // the zero Position: to the end
}

// RangeMap is all ranges in order. They tile the space: each begins where the one before it ends. It is never changed; a new
// one replaces it.
type RangeMap struct {
	Version uint64
	Ranges  []Range
}

// NewRangeMap divides the slots evenly among n partitions, numbered from 1.
func NewRangeMap(n int) *RangeMap {
	m := &RangeMap{Version: 1, Ranges: make([]Range, n)}
	for i := range m.Ranges {
		m.Ranges[i] = Range{ID: uint32(i + 1), Epoch: 1, From: slotStart(i * op.Slots / n), To: slotStart((i + 1) * op.Slots / n)}
	}
	return m
}

func slotStart(slot int) op.Position {
	if slot == op.Slots {
		return op.Position{}
	}
	return op.Position{Slot: uint16(slot)}
}

// Find gives the range that a name lies in.
func (m *RangeMap) Find(name []byte) *Range {
	return &m.Ranges[m.at(op.Position{Slot: op.Slot(name), Name: name})]
}

// route gives the partition that an operation goes to.
func (m *RangeMap) route(o op.Op) uint32 {
	if op.OfMeta(o) {
		return fsm.Meta
	}
	switch o := o.(type) {
	case *op.Scan:
		return m.Ranges[m.at(o.From)].ID
	case *op.Count:
		return m.Ranges[m.at(o.From)].ID
	case *op.DeleteRange:
		return m.Ranges[m.at(o.From)].ID
	case *op.Check:
		if len(o.Reads) == 0 {
			return m.Ranges[m.at(o.Scans[0].From)].ID
		}
	}
	return m.Find(o.Target().Key).ID
}

func (m *RangeMap) at(p op.Position) int {
	return sort.Search(len(m.Ranges), func(i int) bool { return fsm.Compare(m.Ranges[i].From, p) > 0 }) - 1
}

// Parts cuts a range of positions at the borders of partitions: each part lies in one of them.
func (m *RangeMap) Parts(from, to op.Position) (parts []Range) {
	for i := m.at(from); i < len(m.Ranges); i++ {
		r := m.Ranges[i]
		if !fsm.IsEnd(to) && fsm.Compare(r.From, to) >= 0 {
			break
		}
		if fsm.Compare(r.From, from) < 0 {
			r.From = from
		}
		if !fsm.IsEnd(to) && (fsm.IsEnd(r.To) || fsm.Compare(to, r.To) < 0) {
			r.To = to
		}
		parts = append(parts, r)
	}
	return parts
}

// Check tells what is wrong with a map that does not tile the space.
func (m *RangeMap) Check() error {
	at := op.Position{}
	for i, r := range m.Ranges {
		if fsm.Compare(r.From, at) != 0 || i > 0 && fsm.IsEnd(at) {
			return fmt.Errorf("cluster: range %d of the map begins at slot %d and not at %d", r.ID, r.From.Slot, at.Slot)
		}
		at = r.To
	}
	if len(m.Ranges) == 0 || !fsm.IsEnd(at) {
		return errors.New("cluster: the range map does not reach the end of the space")
	}
	return nil
}

// Encode gives the map's stored form.
func (m *RangeMap) Encode() []byte {
	b := binary.AppendUvarint([]byte{rangeMapFormat}, m.Version)
	b = binary.AppendUvarint(b, uint64(len(m.Ranges)))
	for _, r := range m.Ranges {
		b = binary.AppendUvarint(b, uint64(r.ID))
		b = binary.AppendUvarint(b, r.Epoch)
		for _, p := range []op.Position{r.From, r.To} {
			b = op.AppendPosition(b, p)
		}
	}
	return b
}

// DecodeRangeMap reads the stored form, which stays the caller's, and checks the map.
func DecodeRangeMap(b []byte) (*RangeMap, error) {
	if len(b) == 0 || b[0] != rangeMapFormat {
		return nil, errRangeMap
	}
	r := op.NewReader(bytes.Clone(b[1:]))
	m := &RangeMap{Version: r.Uint()}
	for n := r.Uint(); n > 0 && !r.Bad(); n-- {
		m.Ranges = append(m.Ranges, Range{ID: r.Uint32(), Epoch: r.Uint(), From: r.Position(), To: r.Position()})
	}
	if r.End() != nil {
		return nil, errRangeMap
	}
	return m, m.Check()
}

package cluster

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"kahuna/fsm"
	"kahuna/op"
)

func TestRangeMapTilesTheSpace(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7, 16, 1024} {
		m := NewRangeMap(n)
		if err := m.Check(); err != nil {
			t.Fatal(n, err)
		}
		again, err := DecodeRangeMap(m.Encode())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%d partitions: %v, %v", n, again, err)
		}
		for i := range 1000 {
			name := fmt.Appendf(nil, "name-%d", i)
			r := m.Find(name)
			s := fsm.State{From: r.From, To: r.To}
			if !s.Owns(name) {
				t.Fatalf("%s was sent to a partition that does not own it", name)
			}
		}
	}
}

// A map with a gap or an overlap is refused, as is any cut of its bytes.
func TestBadRangeMaps(t *testing.T) {
	gap, overlap, short := NewRangeMap(3), NewRangeMap(3), NewRangeMap(3)
	gap.Ranges[1].From.Slot++
	overlap.Ranges[1].From.Slot--
	short.Ranges = short.Ranges[:2]
	for name, m := range map[string]*RangeMap{"gap": gap, "overlap": overlap, "short": short, "empty": {}} {
		if _, err := DecodeRangeMap(m.Encode()); err == nil {
			t.Errorf("a map with a %s was taken", name)
		}
	}
	b := NewRangeMap(3).Encode()
	for i := range b {
		if _, err := DecodeRangeMap(b[:i]); err == nil {
			t.Errorf("a map cut to %d bytes was taken", i)
		}
	}
}

// Parts of a range tile it, and each lies in one partition.
func TestRangeMapParts(t *testing.T) {
	m := NewRangeMap(5)
	at := func() op.Position {
		p := op.Position{Slot: uint16(rand.IntN(op.Slots))}
		if rand.IntN(2) == 0 {
			p.Name = []byte{byte(rand.IntN(256))}
		}
		return p
	}
	for range 1000 {
		from, to := at(), at()
		if fsm.Compare(from, to) >= 0 {
			to = op.Position{}
		}
		place := from
		for _, p := range m.Parts(from, to) {
			if fsm.Compare(p.From, place) != 0 {
				t.Fatalf("a part of %v..%v begins at %v and not at %v", from, to, p.From, place)
			}
			if r := m.Ranges[m.at(p.From)]; r.ID != p.ID || !fsm.IsEnd(r.To) && (fsm.IsEnd(p.To) || fsm.Compare(p.To, r.To) > 0) {
				t.Fatalf("part %v reaches past partition %v", p, r)
			}
			place = p.To
		}
		if fsm.Compare(place, to) != 0 {
			t.Fatalf("the parts of %v..%v end at %v", from, to, place)
		}
	}
}

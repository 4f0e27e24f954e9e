package cluster

import (
	"fmt"
	"testing"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

func atSlot(n uint16) op.Position { return op.Position{Slot: n} }

// What a partition says of its range corrects a map that is behind, and only that.
func TestLearnedRanges(t *testing.T) {
	known := placement.Range{ID: 1, Epoch: 1, From: atSlot(10), To: atSlot(50), Replicas: []string{"a"}}
	child := func(id uint32, from, to uint16, epoch uint64) fsm.Child {
		return fsm.Child{ID: id, From: atSlot(from), To: atSlot(to), Epoch: epoch}
	}
	for name, test := range map[string]struct {
		said extent
		want string // id, from, epoch of each
	}{
		"one split":             {extent{1, 2, atSlot(10), atSlot(30), []fsm.Child{child(2, 30, 50, 2)}}, "1 10 2, 2 30 2"},
		"two splits":            {extent{1, 3, atSlot(10), atSlot(20), []fsm.Child{child(2, 30, 50, 2), child(3, 20, 30, 3)}}, "1 10 3, 3 20 3, 2 30 2"},
		"nothing new":           {extent{1, 1, atSlot(10), atSlot(50), nil}, ""},
		"of an earlier epoch":   {extent{1, 1, atSlot(10), atSlot(30), []fsm.Child{child(2, 30, 50, 2)}}, ""},
		"a fence":               {extent{1, 2, atSlot(10), atSlot(50), nil}, ""},
		"a gap":                 {extent{1, 3, atSlot(10), atSlot(20), []fsm.Child{child(2, 30, 50, 2)}}, ""},
		"beyond what was known": {extent{1, 2, atSlot(10), atSlot(30), []fsm.Child{child(2, 30, 60, 2)}}, ""},
		"another beginning":     {extent{1, 2, atSlot(11), atSlot(30), []fsm.Child{child(2, 30, 50, 2)}}, ""},
		"children of before":    {extent{1, 2, atSlot(10), atSlot(30), []fsm.Child{child(2, 30, 50, 1)}}, ""},
	} {
		got := ""
		parts, news := test.said.parts(&known)
		for i, p := range parts {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprint(p.ID, p.From.Slot, p.Epoch)
			if last := i == len(parts)-1; last && p.To.Slot != 50 || !last && p.To.Slot != parts[i+1].From.Slot || len(p.Born) > 0 {
				t.Errorf("%s: %+v", name, parts)
			}
		}
		if want := test.want; news != (want != "") || news && got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, news, want)
		}
		back, err := decodeExtent(test.said.append(nil))
		if err != nil || fmt.Sprint(*back) != fmt.Sprint(test.said) {
			t.Errorf("%s: %+v became %+v, %v", name, test.said, back, err)
		}
	}
}

func TestClaimsOfReplicasInTheMaking(t *testing.T) {
	var c claims
	if !c.take(1, atSlot(10), atSlot(20)) || c.take(2, atSlot(19), atSlot(30)) || !c.take(2, atSlot(20), atSlot(30)) {
		t.Error("a range was given twice, or not at all")
	}
	if !c.take(1, atSlot(10), atSlot(15)) || !c.take(3, atSlot(15), atSlot(20)) {
		t.Error("what a partition gave up is kept")
	}
	c.release(2)
	if !c.take(4, atSlot(20), op.Position{}) {
		t.Error("what was released is kept")
	}
}

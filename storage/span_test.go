package storage

import (
	"testing"

	"kahuna/op"
)

// Shares of neighbouring ranges add up to the whole, and are about what lies in each.
func TestSpanShares(t *testing.T) {
	key := func(slot int, name string) []byte {
		lo, _ := Bounds(KindCurrent, op.SpaceKey, op.Position{Slot: uint16(slot), Name: []byte(name)}, op.Position{})
		return lo
	}
	due := AppendDue(nil, 5, op.Name{})
	for name, test := range map[string]struct {
		span Span
		cut  op.Position
		want int64 // of 1000, below the cut
	}{
		"in the middle":     {Span{key(0, ""), key(8192, ""), 1000}, op.Position{Slot: 4096}, 500},
		"at a quarter":      {Span{key(4000, "x"), key(8000, "x"), 1000}, op.Position{Slot: 5000}, 250},
		"before it":         {Span{key(4000, "x"), key(8000, "x"), 1000}, op.Position{Slot: 4000}, 0},
		"behind it":         {Span{key(4000, "x"), key(8000, "x"), 1000}, op.Position{Slot: 8001}, 1000},
		"inside of a slot":  {Span{key(7, "user:0"), key(7, "user:8"), 1000}, op.Position{Slot: 7, Name: []byte("user:4")}, 500},
		"many kinds":        {Span{key(0, ""), due, 1000}, op.Position{Slot: 4096}, 250},
		"one name":          {Span{key(7, "a"), key(7, "a"), 1000}, op.Position{Slot: 7, Name: []byte("b")}, 1000},
		"kinds without any": {Span{due, due, 1000}, op.Position{Slot: 8192}, 500},
	} {
		below, above := test.span.Share(op.Position{}, test.cut), test.span.Share(test.cut, op.Position{})
		if below < test.want-20 || below > test.want+20 || below+above < 998 || below+above > 1000 {
			t.Errorf("%s: %d and %d, want %d", name, below, above, test.want)
		}
	}
}

package partition

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"kahuna/mvcc"
	"kahuna/op"
)

// TestRecentNames sees that the notes have every name that changed above a timestamp, or say that they may not: with room for some
// changes only, with timestamps out of order, as those of transactions are, and with names that fit no block.
func TestRecentNames(t *testing.T) {
	answered, refused := 0, 0
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var n recent
		n.init(recentBlocks * (40 + rng.IntN(200)))
		var c handClock
		whole := span{}
		if !n.begin(7, whole, 0) {
			t.Fatal("no notes are taken")
		}
		n.complete(7, 1000)
		newest := map[string]op.Timestamp{}
		for i := range 600 {
			name := fmt.Sprintf("%d/%0*d", rng.IntN(3), 1+rng.IntN(6), rng.IntN(50))
			if rng.IntN(200) == 0 {
				name += fmt.Sprintf("%0300d", 1)
			}
			at := op.Timestamp(1001 + 10*i - rng.IntN(25))
			newest[name] = max(newest[name], at)
			n.observe([]mvcc.Change{{Name: op.Name{Space: op.SpaceKey, Key: []byte(name)}, Record: mvcc.Record{TS: at}}}, &c)
			ask := &op.Changes{Space: op.SpaceKey, Prefix: []byte("1/"), Since: max(at-op.Timestamp(rng.IntN(3000)), 990)}
			names, ok := n.names(7, whole, ask)
			if !ok {
				refused++
				continue
			}
			answered++
			has := map[string]bool{}
			for _, one := range names {
				if has[string(one.Key)] {
					t.Errorf("%s is there twice", one.Key)
				}
				has[string(one.Key)] = true
			}
			for name, at := range newest {
				if name[:2] == "1/" && at > ask.Since && !has[name] {
					t.Fatalf("seed %d: %s changed at %d and is not there since %d", seed, name, at, ask.Since)
				}
			}
		}
	}
	if answered < 1000 || refused < 1000 {
		t.Errorf("%d answers and %d refusals", answered, refused)
	}
}

// TestRecentBounds sees when the notes say nothing: before it is known from where on they are complete, for another term, for a range
// that has grown, and when nobody has asked for long.
func TestRecentBounds(t *testing.T) {
	var n recent
	n.init(1 << 16)
	half := span{to: op.Position{Slot: 8000}}
	ask := &op.Changes{Space: op.SpaceKey, Since: 100}
	want := func(what string, term uint64, s span, want bool) {
		t.Helper()
		if _, ok := n.names(term, s, ask); ok != want {
			t.Errorf("%s: %v", what, ok)
		}
	}
	want("before all", 1, half, false)
	n.begin(1, half, 0)
	want("before it is complete", 1, half, false)
	n.complete(1, 100)
	want("complete", 1, half, true)
	want("a narrower range", 1, span{from: op.Position{Slot: 10}, to: op.Position{Slot: 20}}, true)
	want("a wider range", 1, span{}, false)
	want("another term", 2, half, false)
	ask.Since = 99
	want("from before", 1, half, false)
	ask.Since = 100
	c := handClock{mono: recentKept + time.Second}
	n.observe([]mvcc.Change{{Name: op.Name{Key: []byte("k")}, Record: mvcc.Record{TS: 101}}}, &c)
	want("unused for long", 1, half, false)
	if n.noting.Load() {
		t.Error("notes are taken for nobody")
	}
}

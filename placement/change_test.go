package placement

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kahuna/op"
)

// shape writes down ranges, steps in flight and cooldowns.
func shape(s *State) string {
	var b strings.Builder
	for _, r := range s.Ranges {
		fmt.Fprintf(&b, "%d@%d%s e%d ", r.ID, r.From.Slot, r.From.Name, r.Epoch)
	}
	for _, c := range s.Changes {
		fmt.Fprintf(&b, "| %s %d/%d %v ", c.Kind, c.Range, c.Other, c.Cancel)
	}
	for _, c := range s.Cooldowns {
		fmt.Fprintf(&b, "| cool %d%s to %d ", c.Range, c.Node, c.Until)
	}
	return fmt.Sprintf("%s| next %d", b.String(), s.NextID)
}

// A split and a merge, from their beginnings to both of their ends.
func TestChanges(t *testing.T) {
	start := newState(t, 3, 2, 3)
	mergeable(start)
	now := op.Timestamp(10)
	do := func(s *State, steps ...Step) *State {
		t.Helper()
		next, err := Apply(s, steps, now)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	end := func(s *State, fn func(*State) error) *State {
		t.Helper()
		next := s.Clone()
		if err := errors.Join(fn(next), next.Check()); err != nil {
			t.Fatal(err)
		}
		return next
	}
	at := op.Position{Slot: 7, Name: []byte("b")}
	split := do(start, Step{Kind: Split, Range: 1, At: at})
	expect(t, "splitting", shape(split), "1@0 e1 2@8192 e1 | split 1/3 false | next 4")
	done := end(split, func(s *State) error { return s.EndSplit(1, 20) })
	expect(t, "split", shape(done), "1@0 e2 3@7b e2 2@8192 e1 | cool 1 to 20 | cool 3 to 20 | next 4")
	dropped := end(do(split, Step{Kind: Cancel, Range: 1}), func(s *State) error { return s.Drop(1, 20) })
	expect(t, "not split", shape(dropped), "1@0 e1 2@8192 e1 | cool 1 to 20 | next 4")
	merge := do(done, Step{Kind: Merge, Range: 3, Other: 2})
	expect(t, "merging", shape(merge), "1@0 e2 3@7b e2 2@8192 e1 | merge 3/2 false | cool 1 to 20 | cool 3 to 20 | next 4")
	expect(t, "cancelled", shape(do(merge, Step{Kind: Cancel, Range: 2})), strings.Replace(shape(merge), "false", "true", 1))
	merged := end(merge, func(s *State) error { return s.EndMerge(3, 30) })
	expect(t, "merged", shape(merged), "1@0 e2 3@7b e3 | cool 1 to 20 | cool 3 to 30 | next 4")
	now = 20
	again := do(merged, Step{Kind: Split, Range: 3, At: op.Position{Slot: 9}})
	expect(t, "ids are new", shape(again), "1@0 e2 3@7b e3 | split 3/4 false | cool 3 to 30 | next 5")
	for _, err := range []error{again.EndMerge(3, 1), again.EndSplit(1, 1), again.Drop(1, 1), again.Drop(4, 1)} {
		if err == nil {
			t.Error("what is not on its way was ended")
		}
	}
	expect(t, "refused", shape(again), "1@0 e2 3@7b e3 | split 3/4 false | cool 3 to 30 | next 5")
}

// A range that is split or merged keeps its nodes, and is in nothing else.
func TestOneChangeAtATime(t *testing.T) {
	start := newState(t, 4, 3, 3)
	mergeable(start)
	move := Step{Kind: SetReplicas, Range: 2, From: "n00", To: "n02"}
	split := Step{Kind: Split, Range: 2, At: op.Position{Slot: 6000}}
	merge, other := Step{Kind: Merge, Range: 1, Other: 2}, Step{Kind: Merge, Range: 2, Other: 3}
	for _, first := range []Step{move, split, merge, other} {
		s, err := Apply(start, []Step{first}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, second := range []Step{move, split, merge, other} {
			_, err := Apply(s, []Step{second}, 1)
			if back := first.Kind == SetReplicas && second.Kind == SetReplicas; err == nil || !back && !errors.Is(err, ErrBusy) && !strings.Contains(err.Error(), "same nodes") {
				t.Errorf("%v, then %v: %v", first, second, err)
			}
		}
	}
	moved, err := Apply(start, []Step{move, {Kind: SetReplicas, Range: 2, From: "n02", To: "n00", Until: 9}}, 1)
	if err != nil || shape(moved) != "1@0 e1 2@5461 e1 3@10922 e1 | set replicas 2/0 false | cool 2n02 to 9 | next 4" {
		t.Errorf("turned back: %s, %v", shape(moved), err)
	}
	if s, err := Apply(moved, []Step{{Kind: Settle, Range: 2, Until: 8}}, 9); err != nil || shape(s) != "1@0 e1 2@5461 e1 3@10922 e1 | cool 2 to 8 | next 4" {
		t.Errorf("settled: %s, %v", shape(s), err)
	}
}

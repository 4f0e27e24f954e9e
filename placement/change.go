package placement

import (
	"fmt"
	"slices"

	"kahuna/op"
)

// Change is a step in flight: it is decided, the leaders of the groups carry it out, and the State says so until it is over. A
// range is in one at a time, also as the Other. Whoever finds a Change carries it on from where it is; nobody has to know who began it.
//
//   - SetReplicas: Range.Replicas is what is wanted already. Plan ends it when the group has come to that.
//   - Split: Other is the child's id, taken from NextID for this. The parent's log says whether it happened. Only the leader of the
//     parent ends it, with EndSplit when the log has it, or with Drop when it is sure that the log never will.
//   - Merge: Range takes over Other, its right neighbour, which has its replicas on the same nodes. Only the leader of the left one
//     ends it, with EndMerge or Drop, as its log has decided.
type Change struct {
	Kind     StepKind // SetReplicas, Split or Merge
	Range    uint32   // that changes; a split's parent; a merge's left one
	Other    uint32   // a split's child, which is no range yet; a merge's right one; else 0
	At       op.Position
	From, To string       // of SetReplicas, as in the Step
	Began    op.Timestamp // 0: not known
	Cancel   bool         // of a Split or a Merge: it is no longer wanted, and to be dropped if that can still be
}

// Cooldown keeps Plan from what it would do of its own accord with a range. Repairs are not kept.
type Cooldown struct {
	Range uint32
	Node  string // only this node gets no replica of it; empty: the range is neither split nor merged nor moved
	Until op.Timestamp
}

// Limits of what is kept beside the ranges.
const (
	MaxChanges   = 4096
	MaxCooldowns = 4096
)

// Change is the step in flight that a range is in, on either side; nil: none. It points into s.
func (s *State) Change(id uint32) *Change {
	for i := range s.Changes {
		if c := &s.Changes[i]; c.Range == id || c.Kind == Merge && c.Other == id {
			return c
		}
	}
	return nil
}

// Awaits tells whether a partition that is no range may come to be one, or be one by now: it is the child of a split in flight, or its
// id is of a later time than the State.
func (s *State) Awaits(id uint32) bool {
	return id >= s.NextID || slices.ContainsFunc(s.Changes, func(c Change) bool { return c.Kind == Split && c.Other == id })
}

// EndSplit has the range map follow a split that the parent's log has: the child begins at At, on the nodes that the parent was wanted
// on. Neither is changed by the planner before cool.
func (s *State) EndSplit(parent uint32, cool op.Timestamp) error {
	c, at, err := s.ending(Split, parent)
	if err != nil {
		return err
	}
	left := &s.Ranges[at]
	left.Epoch++
	left.Born = nil
	right := *left
	right.ID, right.From, right.Replicas = c.Other, c.At, slices.Clone(left.Replicas)
	left.To = c.At
	s.Ranges = slices.Insert(s.Ranges, at+1, right)
	s.end(c, cool)
	return nil
}

// EndMerge has the range map follow a merge that the left one's log has: the right one is no more, and its id is never used again.
func (s *State) EndMerge(left uint32, cool op.Timestamp) error {
	c, at, err := s.ending(Merge, left)
	if err != nil {
		return err
	}
	l, r := &s.Ranges[at], &s.Ranges[at+1]
	l.Epoch, l.To, l.Born = max(l.Epoch, r.Epoch)+1, r.To, nil
	s.Ranges = slices.Delete(s.Ranges, at+1, at+2)
	s.end(c, cool)
	return nil
}

// Drop ends a split or a merge that did not happen and never will. The id of a child is lost.
func (s *State) Drop(id uint32, cool op.Timestamp) error {
	c := s.Change(id)
	if c == nil || c.Kind == SetReplicas || c.Range != id {
		return fmt.Errorf("placement: partition %d is not being split or merged", id)
	}
	s.end(c, cool)
	return nil
}

func (s *State) ending(kind StepKind, id uint32) (c *Change, at int, err error) {
	c = s.Change(id)
	at = slices.IndexFunc(s.Ranges, func(r Range) bool { return r.ID == id })
	if c == nil || c.Kind != kind || c.Range != id || at < 0 {
		return nil, 0, fmt.Errorf("placement: there is no %s of partition %d", kind, id)
	}
	return c, at, nil
}

// end removes a change and lets its ranges rest until then.
func (s *State) end(c *Change, until op.Timestamp) {
	over := *c
	s.Changes = slices.DeleteFunc(s.Changes, func(c Change) bool { return c.Range == over.Range })
	s.cool(Cooldown{Range: over.Range, Until: until})
	if over.Kind != SetReplicas && s.FindRange(over.Other) != nil {
		s.cool(Cooldown{Range: over.Other, Until: until})
	}
}

// cool adds a cooldown, in the place of one for the same range and node. Of too many the one that ends first goes.
func (s *State) cool(c Cooldown) {
	if c.Until == 0 {
		return
	}
	s.Cooldowns = slices.DeleteFunc(s.Cooldowns, func(old Cooldown) bool { return old.Range == c.Range && old.Node == c.Node })
	if len(s.Cooldowns) >= MaxCooldowns {
		first := slices.MinFunc(s.Cooldowns, func(a, b Cooldown) int { return int(a.Until) - int(b.Until) })
		s.Cooldowns = slices.DeleteFunc(s.Cooldowns, func(old Cooldown) bool { return old == first })
	}
	s.Cooldowns = append(s.Cooldowns, c)
}

// warm forgets cooldowns that are over, and those of ranges and nodes that are no more.
func (s *State) warm(now op.Timestamp, places map[uint32]int) {
	s.Cooldowns = slices.DeleteFunc(s.Cooldowns, func(c Cooldown) bool {
		_, there := places[c.Range]
		n := s.Node(c.Node)
		return c.Until <= now || !there || c.Node != "" && (n == nil || n.Status == Left)
	})
}

func (s *State) begin(c Change) error {
	if old := s.Change(c.Range); old != nil && (c.Kind != SetReplicas || old.Kind != SetReplicas) {
		return fmt.Errorf("%w: partition %d, since a %s began", ErrBusy, c.Range, old.Kind)
	}
	s.Changes = slices.DeleteFunc(s.Changes, func(old Change) bool { return old.Range == c.Range })
	if len(s.Changes) >= MaxChanges {
		return fmt.Errorf("%w: %d steps are in flight, more are not allowed", ErrBusy, len(s.Changes))
	}
	at, _ := slices.BinarySearchFunc(s.Changes, c.Range, func(c Change, id uint32) int { return int(c.Range) - int(id) })
	s.Changes = slices.Insert(s.Changes, at, c)
	return nil
}

package placement

import (
	"fmt"
	"slices"

	"kahuna/fsm"
	"kahuna/op"
)

// checkInFlight checks the steps in flight and the cooldowns.
func (s *State) checkInFlight() error {
	switch {
	case len(s.Changes) > MaxChanges:
		return fmt.Errorf("%d steps are in flight, more than %d", len(s.Changes), MaxChanges)
	case len(s.Cooldowns) > MaxCooldowns:
		return fmt.Errorf("there are %d cooldowns, more than %d", len(s.Cooldowns), MaxCooldowns)
	case len(s.Changes) == 0 && len(s.Cooldowns) == 0:
		return nil
	}
	places := s.places()
	in := make(map[uint32]bool, len(s.Changes))
	for i := range s.Changes {
		c := &s.Changes[i]
		at, found := places[c.Range]
		if !found || i > 0 && s.Changes[i-1].Range >= c.Range || in[c.Range] {
			return fmt.Errorf("the step in flight of partition %d is not the only one, not in order, or of no partition", c.Range)
		}
		in[c.Range] = true
		if c.Kind == Merge {
			if in[c.Other] {
				return fmt.Errorf("partition %d is in two steps", c.Other)
			}
			in[c.Other] = true
		}
		if err := s.checkChange(c, at, places); err != nil {
			return fmt.Errorf("the %s of partition %d: %w", c.Kind, c.Range, err)
		}
	}
	for _, c := range s.Cooldowns {
		if c.Until == 0 || c.Until > op.MaxTimestamp || c.Node != "" && s.Node(c.Node) == nil {
			return fmt.Errorf("the cooldown of partition %d, node %q, does not end or is of no node", c.Range, c.Node)
		}
	}
	return nil
}

func (s *State) checkChange(c *Change, at int, places map[uint32]int) error {
	r := &s.Ranges[at]
	bare := c.Other == 0 && fsm.IsEnd(c.At) && !c.Cancel
	switch {
	case c.Began > op.MaxTimestamp:
		return fmt.Errorf("it began at %d", c.Began)
	case c.Kind != SetReplicas && (c.From != "" || c.To != ""):
		return fmt.Errorf("it is of the nodes %q and %q", c.From, c.To)
	case c.Kind == SetReplicas && bare:
		for _, id := range []string{c.From, c.To} {
			if id != "" && s.Node(id) == nil {
				return fmt.Errorf("%q is no node", id)
			}
		}
		return nil
	case c.Kind == Split:
		_, taken := places[c.Other]
		inside := fsm.Compare(c.At, r.From) > 0 && (fsm.IsEnd(r.To) || fsm.Compare(c.At, r.To) < 0) && c.At.Slot < op.Slots
		if taken || c.Other == fsm.Meta || c.Other >= s.NextID || !inside {
			return fmt.Errorf("the child %d is there, was given no id, or does not begin inside of its parent", c.Other)
		}
		return nil
	case c.Kind == Merge && fsm.IsEnd(c.At):
		if at+1 >= len(s.Ranges) || s.Ranges[at+1].ID != c.Other || !slices.Equal(r.Replicas, s.Ranges[at+1].Replicas) {
			return fmt.Errorf("partition %d is not the next one, or not on the same nodes", c.Other)
		}
		return nil
	}
	return fmt.Errorf("it has the kind %d, or what does not belong to it", c.Kind)
}

package sequencer

import "kahuna/op"

// state adds to a sequence where it can go on. Distances are unsigned: the whole of int64 is 2^64 - 1 wide, and |MinInt64|
// is 2^63.
type state struct{ op.SeqState }

// take finds a run of count values (at least 1) and goes to its end. It is false, and nothing is taken, when there is none.
//
// A sequence that cycles goes back to Min (with a negative Step to Max) when the run does not fit before the end. A run never
// goes over the end of a cycle, so up to count-1 values are left out of that cycle; it is false only when not even a whole
// cycle has room for it.
func (s *state) take(count uint32) (first, last int64, ok bool) {
	steps := uint64(count) - 1
	first, ok = s.next()
	if !ok || s.room(first) < steps {
		if first = s.origin(); !s.Cycle || s.room(first) < steps {
			return 0, 0, false
		}
	}
	last = first + int64(steps)*s.Step // within the bounds, so right even where the product wraps
	s.Last, s.Started = last, true
	return first, last, true
}

// next is the value after the last one; false when it is past the end.
func (s *state) next() (int64, bool) {
	if !s.Started {
		return s.Start, true
	}
	return s.Last + s.Step, s.nextInBounds(s.Last)
}

// origin is where a cycle begins.
func (s *state) origin() int64 {
	if s.Step > 0 {
		return s.Min
	}
	return s.Max
}

// room is how many steps there are from a value within the bounds to the end.
func (s *state) room(from int64) uint64 {
	if s.Step > 0 {
		return (uint64(s.Max) - uint64(from)) / uint64(s.Step)
	}
	return (uint64(from) - uint64(s.Min)) / -uint64(s.Step)
}

// stands tells whether value can be the last one given out: it or the one after it is within the bounds.
func (s *state) stands(value int64) bool { return s.inBounds(value) || s.nextInBounds(value) }

func (s *state) inBounds(value int64) bool { return s.Min <= value && value <= s.Max }

func (s *state) nextInBounds(value int64) bool {
	next, ok := add(value, s.Step)
	return ok && s.inBounds(next)
}

// behind tells whether setting the sequence to value would move it against its direction.
func (s *state) behind(value int64) bool {
	if s.Started {
		return ahead(s.Last, value, s.Step)
	}
	next, ok := add(value, s.Step)
	return ok && ahead(s.Start, next, s.Step)
}

// ahead tells whether a lies beyond b in the direction of step.
func ahead(a, b, step int64) bool {
	if step > 0 {
		return a > b
	}
	return a < b
}

// add is a+b, or false when that is no int64.
func add(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

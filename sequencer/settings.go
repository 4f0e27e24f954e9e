package sequencer

import (
	"math"

	"kahuna/op"
)

// Asked is what a SEQCREATE names of a sequence's settings; nil is what it leaves to the defaults.
type Asked struct {
	Start, Step, Min, Max *int64
	Cycle                 bool
}

// Settings fills in the defaults. Step is 1 and Start is 1, or what is nearest to 1 within the bounds that were named. The
// bound that the sequence moves away from, where a cycle begins again, is Start; the other one is the end of int64.
// The result may still be invalid.
func (a Asked) Settings() op.SeqSettings {
	s := op.SeqSettings{Step: or(a.Step, 1), Cycle: a.Cycle}
	s.Start = or(a.Start, min(max(1, or(a.Min, math.MinInt64)), or(a.Max, math.MaxInt64)))
	if s.Step > 0 {
		s.Min, s.Max = or(a.Min, s.Start), or(a.Max, math.MaxInt64)
	} else {
		s.Min, s.Max = or(a.Min, math.MinInt64), or(a.Max, s.Start)
	}
	return s
}

// Valid tells whether settings make a sequence: a Step, and Start within the bounds.
func Valid(s op.SeqSettings) bool { return s.Step != 0 && s.Min <= s.Start && s.Start <= s.Max }

func or(p *int64, otherwise int64) int64 {
	if p != nil {
		return *p
	}
	return otherwise
}

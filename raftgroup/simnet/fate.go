package simnet

import "time"

// fate is what becomes of a request, drawn when it is sent.
type fate struct {
	lost  bool
	delay time.Duration
	again bool          // handled a second time
	late  time.Duration // when
	cutAt int64         // byte at which the stream breaks; -1: it does not
	asEnd bool          // and whether that looks like its end
}

// draw decides about a request. The number of values drawn does not depend on the faults that are set, so that a run with one fault
// less stays comparable.
func (n *Net) draw(from, to string, stream bool) fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := fate{
		lost:  n.rng.Float64() < n.faults.Loss || n.cut[way{from, to}],
		again: n.rng.Float64() < n.faults.Duplicate && !stream,
		late:  time.Duration(n.rng.Int64N(int64(lateMax))),
		delay: n.delay(),
		cutAt: -1,
	}
	cut, offset := n.rng.Float64() < n.faults.StreamCut, n.rng.Int64N(1<<(1+n.rng.IntN(cutOffsetMax)))
	f.asEnd = n.rng.IntN(2) == 0
	if cut && stream {
		f.cutAt = offset
	}
	n.count(f, stream)
	return f
}

func (n *Net) count(f fate, stream bool) {
	if stream {
		n.counters.Streams++
	} else {
		n.counters.Calls++
	}
	if f.lost {
		n.counters.Lost++
	}
}

// delay returns how long one message takes. n.mu is held.
func (n *Net) delay() time.Duration {
	part := n.rng.Float64()
	if n.faults.DelayMax <= 0 {
		return latency
	}
	n.counters.Delayed++
	return latency + time.Duration(part*float64(n.faults.DelayMax))
}

// drawAnswer decides about the answer to a request that was handled.
func (n *Net) drawAnswer(from, to string) (lost bool, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lost = n.rng.Float64() < n.faults.AnswerLoss || n.cut[way{from, to}]
	if lost {
		n.counters.AnswersLost++
	}
	return lost, n.delay()
}

func (n *Net) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[way{from, to}]
}

func (n *Net) note(counter func(*Counters)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	counter(&n.counters)
}

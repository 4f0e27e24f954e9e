// Package hist holds a log-linear histogram of durations in the manner of HdrHistogram: 64 equal steps per power of two,
// so a quantile is off by less than 1/128 of its value, in 16 KiB and without allocation per recorded value.
package hist

import (
	"math"
	"math/bits"
	"time"
)

const (
	stepBits = 6
	steps    = 1 << stepBits
	// maxBits bounds what is told apart: 2^36 ns is 68 s; anything longer counts as that long.
	maxBits = 36
	buckets = (maxBits-stepBits-1)*steps + 2*steps
)

// Histogram counts durations in nanoseconds. The zero value is empty and ready. It is not safe for concurrent use: each
// worker fills its own, and they are merged afterwards.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    uint64
}

// Record counts n events of duration d. A negative d counts as 0.
func (h *Histogram) Record(d time.Duration, n uint64) {
	v := uint64(max(d, 0))
	h.counts[index(v)] += n
	h.total += n
	if n > 0 {
		h.max = max(h.max, v)
	}
}

// Merge adds all of o's events to h.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is the number of events recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest duration recorded, exactly; 0 when empty.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile is the smallest recorded duration that at least the part q (0 to 1) of all events does not exceed, to within
// the width of a step; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(math.Ceil(q*float64(h.total))), 1)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(min(middle(i), h.max))
		}
	}
	return time.Duration(h.max)
}

// index is the bucket of v: values below 2*steps have one each, above that each power of two has steps of them.
func index(v uint64) int {
	v = min(v, 1<<maxBits-1)
	if v < 2*steps {
		return int(v)
	}
	shift := bits.Len64(v) - stepBits - 1
	return shift*steps + int(v>>shift)
}

// middle is the value in the middle of bucket i.
func middle(i int) uint64 {
	if i < 2*steps {
		return uint64(i)
	}
	shift := i/steps - 1
	low := uint64(i-shift*steps) << shift
	return low + uint64(1)<<shift/2
}

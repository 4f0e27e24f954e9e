package hist

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestIndexIsContinuousAndMonotone(t *testing.T) {
	last := -1
	for _, v := range boundaries() {
		i := index(v)
		if i < last || i >= buckets {
			t.Fatalf("index(%d) = %d after %d, %d buckets", v, i, last, buckets)
		}
		last = i
	}
	if last != buckets-1 {
		t.Errorf("the largest value falls into bucket %d, want %d", last, buckets-1)
	}
}

func TestMiddleLiesInItsOwnBucket(t *testing.T) {
	for i := range buckets {
		if got := index(middle(i)); got != i {
			t.Fatalf("index(middle(%d)) = %d", i, got)
		}
	}
}

func TestQuantilesAgreeWithSortedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]time.Duration, 20_000)
	for i := range values {
		values[i] = time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		h.Record(values[i], 1)
	}
	slices.Sort(values)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(values[int(q*float64(len(values)))-1])
		got := float64(h.Quantile(q))
		if got < want*(1-1.0/steps) || got > want*(1+1.0/steps) {
			t.Errorf("quantile %v = %v, want %v within one step", q, got, want)
		}
	}
}

func TestMergeEqualsRecordingIntoOne(t *testing.T) {
	var a, b, both Histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		both.Record(d, 2)
		if i%3 == 0 {
			a.Record(d, 2)
		} else {
			b.Record(d, 2)
		}
	}
	a.Merge(&b)
	if a != both {
		t.Error("the merged histogram differs from the one that saw everything")
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram must answer 0")
	}
	h.Record(-time.Second, 1)
	h.Record(time.Hour, 1)
	if h.Count() != 2 || h.Max() != time.Hour || h.Quantile(0.5) != 0 {
		t.Errorf("count %d, max %v, p50 %v", h.Count(), h.Max(), h.Quantile(0.5))
	}
}

func boundaries() []uint64 {
	out := []uint64{0}
	for shift := range 40 {
		for _, step := range []uint64{0, 1, 31, 63} {
			base := uint64(1) << shift
			out = append(out, base+base*step/steps)
		}
	}
	slices.Sort(out)
	return out
}

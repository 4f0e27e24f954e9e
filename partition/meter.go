package partition

import (
	"bytes"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

// Load is what is asked of a partition, as its leader has measured.
type Load struct {
	Measured     time.Duration // for how long, with the same leader and the same range; 0: nothing is known yet
	OpsPerSec    float64       // reads and writes; what was long ago counts less: half as much after loadHalfLife
	WritesPerSec float64
	HalfLoad     op.Position // about as much is asked of what is below as of what is at and above; the zero Position: no such point is known
}

const (
	loadHalfLife = 20 * time.Second
	// sampleEvery is how many operations go by for one that is looked at.
	sampleEvery = 64
	// samplesAtOnce is how many names are kept between two measurements, and samplesKept over all: of as many moments, then.
	samplesAtOnce = 16
	samplesKept   = 512
	samplesMin    = 128
	// sampleBytes is how much of a name is kept: a border between two names need not be one of them.
	sampleBytes = 128
)

// meter measures what is asked of a replica. Operations cost nothing but a comparison, for their counts are there anyway; one of many leaves
// its name, in a place that the next measurement has emptied. The rest is for one goroutine.
type meter struct {
	fresh [samplesAtOnce]atomic.Pointer[op.Position]

	term, epoch uint64
	since, at   time.Duration
	ops, writes uint64  // counted when it was at
	opsRate     float64 // decayed,
	writesRate  float64
	weight      float64 // and how much of all the past they are of
	kept        []op.Position
	next        int
}

// sample keeps the name of one of some operations, when it is the turn of one: before and after are how many there were.
func (m *meter) sample(before, after uint64, ops []op.Op) {
	turn := after / sampleEvery
	if turn == before/sampleEvery || len(ops) == 0 {
		return
	}
	place := &m.fresh[turn%samplesAtOnce]
	if place.Load() != nil {
		return
	}
	// Which one it is must not go with the places that names have in batches.
	if p, ok := positionOf(ops[(turn*0x9e3779b1>>8)%uint64(len(ops))]); ok {
		place.Store(&p)
	}
}

// positionOf is where an operation begins; a copy.
func positionOf(o op.Op) (op.Position, bool) {
	switch o := o.(type) {
	case *op.Scan:
		return op.Position{Slot: o.From.Slot, Name: bytes.Clone(o.From.Name)}, true
	case *op.Count, *op.DeleteRange, *op.Collect, *op.SafePoint, *op.Check, *op.CheckSince, *op.Advise, *op.Changes:
		return op.Position{}, false
	}
	if op.OfMeta(o) {
		return op.Position{}, false
	}
	key := o.Target().Key
	return op.Position{Slot: op.Slot(key), Name: bytes.Clone(key[:min(len(key), sampleBytes)])}, len(key) > 0
}

// Measure measures what is asked of the partition since the last time, at now on the monotonic clock: call it about once a second, from one
// goroutine. Where at least halfFrom operations per second are, it looks for the point that halves them.
func (r *Replica) Measure(now time.Duration, halfFrom uint64) Load {
	state := r.machine.State()
	ops, writes := r.stats.reads.Load(), r.stats.ops.Load()
	m := &r.meter
	if term := r.term.Load(); term == 0 || term != m.term || state.Epoch != m.epoch {
		m.restart(term, state.Epoch, now, ops+writes, writes)
		return Load{}
	}
	m.advance(now, ops+writes, writes)
	m.keep(&state)
	l := Load{Measured: m.at - m.since, OpsPerSec: m.opsRate / max(m.weight, 1e-9), WritesPerSec: m.writesRate / max(m.weight, 1e-9)}
	if l.OpsPerSec >= float64(halfFrom) {
		l.HalfLoad = halfPoint(m.kept)
	}
	return l
}

func (m *meter) restart(term, epoch uint64, now time.Duration, ops, writes uint64) {
	m.term, m.epoch, m.since, m.at, m.ops, m.writes = term, epoch, now, now, ops, writes
	m.opsRate, m.writesRate, m.weight, m.kept, m.next = 0, 0, 0, nil, 0
	for i := range m.fresh {
		m.fresh[i].Store(nil)
	}
}

func (m *meter) advance(now time.Duration, ops, writes uint64) {
	passed := now - m.at
	if passed <= 0 {
		return
	}
	old := math.Exp2(-passed.Seconds() / loadHalfLife.Seconds())
	m.opsRate = m.opsRate*old + (1-old)*float64(ops-m.ops)/passed.Seconds()
	m.writesRate = m.writesRate*old + (1-old)*float64(writes-m.writes)/passed.Seconds()
	m.weight = m.weight*old + 1 - old
	m.at, m.ops, m.writes = now, ops, writes
}

// keep takes the new samples of names that are in the range, in the place of the oldest.
func (m *meter) keep(s *fsm.State) {
	for i := range m.fresh {
		p := m.fresh[i].Swap(nil)
		switch {
		case p == nil || fsm.Compare(*p, s.From) < 0 || !fsm.IsEnd(s.To) && fsm.Compare(*p, s.To) >= 0:
		case len(m.kept) < samplesKept:
			m.kept = append(m.kept, *p)
		default:
			m.kept[m.next%samplesKept] = *p
			m.next++
		}
	}
}

// halfPoint is the border that halves the samples: one between slots, where that is not much worse than the best between names. It is the
// zero Position when there are few samples, or when less than a quarter would be on one side, as when most are of one name.
func halfPoint(samples []op.Position) op.Position {
	if len(samples) < samplesMin {
		return op.Position{}
	}
	sorted := slices.Clone(samples)
	slices.SortFunc(sorted, fsm.Compare)
	var name, slot op.Position
	nameOff, slotOff := len(sorted), len(sorted)
	for i := 1; i < len(sorted); i++ {
		if fsm.Compare(sorted[i-1], sorted[i]) == 0 {
			continue
		}
		off := max(2*i-len(sorted), len(sorted)-2*i)
		if off < nameOff {
			name, nameOff = sorted[i], off
		}
		if off < slotOff && sorted[i-1].Slot != sorted[i].Slot {
			slot, slotOff = op.Position{Slot: sorted[i].Slot}, off
		}
	}
	if slotOff <= len(sorted)/4 || slotOff <= nameOff {
		name, nameOff = slot, slotOff
	}
	if nameOff > len(sorted)/2 {
		return op.Position{}
	}
	return name
}

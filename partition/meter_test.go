package partition

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

// Rates are right soon after they began to be measured, follow changes, and come to nothing.
func TestRates(t *testing.T) {
	var m meter
	m.restart(3, 1, time.Hour, 1000, 500)
	now, ops, writes := time.Hour, uint64(1000), uint64(500)
	rate := func(seconds int, opsPerSec, writesPerSec uint64) (float64, float64) {
		for range seconds {
			now, ops, writes = now+time.Second, ops+opsPerSec, writes+writesPerSec
			m.advance(now, ops, writes)
		}
		return m.opsRate / m.weight, m.writesRate / m.weight
	}
	near := func(what string, got, want float64) {
		if got < want-1-want/100 || got > want+1+want/100 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	all, some := rate(2, 900, 300)
	near("at once", all, 900)
	near("writes", some, 300)
	all, _ = rate(300, 90, 30)
	near("less", all, 90)
	all, _ = rate(20, 0, 0)
	near("half as much after the half-life", all, 45)
	m.advance(now, ops+1000, writes)
	near("no time has passed", m.opsRate/m.weight, all)
}

func TestHalfPoint(t *testing.T) {
	at := func(slot int, name string) op.Position { return op.Position{Slot: uint16(slot), Name: []byte(name)} }
	many := func(fn func(i int) op.Position) (all []op.Position) {
		for i := range 400 {
			all = append(all, fn(i))
		}
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all
	}
	for name, test := range map[string]struct {
		samples []op.Position
		want    op.Position
	}{
		"few":                     {many(func(i int) op.Position { return at(i, "x") })[:samplesMin-1], op.Position{}},
		"many slots":              {many(func(i int) op.Position { return at(i, "x") }), op.Position{Slot: 200}},
		"one name":                {many(func(i int) op.Position { return at(7, "x") }), op.Position{}},
		"mostly one name":         {many(func(i int) op.Position { return at(7*number(i < 310), "x") }), op.Position{}},
		"two names of a slot":     {many(func(i int) op.Position { return at(7, string(rune('a'+i%2))) }), at(7, "b")},
		"many names of a slot":    {many(func(i int) op.Position { return at(7, fmt.Sprint(1000+i)) }), at(7, "1200")},
		"a slot border that will": {many(func(i int) op.Position { return at(7+number(i >= 160), fmt.Sprint(1000+i)) }), op.Position{Slot: 8}},
		"a slot border far off":   {many(func(i int) op.Position { return at(7+number(i >= 110), fmt.Sprint(1000+i)) }), at(8, "1200")},
		"a quarter is one name":   {many(func(i int) op.Position { return at(7+number(i >= 300), "x") }), op.Position{Slot: 8}},
	} {
		if got := halfPoint(test.samples); fsm.Compare(got, test.want) != 0 {
			t.Errorf("%s: %d %q, want %d %q", name, got.Slot, got.Name, test.want.Slot, test.want.Name)
		}
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Of many operations a few names are taken, of all alike, however they come in batches, and only so many between two looks. Those that are not
// in the range any more are left out.
func TestSamples(t *testing.T) {
	var m meter
	var count uint64
	batch := make([]op.Op, 10)
	for i := range batch {
		batch[i] = &op.Get{Key: fmt.Appendf(nil, "k%d", i)}
	}
	whole := fsm.State{}
	for range 100 {
		for range 1000 {
			m.sample(count, count+10, batch)
			count += 10
		}
		before := len(m.kept)
		if m.keep(&whole); len(m.kept) > before+samplesAtOnce {
			t.Fatalf("%d new samples", len(m.kept)-before)
		}
	}
	seen := map[string]int{}
	for _, p := range m.kept {
		seen[string(p.Name)]++
	}
	if len(m.kept) != samplesKept || len(seen) != 10 {
		t.Errorf("%d samples: %v", len(m.kept), seen)
	}
	for name, n := range seen {
		if n < samplesKept/40 {
			t.Errorf("%s is %d of %d samples", name, n, len(m.kept))
		}
	}
	m.sample(count, count+sampleEvery, []op.Op{&op.Scan{}, &op.Set{Key: []byte("x")}}[1:])
	narrow := fsm.State{From: op.Position{Slot: 1}, To: op.Position{Slot: 2}}
	m.kept = nil
	if m.keep(&narrow); len(m.kept) != 0 {
		t.Errorf("kept %v", m.kept)
	}
}

// Who samples and who takes the samples need no lock.
func TestSamplesAtOnce(t *testing.T) {
	var m meter
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for i := range uint64(10_000) {
				m.sample(i, i+1, []op.Op{&op.Get{Key: []byte("k")}})
			}
		})
	}
	for range 100 {
		m.keep(&fsm.State{})
	}
	running.Wait()
	m.keep(&fsm.State{})
	if len(m.kept) == 0 {
		t.Error("no samples")
	}
}

func BenchmarkSample(b *testing.B) {
	var m meter
	ops := []op.Op{&op.Get{Key: []byte("some:key")}}
	for i := range uint64(b.N) {
		m.sample(i, i+1, ops)
	}
}

package sequencer

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// TestAgainstModel runs random operations on sequences, small ones and ones at the borders of int64, and compares every answer
// with a model in numbers that have no borders.
func TestAgainstModel(t *testing.T) {
	taken := 0
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := &game{t: t, r: rand.New(rand.NewPCG(seed, 2)), v: viewtest.New()}
			g.create()
			for range 60 {
				g.step()
			}
			taken += g.taken
		})
	}
	if taken < 1000 {
		t.Errorf("only %d runs were taken: the test does too little", taken)
	}
}

type game struct {
	t       *testing.T
	r       *rand.Rand
	v       *viewtest.View
	s       op.SeqSettings
	last    *big.Int // nil: none yet
	moved   bool     // set, or cycled: values may come again
	given   map[int64]bool
	answers map[string]op.Result
	counts  map[string]uint32
	taken   int
}

var name = []byte("s")

func (g *game) run(o op.Op) op.Result { return viewtest.Exec(g.t, g.v, o, Run) }

// border is a number that is small, or near one of the ends of int64.
func border(r *rand.Rand) int64 {
	n := r.Int64N(21) - 10
	switch r.IntN(6) {
	case 0:
		return math.MaxInt64 - max(n, -n)
	case 1:
		return math.MinInt64 + max(n, -n)
	case 2:
		return n << 59
	}
	return n
}

func (g *game) create() {
	for {
		g.s = op.SeqSettings{Start: border(g.r), Step: border(g.r), Min: border(g.r), Max: border(g.r), Cycle: g.r.IntN(3) == 0}
		res := g.run(&op.SeqCreate{Name: name, SeqSettings: g.s})
		valid := g.s.Step != 0 && g.s.Min <= g.s.Start && g.s.Start <= g.s.Max
		if res.Done != valid || (res.Status == op.BadSettings) == valid {
			g.t.Fatalf("%+v: %+v", g.s, res)
		}
		if valid {
			break
		}
	}
	g.last, g.moved, g.given = nil, g.s.Cycle, map[int64]bool{}
	g.answers, g.counts = map[string]op.Result{}, map[string]uint32{}
}

func (g *game) step() {
	switch n := g.r.IntN(20); {
	case n < 14:
		g.next()
	case n < 18:
		g.set()
	case n < 19:
		if res := g.run(&op.SeqCreate{Name: name, SeqSettings: g.s}); !res.Done {
			g.t.Fatalf("created again with the same settings: %+v", res)
		}
	case g.r.IntN(3) == 0:
		if res := g.run(&op.SeqDelete{Name: name}); !res.Done {
			g.t.Fatalf("deleted: %+v", res)
		}
		g.create()
	}
}

func (g *game) next() {
	o := &op.SeqNext{Name: name, Count: 1 + uint32(g.r.IntN(4))}
	switch g.r.IntN(8) {
	case 0:
		o.Count = math.MaxUint32 - uint32(g.r.IntN(3))
	case 1, 2:
		o.Idem, o.IdemMilli = []byte{'a' + byte(g.r.IntN(3))}, 1<<40
	}
	res := g.run(o)
	if was, ok := g.answers[string(o.Idem)]; ok {
		g.repeated(o, was, res)
		return
	}
	first, last, ok := g.expect(o.Count)
	if !ok {
		if res.Status != op.Exhausted {
			g.t.Fatalf("%d of %+v after %v: %+v, want exhausted", o.Count, g.s, g.last, res)
		}
		return
	}
	if res.Status != op.OK || !first.IsInt64() || res.Int != first.Int64() || res.Last != last.Int64() || res.Step != g.s.Step {
		g.t.Fatalf("%d of %+v after %v: %+v, want %v to %v", o.Count, g.s, g.last, res, first, last)
	}
	g.last = last
	g.taken++
	g.once(res, o.Count)
	if len(o.Idem) > 0 {
		g.answers[string(o.Idem)], g.counts[string(o.Idem)] = res, o.Count
	}
}

func (g *game) repeated(o *op.SeqNext, was, res op.Result) {
	if g.counts[string(o.Idem)] != o.Count {
		if res.Status != op.IdemMismatch {
			g.t.Fatalf("another count with a known key: %+v", res)
		}
		return
	}
	if res.Int != was.Int || res.Last != was.Last || res.Step != was.Step {
		g.t.Fatalf("the same key got %+v and then %+v", was, res)
	}
}

// once notes the values of a run, none of which may have been given before.
func (g *game) once(res op.Result, count uint32) {
	if g.moved || count > 10 {
		return
	}
	for i := range int64(count) {
		value := res.Int + i*res.Step
		if g.given[value] {
			g.t.Fatalf("%d was given twice", value)
		}
		g.given[value] = true
	}
}

// expect is the run that the rules give.
func (g *game) expect(count uint32) (first, last *big.Int, ok bool) {
	step, low, high := big.NewInt(g.s.Step), big.NewInt(g.s.Min), big.NewInt(g.s.Max)
	fits := func() bool {
		last = new(big.Int).Mul(step, big.NewInt(int64(count)-1))
		last.Add(last, first)
		in := func(x *big.Int) bool { return x.Cmp(low) >= 0 && x.Cmp(high) <= 0 }
		return in(first) && in(last)
	}
	first = big.NewInt(g.s.Start)
	if g.last != nil {
		first = new(big.Int).Add(g.last, step)
	}
	if fits() {
		return first, last, true
	}
	if first = low; g.s.Step < 0 {
		first = high
	}
	return first, last, g.s.Cycle && fits()
}

func (g *game) set() {
	o := &op.SeqSet{Name: name, Value: border(g.r), Force: g.r.IntN(2) == 0}
	if g.last != nil && g.r.IntN(2) == 0 {
		o.Value = g.last.Int64() + g.r.Int64N(5) - 2
	}
	res := g.run(o)
	in := func(x *big.Int) bool { return x.Cmp(big.NewInt(g.s.Min)) >= 0 && x.Cmp(big.NewInt(g.s.Max)) <= 0 }
	value := big.NewInt(o.Value)
	next := new(big.Int).Add(value, big.NewInt(g.s.Step))
	behind := g.last != nil && value.Cmp(g.last)*sign(g.s.Step) < 0 ||
		g.last == nil && next.Cmp(big.NewInt(g.s.Start))*sign(g.s.Step) < 0
	want := op.OK
	switch {
	case !in(value) && !in(next):
		want = op.OutOfBounds
	case behind && !o.Force:
		want = op.WrongDirection
	}
	if res.Status != want || res.Done != (want == op.OK) {
		g.t.Fatalf("%+v of %+v after %v: %+v, want status %d", o, g.s, g.last, res, want)
	}
	if res.Done {
		g.last, g.moved = value, g.moved || behind
	}
}

func sign(n int64) int {
	if n < 0 {
		return -1
	}
	return 1
}

// TestDefaults tells what a SEQCREATE gets that does not name everything.
func TestDefaults(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		asked Asked
		want  op.SeqSettings
	}{
		{Asked{}, op.SeqSettings{Start: 1, Step: 1, Min: 1, Max: math.MaxInt64}},
		{Asked{Step: n(-1)}, op.SeqSettings{Start: 1, Step: -1, Min: math.MinInt64, Max: 1}},
		{Asked{Start: n(-5)}, op.SeqSettings{Start: -5, Step: 1, Min: -5, Max: math.MaxInt64}},
		{Asked{Max: n(10), Cycle: true}, op.SeqSettings{Start: 1, Step: 1, Min: 1, Max: 10, Cycle: true}},
		{Asked{Min: n(100)}, op.SeqSettings{Start: 100, Step: 1, Min: 100, Max: math.MaxInt64}},
		{Asked{Min: n(0), Step: n(-2), Max: n(8)}, op.SeqSettings{Start: 1, Step: -2, Min: 0, Max: 8}},
		{Asked{Start: n(5), Min: n(1), Max: n(9)}, op.SeqSettings{Start: 5, Step: 1, Min: 1, Max: 9}},
	} {
		if got := c.asked.Settings(); got != c.want || !Valid(got) {
			t.Errorf("%+v: %+v", c.want, got)
		}
	}
}

func TestDamagedStateIsAFault(t *testing.T) {
	v := viewtest.New()
	put := func(n op.Name, value []byte) {
		t.Helper()
		v.Begin(v.Now() + 1)
		if _, err := v.Put(n, mvcc.Record{Type: mvcc.TypeString, Value: value}); err != nil {
			t.Fatal(err)
		}
		v.Begin(v.Now() + 1)
	}
	next := &op.SeqNext{Name: name, Count: 1, Idem: []byte("k"), IdemMilli: 1}
	put(op.Seq(name), op.AppendSeq(nil, &op.SeqState{SeqSettings: Asked{}.Settings()}))
	put(idem(next), []byte("short"))
	if _, _, err := Run(v, next); err == nil {
		t.Error("a damaged answer is taken")
	}
	for what, s := range map[string]op.SeqState{
		"without a step":    {},
		"out of its bounds": {SeqSettings: Asked{}.Settings(), Last: -1, Started: true},
	} {
		put(op.Seq(name), op.AppendSeq(nil, &s))
		if _, _, err := Run(v, &op.SeqGet{Name: name}); err == nil {
			t.Errorf("a sequence %s is taken", what)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(op.AppendSeq(nil, &op.SeqState{SeqSettings: Asked{}.Settings(), Last: 7, Started: true, Created: 5}), uint32(3))
	f.Fuzz(func(t *testing.T, b []byte, count uint32) {
		s, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: b})
		if err != nil || count == 0 {
			return
		}
		st := state{s}
		if first, last, ok := st.take(count); ok && (!st.inBounds(first) || !st.inBounds(last)) {
			t.Errorf("%d of %+v is %d to %d", count, s, first, last)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(answer{created: 1, count: 2, first: 3, last: 4, step: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAnswer(b); err == nil && string(a.encode()) != string(b) {
			t.Errorf("%x is %+v", b, a)
		}
	})
}

package check

import (
	"testing"

	"kahuna/op"
)

func next(count uint32, idem string) op.Op {
	return &op.SeqNext{Name: []byte("s"), Count: count, Idem: []byte(idem)}
}
func run(first, last int64) op.Result { return op.Result{Done: true, Int: first, Last: last, Step: 1} }

func TestSequences(t *testing.T) {
	for name, c := range map[string]struct {
		past  *past
		final int64
		want  string
	}{
		"in order":                {new(past).add(1, next(2, ""), 0, 1, run(1, 2)).add(1, next(1, ""), 2, 3, run(3, 3)), 3, ""},
		"concurrent":              {new(past).add(1, next(2, ""), 0, 5, run(2, 3)).add(2, next(1, ""), 1, 4, run(1, 1)), 3, ""},
		"repeated":                {new(past).add(1, next(2, "x"), 0, 1, run(1, 2)).add(1, next(1, ""), 2, 3, run(3, 3)).add(1, next(2, "x"), 4, 5, run(1, 2)), 3, ""},
		"repeated after unknown":  {new(past).add(1, next(2, "x"), 0, -1, op.Result{}).add(1, next(1, ""), 2, 3, run(3, 3)).add(1, next(2, "x"), 4, 5, run(1, 2)), 3, ""},
		"unknown, taken":          {new(past).add(1, next(2, ""), 0, -1, op.Result{}).add(1, next(1, ""), 2, 3, run(3, 3)), 3, ""},
		"unknown, not taken":      {new(past).add(1, next(2, ""), 0, -1, op.Result{}).add(1, next(1, ""), 2, 3, run(1, 1)), 1, ""},
		"twice":                   {new(past).add(1, next(2, ""), 0, 9, run(1, 2)).add(2, next(2, ""), 0, 9, run(2, 3)), 4, "given twice"},
		"the same twice":          {new(past).add(1, next(1, ""), 0, 9, run(1, 1)).add(2, next(1, ""), 0, 9, run(1, 1)), 2, "given twice"},
		"back":                    {new(past).add(1, next(1, ""), 0, 1, run(2, 2)).add(1, next(1, ""), 2, 3, run(1, 1)), 2, "smaller numbers"},
		"repeated, other numbers": {new(past).add(1, next(1, "x"), 0, 1, run(1, 1)).add(1, next(1, "x"), 2, 3, run(2, 2)), 2, "other numbers"},
		"repeated, taken twice":   {new(past).add(1, next(1, "x"), 0, 1, run(1, 1)).add(1, next(1, "x"), 2, 3, run(1, 1)), 2, "ended at 2"},
		"lost":                    {new(past).add(1, next(2, ""), 0, 1, run(1, 2)), 1, "ended at 1"},
		"nobody asked":            {new(past).add(1, next(2, ""), 0, 1, run(1, 2)), 3, "ended at 3"},
		"no answer":               {new(past).add(1, next(2, ""), 0, 1, op.Result{Status: op.Exhausted}), 0, "no number"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Sequences(c.past.events(), map[string]int64{"s": c.final}), c.want) })
	}
}

func incr(delta int64) op.Op         { return &op.Incr{Key: []byte("c"), Delta: delta} }
func at(n int64) op.Result           { return op.Result{Done: true, Int: n} }
func final(n int64) map[string]int64 { return map[string]int64{"c": n} }

func TestCounters(t *testing.T) {
	good := new(past).add(1, incr(2), 0, 1, at(2)).add(2, incr(3), 2, -1, op.Result{}).add(1, incr(1), 4, 5, at(6))
	expect(t, Counters(good.events(), final(6)), "")
	expect(t, Counters(good.events(), final(2)), "ended at 2")
	expect(t, Counters(good.events(), final(7)), "ended at 7")
	lost := new(past).add(1, incr(1), 0, 1, at(1)).add(2, incr(1), 2, 3, at(1))
	expect(t, Counters(lost.events(), final(1)), "given twice")
}

package check

import (
	"testing"
	"time"

	"kahuna/op"
)

func set(v string) op.Op { return &op.Set{Key: []byte("k"), Value: []byte(v)} }
func setIf(v string, rev uint64) op.Op {
	return &op.Set{Key: []byte("k"), Value: []byte(v), Cond: op.IfRev, CondRev: rev}
}
func get() op.Op    { return &op.Get{Key: []byte("k")} }
func remove() op.Op { return &op.Delete{Key: []byte("k")} }

func done(rev uint64) op.Result   { return op.Result{Done: true, Rev: rev} }
func failed(rev uint64) op.Result { return op.Result{Rev: rev} }
func value(v string, rev uint64) op.Result {
	return op.Result{Found: true, Value: []byte(v), Rev: rev}
}

func TestRegisters(t *testing.T) {
	const bad = "not linearizable"
	for name, c := range map[string]struct {
		past *past
		want string
	}{
		"in order": {new(past).add(1, set("a"), 0, 1, done(1)).add(2, get(), 2, 3, value("a", 1)).
			add(1, setIf("b", 1), 4, 5, done(2)).add(2, setIf("c", 1), 6, 7, failed(2)).add(2, remove(), 8, 9, done(3)).
			add(1, get(), 10, 11, op.Result{}).add(1, setIf("d", 0), 12, 13, done(4)), ""},
		"concurrent, either order":       {new(past).add(1, set("a"), 0, 5, done(2)).add(2, set("b"), 1, 4, done(1)).add(1, get(), 6, 7, value("a", 2)), ""},
		"unknown write, seen":            {new(past).add(1, set("a"), 0, -1, op.Result{}).add(2, get(), 9, 10, value("a", 1)), ""},
		"unknown write, not seen":        {new(past).add(1, set("a"), 0, -1, op.Result{}).add(2, get(), 9, 10, op.Result{}), ""},
		"unknown read":                   {new(past).add(1, get(), 0, -1, value("x", 9)), ""},
		"stale read":                     {new(past).add(1, set("a"), 0, 1, done(1)).add(1, set("b"), 2, 3, done(2)).add(2, get(), 4, 5, value("a", 1)), bad},
		"lost write":                     {new(past).add(1, set("a"), 0, 1, done(1)).add(2, get(), 2, 3, op.Result{}), bad},
		"a read goes back":               {new(past).add(1, set("a"), 0, -1, op.Result{}).add(2, get(), 1, 2, value("a", 1)).add(2, get(), 3, 4, op.Result{}), bad},
		"value from nowhere":             {new(past).add(1, set("a"), 0, 1, done(1)).add(2, get(), 2, 3, value("z", 1)), bad},
		"two compare-and-sets of one":    {new(past).add(1, setIf("a", 0), 0, 9, done(1)).add(2, setIf("b", 0), 0, 9, done(1)), bad},
		"applied twice":                  {new(past).add(1, set("a"), 0, 1, done(1)).add(2, get(), 2, 3, value("a", 2)), bad},
		"refused though it holds":        {new(past).add(1, set("a"), 0, 1, done(1)).add(2, setIf("b", 1), 2, 3, failed(1)), bad},
		"deletion undone":                {new(past).add(1, set("a"), 0, 1, done(1)).add(1, remove(), 2, 3, done(2)).add(2, get(), 4, 5, value("a", 1)), bad},
		"acknowledged write in no order": {new(past).add(1, set("a"), 0, 1, done(2)), bad},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Registers(c.past.events(), time.Minute, ""), c.want) })
	}
}

// A search that can't end in time is no pass.
func TestRegistersWithoutVerdict(t *testing.T) {
	p := new(past)
	for i := range 40 {
		p.add(i, set(string(rune('a'+i))), 0, -1, op.Result{})
	}
	p.add(99, get(), 5, 6, value("nobody wrote this", 35))
	expect(t, Registers(p.events(), time.Millisecond, ""), "no verdict")
}

func TestVersions(t *testing.T) {
	items := []op.Item{{Rev: 3, TS: 30, Value: []byte("c")}, {Rev: 2, TS: 20, Deleted: true}, {Rev: 1, TS: 10, Value: []byte("a")}}
	at := func(ts op.Timestamp, res op.Result) *past {
		p := new(past).add(1, get(), 0, 1, res)
		p.events()[0].At = ts
		return p
	}
	for name, c := range map[string]struct {
		past *past
		want string
	}{
		"all versions":    {new(past).add(1, set("a"), 0, 1, done(1)).add(1, remove(), 2, 3, done(2)).add(1, set("c"), 4, 5, done(3)), ""},
		"at a version":    {at(10, value("a", 1)), ""},
		"between":         {at(19, value("a", 1)), ""},
		"at a deletion":   {at(25, op.Result{}), ""},
		"before all":      {at(9, op.Result{}), ""},
		"lost write":      {new(past).add(1, set("x"), 0, 1, done(2)), "acknowledged write is not"},
		"lost deletion":   {new(past).add(1, remove(), 0, 1, done(3)), "acknowledged deletion is not"},
		"unknown value":   {new(past).add(1, get(), 0, 1, value("x", 1)), "value was read"},
		"too old a one":   {at(30, value("a", 1)), "another version"},
		"too new a one":   {at(12, value("c", 3)), "another version"},
		"missed":          {at(35, op.Result{}), "whether it was there"},
		"seen too early":  {at(9, value("a", 1)), "whether it was there"},
		"seen as deleted": {at(22, value("a", 1)), "whether it was there"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, Versions(c.past.events(), map[string][]op.Item{"k": items}), c.want)
		})
	}
	hole := []op.Item{{Rev: 1, TS: 10}, {Rev: 3, TS: 20}}
	back := []op.Item{{Rev: 1, TS: 10}, {Rev: 2, TS: 10}}
	expect(t, Versions(nil, map[string][]op.Item{"k": hole}), "is at place")
	expect(t, Versions(nil, map[string][]op.Item{"k": back}), "is at place")
}

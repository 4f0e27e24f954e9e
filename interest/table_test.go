package interest

import (
	"math/rand/v2"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/op"
)

// A table tells exactly those whose prefix the name has.
func TestTableAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table := NewTable()
	woken := map[*Watch]bool{}
	var all []*Watch
	word := func(n int) string {
		b := make([]byte, rng.IntN(n))
		for i := range b {
			b[i] = 'a' + byte(rng.IntN(2))
		}
		return string(b)
	}
	for range 5000 {
		switch k := rng.IntN(4); {
		case k == 0:
			var w *Watch
			w = table.Add(op.SpaceKey+op.Space(rng.IntN(2)), word(5), func() { woken[w] = true })
			all = append(all, w)
		case k == 1 && len(all) > 0:
			i := rng.IntN(len(all))
			table.Remove(all[i])
			all = append(all[:i], all[i+1:]...)
		default:
			clear(woken)
			n := op.Name{Space: op.SpaceKey + op.Space(rng.IntN(3)), Key: []byte(word(7))}
			table.Observe([]mvcc.Change{{Name: n}})
			for _, w := range all {
				if want := w.Space == n.Space && strings.HasPrefix(string(n.Key), w.Prefix); woken[w] != want {
					t.Fatalf("%q of %d is told of %q of %d: %t", w.Prefix, w.Space, n.Key, n.Space, woken[w])
				}
				delete(woken, w)
			}
			if len(woken) > 0 {
				t.Fatal("somebody was told who is gone")
			}
		}
	}
	clear(woken)
	if table.WakeAll(); len(woken) != len(all) || table.Len() != len(all) {
		t.Errorf("%d of %d were woken", len(woken), len(all))
	}
}

// While nobody wants to hear of anything, a change costs nothing to speak of.
func TestNobodyListens(t *testing.T) {
	table := NewTable()
	changes := []mvcc.Change{{Name: op.Key([]byte("k"))}}
	table.Remove(table.Add(op.SpaceKey, "", func() {}))
	if n := testing.AllocsPerRun(100, func() { table.Observe(changes) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

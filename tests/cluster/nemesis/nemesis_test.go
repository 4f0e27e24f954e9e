package nemesis

import (
	"math/rand/v2"
	"testing"
)

// In a ring each node reaches a majority, itself among them, and not all.
func TestRing(t *testing.T) {
	for size := 3; size <= 5; size++ {
		cut, some := map[int]int{}, 0
		for _, w := range ring(rand.New(rand.NewPCG(1, 1)).Perm(size)) {
			cut[w.From]++
		}
		for i := range size {
			if size-cut[i] <= size/2 {
				t.Errorf("%d nodes: node %d reaches %d", size, i, size-cut[i])
			}
			some += cut[i]
		}
		if some == 0 {
			t.Errorf("%d nodes: nothing is cut", size)
		}
	}
}

// Every fault is dealt once before one comes again, and one that is to be alone is.
func TestDeck(t *testing.T) {
	faults := All()
	for seed := range uint64(50) {
		d, seen, combined := NewDeck(rand.New(rand.NewPCG(seed, 0)), faults), map[string]int{}, 0
		for sum := 0; sum < len(faults); {
			hand := d.Next()
			for _, f := range hand {
				if seen[f.Name]++; f.Alone && len(hand) > 1 {
					t.Errorf("seed %d: %s is not alone", seed, f.Name)
				}
			}
			if len(hand) > 1 {
				combined++
			}
			sum += len(hand)
		}
		if len(seen) < len(faults)-2 || combined < 3 {
			t.Errorf("seed %d: %d of %d faults dealt, %d times several", seed, len(seen), len(faults), combined)
		}
	}
}

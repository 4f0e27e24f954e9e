package nemesis

import "math/rand/v2"

// All are all faults there are.
func All() (all []Fault) {
	for _, some := range [][]Fault{Basic, More, Clocks, Disks, Damages, Membership} {
		all = append(all, some...)
	}
	return all
}

// Deck deals faults: each once in a random order, alone and in twos and threes by turns, and then again.
type Deck struct {
	rng    *rand.Rand
	faults []Fault
	rest   []Fault
	dealt  int
}

// NewDeck makes a deck.
func NewDeck(rng *rand.Rand, faults []Fault) *Deck { return &Deck{rng: rng, faults: faults} }

// Next is what comes next.
func (d *Deck) Next() (hand []Fault) {
	d.dealt++
	size := 1
	if d.dealt%2 == 0 {
		size = 2 + d.rng.IntN(2)
	}
	for len(hand) < size {
		f := d.draw()
		if f.Alone && len(hand) > 0 {
			d.rest = append([]Fault{f}, d.rest...) // at another time
			break
		}
		hand = append(hand, f)
		if f.Alone {
			break
		}
	}
	return hand
}

func (d *Deck) draw() (f Fault) {
	if len(d.rest) == 0 {
		d.rest = append(d.rest, d.faults...)
		d.rng.Shuffle(len(d.rest), func(i, k int) { d.rest[i], d.rest[k] = d.rest[k], d.rest[i] })
	}
	last := len(d.rest) - 1
	f, d.rest = d.rest[last], d.rest[:last]
	return f
}

package placement

import (
	"math/rand/v2"
	"sort"
	"time"

	"kahuna/op"
)

// world is what is asked of a fake cluster, and what it keeps: the space is cut into cells, a number of them in each slot, and each has a load
// and a size. A cell is a name: no split cuts one.
type world struct {
	perSlot  int
	load     []uint64 // of the cells before each place: one more than there are cells
	bytes    []uint64
	noisePct int // by which what leaders measure is wrong
}

// newWorld makes a world with the load and the size of each cell.
func newWorld(perSlot int, cell func(i int) (ops, bytes uint64)) *world {
	w := &world{perSlot: perSlot, load: make([]uint64, 1, op.Slots*perSlot+1), bytes: make([]uint64, 1, op.Slots*perSlot+1)}
	for i := range op.Slots * perSlot {
		ops, bytes := cell(i)
		w.load, w.bytes = append(w.load, w.load[i]+ops), append(w.bytes, w.bytes[i]+bytes)
	}
	return w
}

func (w *world) cells() int { return len(w.load) - 1 }

func (w *world) position(cell int) op.Position {
	switch at := cell % w.perSlot; {
	case cell >= w.cells():
		return op.Position{}
	case at > 0:
		return op.Position{Slot: uint16(cell / w.perSlot), Name: []byte{byte(at)}}
	}
	return op.Position{Slot: uint16(cell / w.perSlot)}
}

func (w *world) cell(p op.Position, end bool) int {
	switch {
	case end && p.Slot == 0 && len(p.Name) == 0:
		return w.cells()
	case len(p.Name) > 0:
		return int(p.Slot)*w.perSlot + int(p.Name[0])
	}
	return int(p.Slot) * w.perSlot
}

// half is where a sum is cut into two halves; the zero Position if the smaller one would have less than a quarter.
func (w *world) half(sums []uint64, from, to int) op.Position {
	total := sums[to] - sums[from]
	at := from + sort.Search(to-from, func(i int) bool { return 2*(sums[from+i]-sums[from]) >= total })
	if below := sums[at] - sums[from]; total == 0 || at <= from || at >= to || 4*below < total || 4*below > 3*total {
		return op.Position{}
	}
	return w.position(at)
}

// measure adds to reports what leaders measure.
func (c *cluster) measure(reports Reports) {
	places := c.s.places()
	for _, n := range reports {
		for i := range n.Replicas {
			r := &n.Replicas[i]
			at, known := places[r.Range]
			if !known || !r.Leads {
				continue
			}
			from, to := c.world.cell(c.s.Ranges[at].From, false), c.world.cell(c.s.Ranges[at].To, true)
			r.Measured = c.groups[r.Range].measured
			r.OpsPerSec = c.world.noisy(c.world.load[to]-c.world.load[from], r.Range, c.now)
			r.WritesPerSec = r.OpsPerSec / 2
			r.Bytes = c.world.bytes[to] - c.world.bytes[from]
			r.HalfLoad, r.HalfSize = c.world.half(c.world.load, from, to), c.world.half(c.world.bytes, from, to)
		}
	}
}

// noisy is a measure, wrong by some percent, the same for all who ask at a time.
func (w *world) noisy(v uint64, id uint32, now op.Timestamp) uint64 {
	if w.noisePct == 0 {
		return v
	}
	rnd := rand.New(rand.NewPCG(uint64(id), uint64(now)))
	return v * uint64(100-w.noisePct+rnd.IntN(2*w.noisePct+1)) / 100
}

// endChanges lets splits and merges come to their ends: some happen, and of those that are no longer wanted some do not.
func (c *cluster) endChanges() {
	var over []Change
	for _, ch := range c.s.Changes {
		if ch.Kind != SetReplicas && c.groups[ch.Range].leader != "" && c.rnd.IntN(2) == 0 {
			over = append(over, ch)
		}
	}
	if len(over) == 0 {
		return
	}
	cool := c.now.Add(time.Minute.Milliseconds())
	c.edit(func(s *State) error {
		for _, ch := range over {
			if err := c.endChange(s, ch, cool); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cluster) endChange(s *State, ch Change, cool op.Timestamp) error {
	parent := c.groups[ch.Range]
	switch {
	case ch.Cancel && c.rnd.IntN(2) == 0:
		return s.Drop(ch.Range, cool)
	case ch.Kind == Merge:
		delete(c.groups, ch.Other)
		for i, id := range c.ids {
			if id == ch.Other {
				c.ids = append(c.ids[:i:i], c.ids[i+1:]...)
				break
			}
		}
		parent.measured = 0
		return s.EndMerge(ch.Range, cool)
	}
	if c.used[ch.Other] {
		c.t.Fatalf("the id %d is used again", ch.Other)
	}
	c.used[ch.Other] = true
	c.ids = append(c.ids, ch.Other)
	c.groups[ch.Other] = &fakeGroup{leader: parent.leader, conf: append([]Member(nil), parent.conf...)}
	c.terms[ch.Other] = 1
	parent.measured = 0
	return s.EndSplit(ch.Range, cool)
}

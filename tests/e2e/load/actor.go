package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	"kahuna/tests/e2e/wire"
)

// replyPatience is how long a client waits for one reply. It is longer than any of the server's own time limits.
const replyPatience = 30 * time.Second

// actor is one client. What it owns, nobody else writes.
type actor struct {
	world     *World
	id        int
	rand      *rand.Rand
	registers []*register
	pairs     []*pair
	locks     []*lock
	journal   *journal
	steps     int
}

func newActor(w *World, prefix string, id int, seed uint64) *actor {
	a := &actor{world: w, id: id, rand: newRand(seed, uint64(id))}
	for i := range 24 {
		a.registers = append(a.registers, &register{world: w, key: fmt.Sprintf("%sr:%d:%d", prefix, id, i), deletes: i%4 == 3,
			candidates: []version{{absent: true}}})
	}
	for i := range 3 {
		a.pairs = append(a.pairs, newPair(w, fmt.Sprintf("%sp:%d:%d", prefix, id, i), i < 2))
	}
	for i := range 3 {
		a.locks = append(a.locks, newLock(w, fmt.Sprintf("%sl:%d:%d", prefix, id, i)))
	}
	a.journal = &journal{world: w, prefix: fmt.Sprintf("%sj:%d:", prefix, id)}
	return a
}

// run works until the connection is lost.
func (a *actor) run(addr string) {
	c, err := wire.Dial(addr, replyPatience)
	if err != nil {
		a.lost(err)
		return
	}
	defer c.Close()
	for !a.world.isEnding() {
		if err := a.round(c); err != nil {
			a.lost(err)
			return
		}
	}
}

func (a *actor) lost(err error) {
	if !a.world.isEnding() {
		a.world.violate("client %d lost its connection while the server ran: %v", a.id, err)
	}
}

// round sends one to eight steps in one write and accounts for all of them, whatever comes back.
func (a *actor) round(c *wire.Conn) error {
	n := []int{1, 1, 1, 3, 8}[a.rand.IntN(5)]
	var steps []*step
	var commands [][]string
	for range n {
		s := a.choose()
		steps = append(steps, s)
		commands = append(commands, s.commands...)
	}
	err := c.Send(commands...)
	for _, s := range steps {
		var last *wire.Reply
		for range s.commands {
			if err == nil {
				last, err = c.Receive()
			}
		}
		if err != nil {
			last = nil
		}
		a.world.settle(s, last)
	}
	return err
}

// A few values are so many times as large as usual, but no larger than this: they make batches that fill files.
const (
	largeTimes    = 100
	largeBytesMax = 1 << 20
)

// size is that of the next value.
func (a *actor) size() int {
	n := a.rand.IntN(a.world.ValueBytesMax)
	if a.rand.IntN(150) == 0 {
		n = min(n*largeTimes, largeBytesMax)
	}
	return n
}

// choose makes up the next operation.
func (a *actor) choose() *step {
	a.steps++
	w, r := a.world, a.rand
	stamp := fmt.Sprintf("%d.%d", a.id, a.steps)
	switch n := r.IntN(100); {
	case n < 25:
		return a.registers[r.IntN(len(a.registers))].write(stamp, r)
	case n < 45:
		return a.journal.append(a.size())
	case n < 53:
		return w.counters[r.IntN(len(w.counters))].increment(w)
	case n < 61:
		return w.sequences[r.IntN(len(w.sequences))].next(w, 1+r.IntN(3))
	case n < 68:
		return w.sequences[r.IntN(len(w.sequences))].nextIdem(w, "k"+stamp, 1+r.IntN(2))
	case n < 78:
		return a.locks[r.IntN(len(a.locks))].change(stamp)
	case n < 82:
		return w.hot.change(w, fmt.Sprintf("client %d", a.id))
	case n < 92:
		if p := a.pairs[r.IntN(len(a.pairs))]; !p.isBlocked() {
			return p.write(stamp)
		}
	case n < 96:
		other := w.actors[r.IntN(len(w.actors))]
		if p := other.pairs[r.IntN(len(other.pairs))]; !p.isBlocked() {
			return p.read()
		}
	}
	return w.clock.timestamp(w, 1+r.IntN(3))
}

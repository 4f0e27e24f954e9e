package partition

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

// TestWaitersModel plays random games on one lock: owners come, wait, are cut off, come back, lock and unlock, while the log is
// moved unit by unit, refuses, and loses what it was given. After each step it checks what the table promises.
func TestWaitersModel(t *testing.T) {
	served, returned, lost := 0, 0, 0
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := newGame(t, seed)
			for range 400 {
				g.step()
			}
			g.finish()
			served, returned, lost = served+g.served, returned+g.returned, lost+g.lost
		})
	}
	if served < 1000 || returned < 50 || lost < 200 {
		t.Errorf("%d calls served, %d grants given back, %d proposals lost: the games are too quiet", served, returned, lost)
	}
}

type game struct {
	*rig
	r                      *rand.Rand
	faults                 bool
	calls                  map[*caller]*call
	told                   map[string]bool // who was told that it holds the lock, and has not let go
	unknown                map[string]bool // who renewed its hold when its client was gone: it can't be given back any more
	served, returned, lost int
}

// call is a call that has not ended.
type call struct {
	owner  string
	number uint64 // of its place
	turn   int    // when it began
	gone   bool   // its client is: a grant is to be given back
	over   bool   // its time is
}

func newGame(t *testing.T, seed uint64) *game {
	g := &game{rig: newRig(t), r: rand.New(rand.NewPCG(seed, 7)), faults: seed%2 == 1, calls: map[*caller]*call{}, told: map[string]bool{}, unknown: map[string]bool{}}
	g.onGrant = g.checkOrder
	return g
}

func (g *game) ask() *op.LockAcquire {
	owner := string(rune('a' + g.r.IntN(7)))
	switch g.r.IntN(6) {
	case 0, 1:
		return shared(owner)
	case 2:
		return permits(owner, 2)
	}
	return exclusive(owner)
}

func (g *game) step() {
	g.turn++
	switch n := g.r.IntN(100); {
	case n < 25:
		g.apply()
	case n < 50:
		g.tell()
	case n < 65:
		g.call(g.ask())
	case n < 70:
		g.hold(g.ask())
	case n < 85:
		g.letGo(string(rune('a' + g.r.IntN(7))))
	case n < 93:
		g.end(g.r.IntN(2) == 0)
	case n < 97:
		g.pass(time.Duration(g.r.Int64N(int64(2 * time.Second))))
	case g.faults:
		g.fault()
	}
	g.collect()
}

func (g *game) call(o *op.LockAcquire) {
	c, err := g.w.enter(o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.calls[c] = &call{owner: string(o.Owner), number: c.place.number, turn: g.turn}
}

// hold locks without waiting.
func (g *game) hold(o *op.LockAcquire) {
	unit, _ := g.w.yield(fsm.Unit{o})
	g.log = append(g.log, rigUnit{ops: unit, plain: true, seen: g.w.numbers, turn: g.turn, ended: func(results []op.Result, err error) {
		if err == nil && results[0].Done {
			g.told[string(o.Owner)] = true
		}
	}})
}

func (g *game) letGo(owner string) {
	delete(g.told, owner)
	unit := fsm.Unit{&op.LockRelease{Name: rigLock, Owner: []byte(owner)}}
	g.log = append(g.log, rigUnit{ops: unit, plain: true})
	if g.r.IntN(2) == 0 {
		g.w.anticipate(unit)
	}
}

// end ends a call: its time is over, or its client gone.
func (g *game) end(gone bool) {
	for _, c := range slices.SortedFunc(maps.Keys(g.calls), func(a, b *caller) int { return int(a.place.number) - int(b.place.number) }) {
		if k := g.calls[c]; !k.over && g.r.IntN(3) == 0 {
			k.over, k.gone = true, gone
			g.w.leave(c, gone)
			return
		}
	}
}

// fault loses the oldest proposal of the table, or lets one bounce, or refuses all for a moment, or loses and wins the leadership.
func (g *game) fault() {
	if g.r.IntN(10) == 0 {
		g.w.follow(ErrNotLeader)
		g.w.lead()
		return
	}
	if g.r.IntN(4) == 0 {
		g.refuse = ErrFull
		g.tell()
		g.apply()
		g.refuse = nil
		return
	}
	for i, u := range g.log {
		if u.plain || u.ended == nil {
			continue
		}
		g.log = slices.Delete(g.log, i, i+1)
		g.lost++
		switch g.r.IntN(3) {
		case 0:
			u.ended(nil, ErrUncertain)
		case 1:
			u.ended(nil, ErrNotLeader)
		default:
			bounced := make([]op.Result, len(u.ops))
			for k := range bounced {
				bounced[k] = op.Result{Status: op.Blocked, Intent: &op.Intent{}}
			}
			u.ended(bounced, nil)
		}
		return
	}
}

// collect takes what calls were told, as Wait does.
func (g *game) collect() {
	for c, k := range g.calls {
		select {
		case e := <-c.end:
			delete(g.calls, c)
			if !e.result.Done {
				continue
			}
			g.served++
			if !k.gone {
				g.told[k.owner] = true
			} else if e.result.Found {
				g.unknown[k.owner] = true
			} else if e.alone {
				g.returned++
				g.log = append(g.log, rigUnit{ops: fsm.Unit{giveBack(&c.place.ask, &e.result)}, plain: true})
			}
		default:
		}
	}
}

// checkOrder sees, in games without faults, that a grant overtakes nobody: who came before it was proposed, waits still and is there.
func (g *game) checkOrder(o op.Op, u *rigUnit) {
	number := u.seen + 1
	if g.faults {
		return // a proposal that is lost lets those behind it pass
	}
	if !u.plain {
		for c, k := range g.calls {
			if k.owner == ownerOf(o) {
				number = min(number, c.place.number)
			}
		}
		if number > u.seen {
			return // its caller is gone
		}
	}
	for c, k := range g.calls {
		p := c.place
		if k.number < number && !k.over && p.at != nil && !p.resting && !g.excused(k, p, u) {
			g.t.Fatalf("%s gets the lock before %s, who waits", ownerOf(o), k.owner)
		}
	}
}

// excused tells whether a place may be overtaken by a grant: its call came after the grant was proposed, or it has no part in it, for
// it names another number of permits.
func (g *game) excused(k *call, p *place, u *rigUnit) bool {
	t, _ := p.line.expected()
	return t.clashes(&p.ask) || k.turn > u.turn
}

// finish lets everybody who holds the lock go, until all who wait are served, and looks at what is left.
func (g *game) finish() {
	g.refuse = nil
	for round := 0; ; round++ {
		g.rest()
		if len(g.calls) == 0 && g.holders() == "" {
			break
		}
		if round > 100 {
			g.t.Fatalf("%d calls wait for a lock that is held by %q", len(g.calls), g.holders())
		}
		state := g.state()
		if state == nil {
			g.t.Fatalf("%d calls wait for a free lock", len(g.calls))
		}
		for _, h := range state.Holds {
			// A grant that was lost is an owner's who was told that the end is not known. Others are told, or given back.
			if !g.told[string(h.Owner)] && !g.unknown[string(h.Owner)] && g.lost == 0 {
				g.t.Fatalf("%s holds the lock and was not told", h.Owner)
			}
			g.letGo(string(h.Owner))
		}
	}
	g.pass(returnGap)
	g.rest()
	g.pass(absenceGrace)
	g.wantEmpty()
}

// rest lets everything happen that is to happen without anybody doing anything.
func (g *game) rest() {
	for range 10 {
		g.settle()
		g.collect()
		g.settle()
		g.pass(returnGap)
	}
}

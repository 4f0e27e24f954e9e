package partition

import (
	"bytes"
	"container/list"
	"time"

	"kahuna/op"
)

// line is the queue of one lock. All of it is guarded by the mutex of waiters.
//
// A place is in one of these states:
//
//	waiting    in the list, in the order of arrival; somebody waits for it, or will come back for it within returnGap
//	granting   its LockAcquire is on its way through the log
//	absent     its callers have left; it is passed over, and forgotten after absenceGrace
//	granted    it got the lock between two calls of its owner
//
// A waiting place may have a LockRenew under way, by which an owner that holds the lock already gets its token.
type line struct {
	name    []byte
	held    tenure // as applied
	coming  tenure // of the places that are granting
	places  map[string]*place
	waiting *list.List
	changes int  // of the waiting ones, how many hold the lock in another mode and wait to change over
	ended   bool // the leadership is over: nothing is proposed for it any more
}

func newLine(name []byte, held tenure) *line {
	return &line{name: bytes.Clone(name), held: held, places: map[string]*place{}, waiting: list.New()}
}

// place is an owner's place in a line.
type place struct {
	line      *line
	number    uint64 // in the order of arrival
	ask       op.LockAcquire
	at        *list.Element // in the line's list; nil: not waiting
	callers   []*caller
	granting  bool
	soft      bool // the last caller's time was over, not more: it is expected back
	resting   bool // what was proposed for it did not end well: nothing more is until a caller comes
	judged    bool // the log has answered since it was entered that the owner does not get the lock
	holds     bool // the owner holds the lock in another mode
	away      bool // nobody waits for it, and nobody is expected back soon
	displaced bool // out of the table, for its owner asked for another mode; what is under way is still to end
	over      bool // answered, or ended without an answer
	underWay  int  // proposals
	failed    error
	bounced   *op.Result
	granted   *op.Result
	left      time.Duration // when the last caller went
}

// caller is one call of Wait.
type caller struct {
	place   *place
	end     chan ending  // with room for the one that comes
	parked  func(ending) // is told instead; nil: somebody waits at end
	ended   bool
	leaving bool // its time is over; it waits for the end of what is under way
	gone    bool // nobody waits for its answer
	judged  bool // the log has said during the call that the owner does not get the lock
}

// ending is what a caller gets.
type ending struct {
	result op.Result
	err    error
	alone  bool // no other caller was given this result
}

func (c *caller) tell(e ending) {
	switch {
	case c.ended:
		return
	case c.parked != nil:
		c.parked(e)
	default:
		c.end <- e
	}
	c.ended = true
}

// expected is how the lock is held when all grants under way take effect. doubtful: they can't all do so on top of how it is held,
// as when it was taken by somebody else first. Then their ends are to be waited for, for those who will be left out came first.
func (l *line) expected() (t tenure, doubtful bool) {
	if l.coming.holders == 0 {
		return l.held, false
	}
	return l.held.plus(l.coming), !l.held.fits(l.coming)
}

// join puts a place among those that wait, in the order of arrival.
func (l *line) join(p *place) {
	if p.at != nil || p.granting || p.granted != nil || p.over || p.out() {
		return
	}
	e := l.waiting.Back()
	if first := l.waiting.Front(); first != nil && first.Value.(*place).number > p.number {
		e = nil
	}
	for e != nil && e.Value.(*place).number > p.number {
		e = e.Prev()
	}
	if e == nil {
		p.at = l.waiting.PushFront(p)
	} else {
		p.at = l.waiting.InsertAfter(p, e)
	}
	l.count(p, 1)
}

// quit takes a place from among those that wait.
func (l *line) quit(p *place) {
	if p.at != nil {
		l.waiting.Remove(p.at)
		p.at = nil
		l.count(p, -1)
	}
}

func (l *line) count(p *place, n int) {
	if p.holds {
		l.changes += n
	}
}

// overtakes tells whether a request that does not wait in line would take the lock from somebody who does.
func (l *line) overtakes(o *op.LockAcquire) bool {
	t, doubtful := l.expected()
	return l.waiting.Len() > 0 || l.coming.holders > 0 && (doubtful || !t.fits(by(o)))
}

// present is how many wait: those who left do not count.
func (l *line) present() int { return l.waiting.Len() + l.coming.holders }

// ready are the places that are to be granted when the lock is held as t, or nobody behind one who holds it if blocked, and those that can be answered without: owners who hold the lock and can change
// over, and requests that clash with how it is held. Nobody is granted the lock from behind somebody who has to wait. To change
// over is no overtaking: who waits ahead waits for that owner.
func (l *line) ready(t tenure, blocked bool) (grants, others []*place) {
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		p := e.Value.(*place)
		switch {
		case p.resting:
			blocked = true
		case t.clashes(&p.ask):
			if p.underWay == 0 {
				others = append(others, p)
			}
		case p.holds && t.holders > 0:
			if blocked = true; p.underWay == 0 && t.admits(&p.ask, true) {
				others = append(others, p)
			}
		case !blocked && t.admits(&p.ask, false):
			t = t.plus(by(&p.ask))
			grants = append(grants, p)
		default:
			blocked = true
		}
		if blocked && l.changes == 0 {
			break
		}
	}
	return grants, others
}

// out tells whether a place is in no table any more, so that it only waits for what is under way.
func (p *place) out() bool { return p.line.ended || p.displaced }

// live are the callers whose answer somebody waits for.
func (p *place) live() (n int) {
	for _, c := range p.callers {
		if !c.gone {
			n++
		}
	}
	return n
}

// drop forgets one caller.
func (p *place) drop(c *caller) {
	for i := range p.callers {
		if p.callers[i] == c {
			p.callers = append(p.callers[:i], p.callers[i+1:]...)
			return
		}
	}
}

// sameMode tells whether a request is for what the place waits for.
func (p *place) sameMode(o *op.LockAcquire) bool {
	return p.ask.Shared == o.Shared && max(p.ask.Permits, 1) == max(o.Permits, 1)
}

package partition

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/locks"
	"kahuna/mvcc"
	"kahuna/op"
)

// waiters is the leader's table of who waits for the partition's locks: first come, first served. It is told of every change of a
// lock as it is applied, and proposes a LockAcquire for those whose turn has come: for one, or for several readers, or for as many
// as there are permits. Nobody asks again and again, and who waits costs no log entry.
//
// The table only says for whom to ask. Who gets a lock is judged in the log, so nothing here can give it to two.
//
// What holds:
//
//  1. Of those who wait, none gets the lock before one that came earlier, save an owner who holds it and changes over, and save
//     those who left.
//  2. A line that is not empty has a grant under way, or its first place can't be granted as the lock is held, or its first place
//     rests, which ends when its caller comes back or returnGap is over. So no line is forgotten.
//  3. Of an owner who waits and has no proposal under way, either the lock is not held by it, as applied, or the log has said that it
//     holds it in another mode. So who does not hold it costs no log entry: a change that makes it a holder is seen as it is applied.
//  4. A caller whose place has proposals under way is not told that nothing was changed before they have ended.
type waiters struct {
	submit   func(u fsm.Unit, ended func([]op.Result, error)) error // must not wait, and may call ended at once only from elsewhere
	mono     func() time.Duration
	held     func(name []byte) tenure            // how a lock is held, as applied
	holds    func(name, owner []byte) (may bool) // an owner may be one of its holders, as applied; not: it is none
	perLock  int
	quota    *Quota
	unitOps  int
	places   atomic.Int64 // in the table; while it is 0, plain operations on locks pay nothing for it
	mu       sync.Mutex   // never held across a wait
	leading  bool
	lines    map[string]*line
	numbers  uint64
	returns  []absence // of soft places, oldest first
	absences []absence // of all places whose callers went, oldest first
	wake     chan struct{}
	stopped  chan struct{}
}

// absence is a place whose last caller went at some time.
type absence struct {
	place *place
	since time.Duration
}

const (
	// returnGap is how long a place whose caller's time was over is held as if it were still there. Who waits on behalf of a client
	// of another node asks again within it.
	returnGap = time.Second
	// absenceGrace is how long the owner of a place that nobody waits for any more can come back to it. Client libraries send a
	// command again after they gave up reading, on a new connection.
	absenceGrace = 5 * time.Second
	// grantUnit is how many grants of one lock go into one unit.
	grantUnit = 128
)

// Quota bounds how many owners wait for locks on one node, in all its partitions.
type Quota struct {
	Max   int64
	taken atomic.Int64
}

func (q *Quota) take() bool {
	if q == nil {
		return true
	}
	if q.taken.Add(1) > q.Max {
		q.taken.Add(-1)
		return false
	}
	return true
}

func (q *Quota) put() {
	if q != nil {
		q.taken.Add(-1)
	}
}

func newWaiters(r *Replica) *waiters {
	w := &waiters{mono: r.cfg.Clock.Mono, held: r.leases.tenure, holds: r.leases.mayHold, submit: r.submitFor, perLock: r.cfg.Limits.LockWaiters, quota: r.cfg.Waiters,
		unitOps: grantUnit, lines: map[string]*line{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	if n := r.cfg.Limits.EntryOps; n > 0 {
		w.unitOps = min(n, grantUnit)
	}
	return w
}

// observe is told of changes by the state machine.
func (w *waiters) observe(changes []mvcc.Change) {
	if w.places.Load() == 0 {
		return
	}
	for i := range changes {
		if c := &changes[i]; c.Name.Space == op.SpaceLock {
			w.changed(c)
		}
	}
}

func (w *waiters) changed(c *mvcc.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[string(c.Name.Key)]
	if l == nil {
		return
	}
	before := l.held
	l.held = tenure{}
	var state op.LockState
	if !c.Record.Deleted {
		if s, err := locks.Decode(c.Record); err == nil {
			state, l.held = s, tenureOf(&s)
		}
	}
	if l.held.freer(before) {
		w.grant(l)
	}
	w.serveHolders(l, &state)
}

// serveHolders asks for those who wait for a lock that they have got by another request meanwhile, as when a client sent its command
// again: they get their token.
func (w *waiters) serveHolders(l *line, state *op.LockState) {
	for i := range state.Holds {
		p := l.places[string(state.Holds[i].Owner)]
		if p != nil && p.at != nil && p.underWay == 0 && !p.holds && !p.resting && len(p.callers) > 0 {
			w.try(p)
		}
	}
}

// grant proposes the lock for those whose turn it is. w.mu is held, as in all that follows.
func (w *waiters) grant(l *line) {
	t, doubtful := l.expected()
	w.take(l, t, doubtful)
}

// take is grant when the lock is held as t.
func (w *waiters) take(l *line, t tenure, blocked bool) {
	if l.ended {
		return
	}
	grants, others := l.ready(t, blocked)
	for _, p := range grants {
		l.quit(p)
		p.granting = true
		l.coming = tenure{shared: p.ask.Shared, permits: max(p.ask.Permits, 1), holders: l.coming.holders + 1}
	}
	for len(grants) > 0 {
		n := min(len(grants), w.unitOps)
		w.propose(grants[:n:n], true)
		grants = grants[n:]
	}
	for _, p := range others {
		w.try(p)
	}
}

// try asks for what only an owner who holds the lock gets.
func (w *waiters) try(p *place) { w.propose([]*place{p}, false) }

// propose puts one operation for each place into the log. When it is refused at once the places rest, so it is not called again
// and again.
func (w *waiters) propose(places []*place, enter bool) {
	unit := make(fsm.Unit, len(places))
	for i, p := range places {
		p.underWay++
		if ask := p.ask; enter {
			unit[i] = &ask
		} else {
			unit[i] = &op.LockRenew{Name: ask.Name, Owner: ask.Owner, TTLMilli: ask.TTLMilli, Shared: ask.Shared, Permits: ask.Permits}
		}
	}
	err := w.submit(unit, func(results []op.Result, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended(places, enter, results, err)
		w.grant(places[0].line)
	})
	if err != nil {
		w.ended(places, enter, nil, err)
	}
}

// ended takes the ends of proposals for places of one line.
func (w *waiters) ended(places []*place, enter bool, results []op.Result, err error) {
	for i, p := range places {
		p.underWay--
		if enter {
			p.granting = false
			p.line.coming.holders--
		}
		switch {
		case p.over:
			if err == nil && results[i].Done && !results[i].Found {
				w.giveBack(p, &results[i]) // it was answered by another proposal, and nobody is told of this one
			}
			continue
		case err != nil:
			p.failed = graver(p.failed, err)
		case results[i].Status.Bounce():
			p.bounced = &results[i]
		case results[i].Done || results[i].Status != op.OK:
			w.answer(p, results[i])
			continue
		default:
			w.refused(p, &results[i])
		}
		if p.underWay == 0 {
			w.settle(p)
		}
	}
}

// graver is the error that promises less.
func graver(a, b error) error {
	if a == nil || uncertain(b) {
		return b
	}
	return a
}

// refused notes that the log has said that an owner does not get the lock.
func (w *waiters) refused(p *place, r *op.Result) {
	p.judged = true
	for _, c := range p.callers {
		c.judged = true
	}
	listed := p.at != nil
	p.line.quit(p)
	if p.holds = r.Found; listed {
		p.line.join(p)
	}
}

// settle ends what a place without proposals under way can't wait for any longer, and puts it back into the line.
func (w *waiters) settle(p *place) {
	failed, bounced := p.failed, p.bounced
	p.failed, p.bounced = nil, nil
	if p.line.ended && failed == nil {
		failed = ErrNotLeader
	}
	switch {
	case failed != nil:
		w.sendAway(p, ending{err: failed})
	case bounced != nil:
		w.sendAway(p, ending{result: *bounced})
	default:
		for _, c := range append([]*caller(nil), p.callers...) {
			if c.leaving {
				c.tell(ending{})
				w.detach(c)
			}
		}
	}
	switch {
	case p.out():
		p.over = true
	case len(p.callers) > 0 || p.soft:
		p.line.join(p)
	case !p.away:
		w.absent(p)
	}
}

// sendAway ends all calls for a place without an answer. The place rests until they come back, which they soon do.
func (w *waiters) sendAway(p *place, e ending) {
	p.resting = true
	for _, c := range append([]*caller(nil), p.callers...) {
		c.tell(e)
		w.detach(c)
	}
}

// answer ends a place: its owner has the lock, or can't have it. A grant that nobody is there for is given back, or kept for an
// owner who is expected back.
func (w *waiters) answer(p *place, r op.Result) {
	live := p.live()
	fresh := r.Done && !r.Found
	switch {
	case len(p.callers) == 0 && p.soft && r.Done && !p.out():
		p.granted = &r
		p.line.quit(p)
		return
	case len(p.callers) == 0 && fresh:
		w.giveBack(p, &r)
	}
	told := false
	for _, c := range p.callers {
		c.tell(ending{result: r, alone: live == 1 && !c.gone || live == 0 && !told})
		told = true
	}
	w.remove(p)
}

// giveBack ends a hold that was granted and that nobody knows of. It names the grant, so it can't end another one of the same
// owner. If it does not get into the log, the hold ends with its lease.
func (w *waiters) giveBack(p *place, r *op.Result) {
	_ = w.submit(fsm.Unit{giveBack(&p.ask, r)}, nil)
}

func giveBack(ask *op.LockAcquire, r *op.Result) *op.LockExpire {
	return &op.LockExpire{Name: ask.Name, Owner: ask.Owner, Granted: op.Timestamp(r.Int)}
}

// remove takes a place out of the table.
func (w *waiters) remove(p *place) {
	p.over = true
	l := p.line
	l.quit(p)
	if l.ended || l.places[string(p.ask.Owner)] != p {
		return
	}
	delete(l.places, string(p.ask.Owner))
	w.places.Add(-1)
	w.quota.put()
	if len(l.places) == 0 {
		delete(w.lines, string(l.name))
	}
}

// waiting is how many owners wait for a lock.
func (w *waiters) waiting(name []byte) int {
	if w.places.Load() == 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lines[string(name)]; l != nil {
		return l.present()
	}
	return 0
}

// lead begins to take callers.
func (w *waiters) lead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leading = true
}

// follow sends everybody away with an error; whoever has proposals under way gets their end.
func (w *waiters) follow(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leading = false
	for _, l := range w.lines {
		w.endLine(l, why)
	}
	w.lines, w.returns, w.absences = map[string]*line{}, nil, nil
}

// narrow sends those away who wait for locks that are another partition's by now. They are to ask there.
func (w *waiters) narrow(owns func(name []byte) bool) {
	if w.places.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, l := range w.lines {
		if !owns(l.name) {
			w.endLine(l, ErrNotLeader)
			delete(w.lines, name)
		}
	}
	gone := func(a absence) bool { return a.place.line.ended }
	w.returns, w.absences = slices.DeleteFunc(w.returns, gone), slices.DeleteFunc(w.absences, gone)
}

func (w *waiters) endLine(l *line, why error) {
	l.ended = true
	for _, p := range l.places {
		w.places.Add(-1)
		w.quota.put()
		p.soft = false
		if p.underWay > 0 {
			continue
		}
		p.over = true
		for _, c := range p.callers {
			c.tell(ending{err: why})
		}
	}
}

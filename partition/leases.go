package partition

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/locks"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// leases is the leader's table of when the leases of its partition's locks run out, on its monotonic clock. It is told of every
// grant, extension and release as they are applied, and says in the log what has run out.
type leases struct {
	r       *Replica
	mu      sync.Mutex
	leading bool
	byLock  map[string]holding
	due     dueHeap
	wake    chan struct{}
	stopped chan struct{}
}

// holding is a held lock: its mode, and a lease for each hold, in their order.
type holding struct {
	tenure
	leases []*lease
}

// lease is one hold of a lock.
type lease struct {
	name    string
	owner   string
	granted op.Timestamp
	ends    time.Duration // on the monotonic clock
	place   int           // in the heap
}

// expireRetry is after how long an expiry that was not applied is said again.
const expireRetry = time.Second

// expireUnit is how many leases are ended by one unit.
const expireUnit = 128

func newLeases(r *Replica) *leases {
	return &leases{r: r, byLock: map[string]holding{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// observe is told of changes by the state machine.
func (l *leases) observe(changes []mvcc.Change) {
	for i := range changes {
		if c := &changes[i]; c.Name.Space == op.SpaceLock {
			l.change(c)
		}
	}
}

func (l *leases) change(c *mvcc.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leading {
		return
	}
	var state op.LockState
	if !c.Record.Deleted {
		if s, err := locks.Decode(c.Record); err == nil {
			state = s
		}
	}
	l.replace(string(c.Name.Key), &state)
}

// replace makes the holds of a state the leases of a lock. A hold that was known with the same grant keeps its end. l.mu is held.
func (l *leases) replace(name string, state *op.LockState) {
	old := l.byLock[name].leases
	now := make([]*lease, 0, len(state.Holds))
	for i := range state.Holds {
		h := &state.Holds[i]
		n := find(old, h)
		l.forget(old[:max(n, 0)])
		if old = old[max(n, 0):]; n < 0 || old[0].granted != h.Granted {
			e := &lease{name: name, owner: string(h.Owner), granted: h.Granted, ends: l.r.cfg.Clock.Mono() + time.Duration(h.TTLMilli)*time.Millisecond}
			now = append(now, e)
			heap.Push(&l.due, e)
			continue
		}
		now, old = append(now, old[0]), old[1:]
	}
	l.forget(old)
	if len(now) == 0 {
		delete(l.byLock, name)
	} else {
		l.byLock[name] = holding{tenureOf(state), now}
	}
	l.nudge()
}

// find is the place of a hold's owner among leases, or -1. Both lists have the holders in the order in which they came, so of many
// it is looked for from where the one before it was found.
func find(es []*lease, h *op.Hold) int {
	return slices.IndexFunc(es, func(e *lease) bool { return e.owner == string(h.Owner) })
}

func (l *leases) forget(es []*lease) {
	for _, e := range es {
		heap.Remove(&l.due, e.place)
	}
}

// tenure is how a lock is held.
func (l *leases) tenure(name []byte) tenure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byLock[string(name)].tenure
}

// mayHoldLook is among how many holders an owner is looked for.
const mayHoldLook = 64

// mayHold tells whether an owner may be one of the holders of a lock. False: it is none. Among very many it is not looked for.
func (l *leases) mayHold(name, owner []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.byLock[string(name)].leases
	return len(held) > mayHoldLook || slices.ContainsFunc(held, func(e *lease) bool { return e.owner == string(owner) })
}

func (l *leases) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lead starts every lease in the store afresh. Changes that are applied meanwhile are seen by observe and not overwritten.
func (l *leases) lead(store *storage.Store) error {
	l.mu.Lock()
	l.leading = true
	l.mu.Unlock()
	snap := store.Snapshot()
	defer snap.Close()
	s := l.r.machine.State()
	return mvcc.ScanCurrent(snap, op.SpaceLock, s.From, s.To, func(n op.Name, rec mvcc.Record) error {
		state, err := locks.Decode(rec)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, known := l.byLock[string(n.Key)]; !known && l.leading {
			l.replace(string(n.Key), &state)
		}
		return nil
	})
}

// narrow forgets the leases of locks that are another partition's by now.
func (l *leases) narrow(owns func(name []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, h := range l.byLock {
		if !owns([]byte(name)) {
			l.forget(h.leases)
			delete(l.byLock, name)
		}
	}
}

// follow forgets all leases: they are the next leader's.
func (l *leases) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leading = false
	l.byLock = map[string]holding{}
	l.due = nil
}

func (l *leases) stop() { close(l.stopped) }

// run says in the log which leases have run out, until stopped.
func (l *leases) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		unit, wait := l.expired()
		if len(unit) > 0 {
			l.say(unit)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.wake:
		case <-l.stopped:
			return
		}
	}
}

// expired gives the operations that end the leases that have run out, or how long there is nothing to do.
func (l *leases) expired() (fsm.Unit, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.r.cfg.Clock.Mono()
	var unit fsm.Unit
	for len(l.due) > 0 && len(unit) < expireUnit {
		e := l.due[0]
		if e.ends > now {
			break
		}
		unit = append(unit, &op.LockExpire{Name: []byte(e.name), Owner: []byte(e.owner), Granted: e.granted})
		e.ends = now + expireRetry
		heap.Fix(&l.due, 0)
	}
	if len(l.due) == 0 {
		return unit, time.Hour
	}
	return unit, l.due[0].ends - now
}

// say proposes the ends of leases. What was applied comes back by observe; what was not is said again later.
func (l *leases) say(unit fsm.Unit) {
	p, err := l.r.Submit(unit)
	if err != nil {
		return
	}
	select {
	case <-p.Done():
	case <-l.stopped:
		return
	}
	results, err := p.Result()
	if err != nil {
		return
	}
	for i, res := range results {
		if e := unit[i].(*op.LockExpire); res.Status == op.Moved || res.Status == op.OK && !res.Done {
			l.drop(string(e.Name), string(e.Owner), e.Granted)
		}
	}
}

// drop forgets a lease that is not there any more.
func (l *leases) drop(name, owner string, granted op.Timestamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.byLock[name]
	i := slices.IndexFunc(h.leases, func(e *lease) bool { return e.owner == owner && e.granted == granted })
	if i < 0 {
		return
	}
	heap.Remove(&l.due, h.leases[i].place)
	h.leases = slices.Delete(h.leases, i, i+1)
	if len(h.leases) == 0 {
		delete(l.byLock, name)
	} else {
		l.byLock[name] = h
	}
}

// remaining puts what is left of each hold's lease into a lock's state.
func (l *leases) remaining(name []byte, state *op.LockState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.byLock[string(name)].leases
	for i := range state.Holds {
		h := &state.Holds[i]
		n := find(left, h)
		if n < 0 {
			continue
		}
		if left = left[n:]; left[0].granted == h.Granted {
			h.TTLMilli = max(0, (left[0].ends - l.r.cfg.Clock.Mono()).Milliseconds())
		}
	}
}

// complete completes what operations of the log have read of locks: the log knows only the whole lengths of leases.
func (l *leases) complete(ops []op.Op, results []op.Result) {
	for i, o := range ops {
		if info, ok := o.(*op.LockInfo); ok {
			l.r.tellLock(info, &results[i])
		} else if m := op.MultiOf(o); m != nil && len(results[i].Sub) == len(m.Ops) {
			l.complete(m.Ops, results[i].Sub)
		}
	}
}

// dueHeap orders leases by their end.
type dueHeap []*lease

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].ends < h[j].ends }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *dueHeap) Push(x any) {
	e := x.(*lease)
	e.place = len(*h)
	*h = append(*h, e)
}
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}

package partition

import (
	"container/heap"
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
	byLock  map[string][]*lease
	due     dueHeap
	wake    chan struct{}
	stopped chan struct{}
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
	return &leases{r: r, byLock: map[string][]*lease{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
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
	var holds []op.Hold
	if !c.Record.Deleted {
		if state, err := locks.Decode(c.Record); err == nil {
			holds = state.Holds
		}
	}
	l.replace(string(c.Name.Key), holds)
}

// replace makes holds the leases of a lock. A hold that was known with the same grant keeps its end. l.mu is held.
func (l *leases) replace(name string, holds []op.Hold) {
	old := l.byLock[name]
	var now []*lease
	for _, h := range holds {
		if e := find(old, string(h.Owner), h.Granted); e != nil {
			now = append(now, e)
			continue
		}
		e := &lease{name: name, owner: string(h.Owner), granted: h.Granted, ends: l.r.cfg.Clock.Mono() + time.Duration(h.TTLMilli)*time.Millisecond}
		now = append(now, e)
		heap.Push(&l.due, e)
	}
	for _, e := range old {
		if find(now, e.owner, e.granted) == nil {
			heap.Remove(&l.due, e.place)
		}
	}
	if len(now) == 0 {
		delete(l.byLock, name)
	} else {
		l.byLock[name] = now
	}
	l.nudge()
}

func find(es []*lease, owner string, granted op.Timestamp) *lease {
	for _, e := range es {
		if e.owner == owner && e.granted == granted {
			return e
		}
	}
	return nil
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
			l.replace(string(n.Key), state.Holds)
		}
		return nil
	})
}

// follow forgets all leases: they are the next leader's.
func (l *leases) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leading = false
	l.byLock = map[string][]*lease{}
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
		if e := unit[i].(*op.LockExpire); res.Status == op.OK && !res.Done {
			l.drop(string(e.Name), string(e.Owner), e.Granted)
		}
	}
}

// drop forgets a lease that is not there any more.
func (l *leases) drop(name, owner string, granted op.Timestamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []*lease
	for _, e := range l.byLock[name] {
		if e.owner == owner && e.granted == granted {
			heap.Remove(&l.due, e.place)
			continue
		}
		left = append(left, e)
	}
	if len(left) == 0 {
		delete(l.byLock, name)
	} else {
		l.byLock[name] = left
	}
}

// remaining puts what is left of each hold's lease into a lock's state.
func (l *leases) remaining(name []byte, state *op.LockState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range state.Holds {
		h := &state.Holds[i]
		if e := find(l.byLock[string(name)], string(h.Owner), h.Granted); e != nil {
			h.TTLMilli = max(0, (e.ends - l.r.cfg.Clock.Mono()).Milliseconds())
		}
	}
}

// complete does so for the locks that operations of the log have read: the log knows the whole lengths only.
func (l *leases) complete(ops []op.Op, results []op.Result) {
	for i, o := range ops {
		switch o := o.(type) {
		case *op.LockInfo:
			if results[i].Lock != nil {
				l.remaining(o.Name, results[i].Lock)
			}
		case *op.Multi:
			if len(results[i].Sub) == len(o.Ops) {
				l.complete(o.Ops, results[i].Sub)
			}
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

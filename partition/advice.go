package partition

import (
	"context"
	"slices"
	"sync"
	"time"

	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/storage"
)

// advice is the leader's table of what pessimistic transactions have locked in its partition, and of who waits. It is in memory
// only: with the leader it is lost, and the transactions find out at their commit whether they would have needed it.
//
// Wound-wait: who began earlier takes a lock away from who began later; that one gives way, and is told so when it asks again or
// confirms. Who began later waits, the earliest first. So there is no deadlock: all wait for earlier ones only, or for one that has
// confirmed, which waits for nobody. Source: Rosenkrantz, Stearns and Lewis, 1978.
type advice struct {
	clock   clock.Clock
	mu      sync.Mutex // held for moments only
	leading bool
	txns    map[op.TxnID]*adviser
	names   map[string]*nameLock
	ranges  []rangeLock
	waiting []*adviceWaiter // by start
	freed   bool            // something was freed, and not all who wait have been looked at since
	purged  time.Duration   // when those past their time were last put out
}

// adviser is a transaction that has asked for locks here.
type adviser struct {
	id        op.TxnID
	ends      time.Duration // on the monotonic clock
	names     []string
	confirmed bool
	wounded   bool
}

type nameLock struct {
	name op.Name
	by   *adviser
}

type rangeLock struct {
	scan op.ScanSeen
	by   *adviser
}

type adviceWaiter struct {
	o    *op.Advise
	done chan op.Result // with room for one
}

// Limits of a partition's table. Beyond them transactions go on without locks, and may conflict.
const (
	adviceLocksMax  = 1 << 16
	adviceRangesMax = 1 << 10
	adviceWaitMax   = 1 << 12
	advicePurge     = time.Second
	adviceReleased  = 10 * time.Second // for how long it is known that a transaction has released its locks
)

func (a *advice) reset(leading bool) {
	a.mu.Lock()
	a.leading = leading
	waiting := a.empty()
	a.mu.Unlock()
	dismiss(waiting)
}

// forget drops all locks, as a change of the leader does: the partition's range has changed, and they may be about names of others.
func (a *advice) forget() {
	a.mu.Lock()
	waiting := a.empty()
	a.mu.Unlock()
	dismiss(waiting)
}

// empty empties the table and returns who waits. The mutex is held.
func (a *advice) empty() (waiting []*adviceWaiter) {
	waiting, a.waiting, a.ranges = a.waiting, nil, nil
	a.txns, a.names = map[op.TxnID]*adviser{}, map[string]*nameLock{}
	return waiting
}

func dismiss(waiting []*adviceWaiter) {
	for _, w := range waiting {
		close(w.done)
	}
}

// advise runs an Advise.
func (r *Replica) advise(ctx context.Context, o *op.Advise) (op.Result, error) {
	w, res, err := r.advice.begin(o)
	if w == nil {
		return res, err
	}
	timer := time.NewTimer(time.Duration(o.WaitMilli) * time.Millisecond)
	defer timer.Stop()
	select {
	case res, ok := <-w.done:
		if !ok {
			return op.Result{}, ErrNotLeader
		}
		return res, nil
	case <-timer.C:
	case <-ctx.Done():
	case <-r.ctx.Done():
		err = ErrStopped
	}
	if res, ok := r.advice.giveUp(w); ok {
		return res, nil // it came just now
	}
	return op.Result{}, err
}

// begin does what is asked, or puts the request among those who wait.
func (a *advice) begin(o *op.Advise) (*adviceWaiter, op.Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.leading {
		return nil, op.Result{}, ErrNotLeader
	}
	a.purge()
	defer a.wake()
	switch o.Act {
	case op.AdviseConfirm:
		return nil, a.confirm(o), nil
	case op.AdviseRelease:
		a.release(o.Txn)
		return nil, op.Result{Done: true}, nil
	}
	res, ended := a.take(o)
	if ended || len(a.waiting) >= adviceWaitMax {
		return nil, op.Result{Done: !ended || res.Done, Status: res.Status}, nil
	}
	w := &adviceWaiter{o: o, done: make(chan op.Result, 1)}
	at, _ := slices.BinarySearchFunc(a.waiting, o.Txn, func(w *adviceWaiter, id op.TxnID) int { return int(int64(w.o.Txn) - int64(id)) })
	a.waiting = slices.Insert(a.waiting, at, w)
	return w, op.Result{}, nil
}

// giveUp takes back a request that waits. ok: it was answered before that.
func (a *advice) giveUp(w *adviceWaiter) (res op.Result, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.waiting, w); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		return res, false
	}
	res, ok = <-w.done // answered, or closed with the leadership
	return res, ok
}

// take takes all locks of a request, or none. ended is false when it is to wait.
func (a *advice) take(o *op.Advise) (res op.Result, ended bool) {
	x := a.adviser(o.Txn)
	if x.wounded {
		return op.Result{Status: op.Conflict}, true
	}
	x.ends = a.clock.Mono() + time.Duration(o.TTLMilli)*time.Millisecond
	inTheWay := a.inTheWay(x, o)
	for _, other := range inTheWay {
		if other.confirmed || other.id < x.id {
			return res, false
		}
	}
	for _, other := range inTheWay {
		other.wounded = true
		a.drop(other)
	}
	a.grant(x, o)
	return op.Result{Done: true}, true
}

func (a *advice) adviser(id op.TxnID) *adviser {
	x := a.txns[id]
	if x == nil {
		x = &adviser{id: id}
		a.txns[id] = x
	}
	return x
}

// release ends a transaction's locks. What it has asked for and is still to come or waits gets none: nobody would free it again.
func (a *advice) release(id op.TxnID) {
	x := a.adviser(id)
	a.drop(x)
	x.wounded, x.ends = true, a.clock.Mono()+adviceReleased
}

func (a *advice) grant(x *adviser, o *op.Advise) {
	for _, n := range o.Names {
		key := string(storage.AppendCurrent(nil, n))
		if a.names[key] == nil && len(a.names) < adviceLocksMax {
			a.names[key] = &nameLock{n, x}
			x.names = append(x.names, key)
		}
	}
	for _, s := range o.Scans {
		if len(a.ranges) < adviceRangesMax {
			a.ranges = append(a.ranges, rangeLock{s, x})
		}
	}
}

// inTheWay are the transactions that have what a request asks for.
func (a *advice) inTheWay(x *adviser, o *op.Advise) (others []*adviser) {
	add := func(by *adviser) {
		if by != x && !slices.Contains(others, by) {
			others = append(others, by)
		}
	}
	for _, n := range o.Names {
		if l := a.names[string(storage.AppendCurrent(nil, n))]; l != nil {
			add(l.by)
		}
		for i := range a.ranges {
			if scanHas(&a.ranges[i].scan, n) {
				add(a.ranges[i].by)
			}
		}
	}
	for i := range o.Scans {
		s := &o.Scans[i]
		for _, l := range a.names {
			if scanHas(s, l.name) {
				add(l.by)
			}
		}
		for k := range a.ranges {
			if scansMeet(s, &a.ranges[k].scan) {
				add(a.ranges[k].by)
			}
		}
	}
	return others
}

func (a *advice) confirm(o *op.Advise) op.Result {
	x := a.txns[o.Txn]
	if x == nil {
		return op.Result{Done: true}
	}
	if x.wounded {
		return op.Result{Status: op.Conflict}
	}
	x.confirmed = true
	x.ends = a.clock.Mono() + time.Duration(o.TTLMilli)*time.Millisecond
	return op.Result{Done: true}
}

// drop frees all that a transaction has.
func (a *advice) drop(x *adviser) {
	for _, key := range x.names {
		delete(a.names, key)
	}
	x.names = nil
	a.ranges = slices.DeleteFunc(a.ranges, func(l rangeLock) bool { return l.by == x })
	a.freed = true
}

// wake looks at all who wait, the earliest first, as long as anything is freed.
func (a *advice) wake() {
	for a.freed {
		a.freed = false
		a.waiting = slices.DeleteFunc(a.waiting, func(w *adviceWaiter) bool {
			res, ended := a.take(w.o)
			if ended {
				w.done <- res
			}
			return ended
		})
	}
}

// purge puts out, from time to time, transactions whose coordinators have not come back.
func (a *advice) purge() {
	now := a.clock.Mono()
	if now < a.purged+advicePurge {
		return
	}
	a.purged = now
	for id, x := range a.txns {
		if x.ends <= now {
			a.drop(x)
			delete(a.txns, id)
		}
	}
}

// held is how many transactions have locks.
func (a *advice) held() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.purged = -advicePurge
	a.purge()
	for _, x := range a.txns {
		if len(x.names) > 0 {
			n++
		}
	}
	for i := range a.ranges {
		if len(a.ranges[i].by.names) == 0 {
			n++
		}
	}
	a.wake()
	return n
}

// Advised is how many locks of pessimistic transactions this replica knows of.
func (r *Replica) Advised() int { return r.advice.held() }

package partition

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"kahuna/fsm"
	"kahuna/op"
)

// Limits bound what waits in a partition's queue and what one log entry takes.
type Limits struct {
	QueueOps   int
	QueueBytes int
	EntryOps   int // a unit may not have more
	EntryBytes int // of several units; a single one may be larger

	LockWaiters int // owners that wait for one lock; 0: as many as there may be

	RecentBytes int // of notes which names have changed lately, while somebody reads changes; 0: none
}

// Pending is a unit, or several under one number, on the way through the log.
type Pending struct {
	ops     fsm.Unit // of all units
	units   int
	number  *fsm.Number // nil: none
	encoded []byte
	place   atomic.Int32 // how far it is
	stamps  int          // timestamps it takes
	results []op.Result
	err     error
	done    chan struct{}
	ended   func([]op.Result, error) // told too, by whoever ends it; nil: nobody
}

// How far a unit is.
const (
	placeQueue     int32 = iota // it may still be withdrawn
	placeLog                    // it is proposed, or will be at once
	placeWithdrawn              // it will not be proposed
)

// Withdraw takes the unit back, if it was not proposed yet: it will change nothing then, and Done may never be closed.
func (p *Pending) Withdraw() bool { return p.place.CompareAndSwap(placeQueue, placeWithdrawn) }

// Done is closed when the unit has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Result is how it ended: one result for each operation, or an error. Only after Done.
func (p *Pending) Result() ([]op.Result, error) { return p.results, p.err }

// Await waits for the end. When ctx ends first, the unit is taken back and the error is ErrNotLeader, or it is ErrUncertain.
func (p *Pending) Await(ctx context.Context) ([]op.Result, error) {
	select {
	case <-p.done:
		return p.results, p.err
	case <-ctx.Done():
		return nil, Abandoned(p)
	}
}

// Abandoned is the end of something that is not waited for any more.
func Abandoned(p interface{ Withdraw() bool }) error {
	if p.Withdraw() {
		return ErrNotLeader
	}
	return ErrUncertain
}

func (p *Pending) finish(results []op.Result, err error) {
	p.results, p.err = results, err
	close(p.done)
	if p.ended != nil {
		p.ended(results, err)
	}
}

// queue holds the units that wait for a log entry.
type queue struct {
	limits  Limits
	mu      sync.Mutex
	arrived *sync.Cond
	units   []*Pending
	ops     int
	bytes   int
	holds   int // who is about to put more that belongs into the same entry
	stopped bool
}

func newQueue(l Limits) *queue {
	q := &queue{limits: l}
	q.arrived = sync.NewCond(&q.mu)
	return q
}

func (q *queue) put(p *Pending) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopped:
		return ErrStopped
	case q.ops+len(p.ops) > q.limits.QueueOps || q.bytes+len(p.encoded) > q.limits.QueueBytes && len(q.units) > 0:
		return ErrFull
	}
	q.units = append(q.units, p)
	q.ops += len(p.ops)
	q.bytes += len(p.encoded)
	q.arrived.Signal()
	return nil
}

// hold keeps what is in the queue there until release, which soon follows: more is to go into the same entry.
func (q *queue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holds++
}

func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.holds--; q.holds == 0 {
		q.arrived.Signal()
	}
}

// gatherTurns is how many turns on the processor the proposer leaves to others before it takes what waits. Connections that have
// a command at hand put it into the queue meanwhile, and it goes into the same entry. It costs nothing when nobody else wants to
// run. Measured with 50 clients on 2 cores: 57 us of CPU for a write without it, 48 with one turn, 44 with four.
const gatherTurns = 4

func gather() {
	for range gatherTurns {
		runtime.Gosched()
	}
}

// take waits for units and takes as many as one entry holds, in order; none when the queue is stopped.
func (q *queue) take() []*Pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.await()
	q.mu.Unlock()
	gather()
	q.mu.Lock()
	q.await()
	ops, bytes, n := 0, 0, 0
	for _, p := range q.units {
		if n > 0 && (ops+len(p.ops) > q.limits.EntryOps || bytes+len(p.encoded) > q.limits.EntryBytes) {
			break
		}
		ops += len(p.ops)
		bytes += len(p.encoded)
		n++
	}
	taken := slices.Clone(q.units[:n])
	rest := copy(q.units, q.units[n:])
	clear(q.units[rest:])
	q.units = q.units[:rest]
	q.ops -= ops
	q.bytes -= bytes
	return taken
}

// await waits for units. q.mu is held, save while it waits.
func (q *queue) await() {
	for (len(q.units) == 0 || q.holds > 0) && !q.stopped {
		q.arrived.Wait()
	}
}

// stop ends take and put, and gives back what waits.
func (q *queue) stop() []*Pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	left := q.units
	q.units, q.ops, q.bytes = nil, 0, 0
	q.arrived.Broadcast()
	return left
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops
}

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
)

// A lane takes what is for one partition to the node that leads it. What waits at the same time goes in one message, and some
// messages are under way at a time. Messages with writes are numbered (fsm.Number): when the end of one is not seen, it is sent
// again, to whoever leads then, until its end is known or the time is over, and runs once all the same. So a change of the
// leader is no error to those who wait.
type lane struct {
	r     *Router
	id    uint32
	reads bool

	mu      sync.Mutex
	waiting []*forwarded
	free    []*slot
}

// slot is one message's way. Its number rises with each.
type slot struct {
	index byte
	seq   uint64
}

// laneSlots is how many messages of a lane are under way at a time. What waits meanwhile gathers into larger ones.
const laneSlots = 4

// laneTurns is how many turns on the processor a lane leaves to others before it takes what waits, as a proposer does.
const laneTurns = 2

// forwarded is a unit on its way to another node.
type forwarded struct {
	ops     []op.Op
	bytes   int
	lane    *lane     // that it may wait in; nil: it was sent at once
	until   time.Time // when whoever waits for it gives up; zero: never
	done    chan struct{}
	results []op.Result
	err     error
}

// Done is closed when the unit has ended.
func (f *forwarded) Done() <-chan struct{} { return f.done }

// Result is how it ended. Only after Done.
func (f *forwarded) Result() ([]op.Result, error) { return f.results, f.err }

// Withdraw takes the unit back if it was not sent yet.
func (f *forwarded) Withdraw() bool {
	if f.lane == nil {
		return false
	}
	f.lane.mu.Lock()
	defer f.lane.mu.Unlock()
	at := slices.Index(f.lane.waiting, f)
	if at >= 0 {
		f.lane.waiting = slices.Delete(f.lane.waiting, at, at+1)
	}
	return at >= 0
}

// lanes are a router's lanes.
type lanes struct {
	mu     sync.RWMutex
	writes map[uint32]*lane
	reads  map[uint32]*lane
}

func (r *Router) lane(id uint32, reads bool) *lane {
	of := func() map[uint32]*lane {
		if reads {
			return r.lanes.reads
		}
		return r.lanes.writes
	}
	r.lanes.mu.RLock()
	l := of()[id]
	r.lanes.mu.RUnlock()
	if l != nil {
		return l
	}
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	if r.lanes.writes == nil {
		r.lanes.writes, r.lanes.reads = map[uint32]*lane{}, map[uint32]*lane{}
	}
	if l = of()[id]; l == nil {
		l = &lane{r: r, id: id, reads: reads}
		for i := range laneSlots {
			l.free = append(l.free, &slot{index: byte(i)})
		}
		of()[id] = l
	}
	return l
}

// put sends a unit as soon as there is a way. It is waited for until then; zero: for as long as it takes.
func (l *lane) put(ops []op.Op, until time.Time) *forwarded {
	f := &forwarded{ops: ops, lane: l, until: until, done: make(chan struct{})}
	for _, o := range ops {
		f.bytes += op.Size(o)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, f)
	if n := len(l.free); n > 0 {
		s := l.free[n-1]
		l.free = l.free[:n-1]
		l.r.running.Go(func() { l.run(s) })
	}
	return f
}

// run sends what waits, message by message.
func (l *lane) run(s *slot) {
	for {
		for range laneTurns {
			runtime.Gosched()
		}
		units := l.take(s)
		if len(units) == 0 {
			return
		}
		results, err := l.send(s, units)
		for _, f := range units {
			if f.err = err; err == nil {
				f.results, results = results[:len(f.ops):len(f.ops)], results[len(f.ops):]
			}
			close(f.done)
		}
	}
}

// take takes what fits a message. When nothing waits, the slot is free again.
func (l *lane) take(s *slot) []*forwarded {
	l.mu.Lock()
	defer l.mu.Unlock()
	ops, bytes, n := 0, 0, 0
	for _, f := range l.waiting {
		if n > 0 && (ops+len(f.ops) > unitOps || bytes+f.bytes > entryBytes) {
			break
		}
		ops, bytes, n = ops+len(f.ops), bytes+f.bytes, n+1
	}
	if n == 0 {
		l.free = append(l.free, s)
		return nil
	}
	taken := append([]*forwarded(nil), l.waiting[:n]...)
	rest := copy(l.waiting, l.waiting[n:])
	clear(l.waiting[rest:])
	l.waiting = l.waiting[:rest]
	return taken
}

func (l *lane) send(s *slot, units []*forwarded) ([]op.Result, error) {
	count := 0
	for _, f := range units {
		count += len(f.ops)
	}
	if l.reads {
		ops := make([]op.Op, 0, count)
		for _, f := range units {
			ops = append(ops, f.ops...)
		}
		ctx, cancel := context.WithTimeout(l.r.ctx, l.r.attempt())
		defer cancel()
		return l.r.askRead(ctx, mvcc.Latest, l.id, ops)
	}
	var encoded []byte
	for _, f := range units {
		encoded = fsm.AppendUnit(encoded, f.ops)
	}
	ctx, cancel := context.WithTimeout(l.r.ctx, l.r.timeout)
	defer cancel()
	return l.sendNumbered(ctx, s, message{l.id, len(units), count, encoded, earliest(units)})
}

// message is units of one partition, with their binary form.
type message struct {
	id      uint32
	units   int
	ops     int
	encoded []byte
	until   time.Time // when the first of those who wait gives up; zero: none does
}

// earliest is when the first of those who wait for units gives up.
func earliest(units []*forwarded) (first time.Time) {
	for _, f := range units {
		if !f.until.IsZero() && (first.IsZero() || f.until.Before(first)) {
			first = f.until
		}
	}
	return first
}

// tellBefore is how long before somebody gives up an attempt ends that may have led to nothing, so that they hear that it did.
const tellBefore = 20 * time.Millisecond

// bounded limits an attempt, as long as it is known that none has reached anybody. A connection that can't be made takes its time;
// those who would give up meanwhile are to know that nothing was sent.
func (m *message) bounded(ctx context.Context, reached bool) (context.Context, context.CancelFunc) {
	if reached || m.until.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, m.until.Add(-tellBefore))
}

// sendNumbered sends writes until their end is known. As long as none of the attempts can have reached a log, the end is that of the
// first: others may know better where to send it.
func (l *lane) sendNumbered(ctx context.Context, s *slot, m message) ([]op.Result, error) {
	first, cancel := m.bounded(ctx, false)
	incarnation, err := l.r.incarnation(first, 0)
	cancel()
	if err != nil {
		return nil, errors.Join(partition.ErrNoClock, err)
	}
	s.seq++
	reached := false
	for wait := backoffMin; ; wait = min(2*wait, backoffMax) {
		attempt, cancel := m.bounded(ctx, reached)
		results, err := l.r.askWrite(attempt, m, fsm.Number{Incarnation: incarnation, Slot: s.index, Seq: s.seq})
		cancel()
		switch {
		case err == nil && unknown(results) && !reached:
			// Nothing that this incarnation sends is taken any more.
			again, cancel := m.bounded(ctx, false)
			incarnation, err = l.r.incarnation(again, incarnation)
			if cancel(); err != nil {
				return nil, errors.Join(partition.ErrNoClock, err)
			}
			continue
		case err == nil && unknown(results):
			return nil, fmt.Errorf("%w: it was sent again, and its number is not known any more", partition.ErrUncertain)
		case err == nil:
			return results, nil
		case errors.Is(err, partition.ErrUncertain):
			reached = true
		case !reached:
			return nil, err
		}
		if !clock.Pause(ctx, wait) {
			return nil, fmt.Errorf("%w: %w", partition.ErrUncertain, err)
		}
	}
}

func unknown(results []op.Result) bool { return results[0].Status == op.Unknown }

// attempt is how long one attempt may take before another node is asked: one that is cut off or has stopped does not answer.
func (r *Router) attempt() time.Duration { return max(r.timeout/4, 200*time.Millisecond) }

// incarnation is what this node's numbers go by: a timestamp of the cluster's clock, made when it is first needed, and anew when the
// one before it was forgotten.
func (r *Router) incarnation(ctx context.Context, forgotten op.Timestamp) (op.Timestamp, error) {
	if i := op.Timestamp(r.incarnated.Load()); i != forgotten {
		return i, nil
	}
	fresh, err := r.Now(ctx, 1)
	if err != nil {
		return 0, err
	}
	r.incarnated.CompareAndSwap(uint64(forgotten), uint64(fresh))
	return op.Timestamp(r.incarnated.Load()), nil
}

// askWrite has writes run by the node that leads their partition: another one, or this one, if it has come to lead meanwhile.
func (r *Router) askWrite(ctx context.Context, m message, number fsm.Number) ([]op.Result, error) {
	node := r.leader(m.id)
	if node == "" {
		return r.writeHere(ctx, m, number)
	}
	ctx, cancel := context.WithTimeout(ctx, r.attempt())
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(partition.ErrNotLeader, err)
	}
	body := make([]byte, 0, len(m.encoded)+64)
	for _, v := range []uint64{uint64(m.id), uint64(number.Incarnation), uint64(number.Slot), number.Seq, uint64(m.units)} {
		body = binary.AppendUvarint(body, v)
	}
	answer, err := r.hub.Call(ctx, node, callWrite, append(body, m.encoded...))
	if errors.Is(err, raftgroup.ErrUnreachable) {
		r.hints.set(m.id, "")
		return nil, fmt.Errorf("%w: %w", partition.ErrNotLeader, err)
	}
	if err != nil {
		r.hints.set(m.id, "")
		return nil, fmt.Errorf("%w: %w", partition.ErrUncertain, err)
	}
	results, err := r.readAnswer(m.id, node, answer, m.ops)
	if errors.Is(err, errAnswer) {
		err = errors.Join(partition.ErrUncertain, err)
	}
	return results, err
}

func (r *Router) writeHere(ctx context.Context, m message, number fsm.Number) ([]op.Result, error) {
	replica := r.replica(m.id)
	if replica == nil {
		return nil, partition.ErrNotLeader
	}
	units, err := decodeUnits(m.encoded, m.units)
	if err != nil {
		return nil, err
	}
	p, err := replica.SubmitNumbered(units, m.encoded, number)
	if err != nil {
		return nil, err
	}
	return p.Await(ctx)
}

// askRead has reads run by the node that leads their partition.
func (r *Router) askRead(ctx context.Context, at op.Timestamp, id uint32, ops []op.Op) ([]op.Result, error) {
	node := r.leader(id)
	if node == "" {
		return nil, partition.ErrNotLeader
	}
	answer, err := r.hub.Call(ctx, node, callRead, appendRead(nil, id, at, ops))
	if err != nil {
		r.hints.set(id, "")
		return nil, fmt.Errorf("%w: %w", partition.ErrNotLeader, err)
	}
	return r.readAnswer(id, node, answer, len(ops))
}

// readAnswer reads the answer of a node and notes who leads.
func (r *Router) readAnswer(id uint32, node string, answer []byte, ops int) ([]op.Result, error) {
	said, answer, err := cutMoved(answer)
	if err != nil {
		return nil, err
	}
	results, leader, err := readEnd(answer, ops)
	if said != nil && err == nil {
		r.learn(said)
	}
	switch {
	case err == nil:
		r.hints.set(id, node)
	case errors.Is(err, partition.ErrNotLeader):
		r.hints.set(id, leader)
	}
	return results, err
}

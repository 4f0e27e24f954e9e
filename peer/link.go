package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/raftgroup"
)

// Calls of Raft have limits of their own, so that others never crowd out a heartbeat; and so have those that wait long, so that they
// don't crowd out what is answered at once.
const (
	classRaft = iota
	classOther
	classWait
	classes
)

func classOf(request []byte) int {
	if len(request) > 0 && request[0] >= raftgroup.KindFirst && request[0] <= raftgroup.KindLast {
		return classRaft
	}
	if len(request) > 0 && request[0] >= raftgroup.KindWait {
		return classWait
	}
	return classOther
}

const readBufferBytes = 64 << 10

// link is a connection for this node's calls.
type link struct {
	p      *peer
	s      secured
	w      *writer
	useful atomic.Bool // something came back

	mu       sync.Mutex
	err      error // why it ended
	lastID   uint64
	pending  map[uint64]*call
	inFlight [classes]int
	free     []*call
}

// call is a request that waits for its answer.
type call struct {
	done  chan answer // one slot; used again for later calls
	class int
}

type answer struct {
	body []byte
	err  error
}

const freeCallsMax = 256

func newLink(p *peer, s secured) *link {
	return &link{p: p, s: s, w: newWriter(s.conn, p.n.cfg.Limits, &p.counters.writes), pending: map[uint64]*call{}}
}

// run reads answers until the connection ends.
func (l *link) run() {
	var writing sync.WaitGroup
	writing.Go(func() {
		err := l.w.run()
		_ = l.s.raw.Close() // ends the reader; its error is told by the writer's
		l.fail(err)
	})
	err := l.read()
	l.fail(err)
	l.w.fail(ErrConnectionLost)
	l.p.n.drop(l.s.raw)
	writing.Wait()
	l.p.lost(l, err)
	if l.p.n.ctx.Err() == nil {
		l.p.n.log.Warn().Err(err).Str("peer", l.p.addr).Msg("connection to another node ended")
	}
}

func (l *link) read() error {
	r := frameReader{src: bufio.NewReaderSize(l.s.conn, readBufferBytes), max: l.p.n.cfg.Limits.FrameBytesMax}
	for {
		f, err := r.next(nil)
		if err != nil {
			return err
		}
		if f.kind != kindResponse || len(f.payload) < statusBytes {
			return fmt.Errorf("%w: kind %d, %d bytes", errMalformed, f.kind, len(f.payload))
		}
		l.deliver(f.id, readResponse(f.payload))
	}
}

// deliver gives an answer to the one who waits for it, if somebody does.
func (l *link) deliver(id uint64, a answer) {
	if !l.useful.Swap(true) {
		l.p.proved()
	}
	if c := l.remove(id); c != nil {
		c.done <- a
	}
}

func (l *link) remove(id uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.pending[id]
	if c != nil {
		delete(l.pending, id)
		l.inFlight[c.class]--
	}
	return c
}

// fail ends all calls that wait, and all that come.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = fmt.Errorf("%w: %s: %w", ErrConnectionLost, l.p.addr, err)
	}
	pending := l.pending
	l.pending = map[uint64]*call{}
	l.inFlight = [classes]int{}
	err = l.err
	l.mu.Unlock()
	for _, c := range pending {
		c.done <- answer{err: err}
	}
}

// call sends a request and waits for the answer. Unless sent, another connection may be tried.
func (l *link) call(ctx context.Context, request []byte) (response []byte, sent bool, err error) {
	if len(request) > l.p.n.cfg.Limits.FrameBytesMax-overheadBytes-deadlineBytes {
		return nil, true, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(request))
	}
	remaining, ok := remainingMillis(ctx)
	if !ok {
		return nil, true, unreachable(l.p.addr, context.DeadlineExceeded) // nothing is sent
	}
	id, c, err := l.begin(classOf(request))
	if err != nil {
		return nil, errors.Is(err, ErrBusy), unreachable(l.p.addr, err)
	}
	var prefix [deadlineBytes]byte
	binary.LittleEndian.PutUint32(prefix[:], remaining)
	if err := l.w.send(kindRequest, id, prefix[:], request); err != nil {
		l.giveUp(id, c)
		return nil, errors.Is(err, ErrBusy), unreachable(l.p.addr, err)
	}
	select {
	case a := <-c.done:
		l.recycle(c)
		return a.body, true, a.err
	case <-ctx.Done():
		if a, answered := l.giveUp(id, c); answered {
			return a.body, true, a.err
		}
		_ = l.w.send(kindCancel, id, nil, nil) // if it does not arrive, the deadline there ends the request
		return nil, true, ctx.Err()
	}
}

// begin makes room for a call.
func (l *link) begin(class int) (uint64, *call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, nil, l.err
	}
	if l.inFlight[class] >= l.p.n.cfg.Limits.inFlight(class) {
		return 0, nil, ErrBusy
	}
	var c *call
	if last := len(l.free) - 1; last >= 0 {
		c, l.free = l.free[last], l.free[:last]
	} else {
		c = &call{done: make(chan answer, 1)}
	}
	c.class = class
	l.inFlight[class]++
	l.lastID++
	l.pending[l.lastID] = c
	return l.lastID, c, nil
}

// giveUp takes a call back. If it has been answered meanwhile, the answer is returned.
func (l *link) giveUp(id uint64, c *call) (a answer, answered bool) {
	if answered = l.remove(id) == nil; answered {
		a = <-c.done // whoever removed it sends at once
	}
	l.recycle(c)
	return a, answered
}

func (l *link) recycle(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < freeCallsMax {
		l.free = append(l.free, c)
	}
}

// remainingMillis is how long the caller waits, rounded up, 0 for ever. False: not any more.
func remainingMillis(ctx context.Context) (uint32, bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, true
	}
	left := time.Until(deadline)
	if left <= 0 {
		return 0, false
	}
	ms := (left + time.Millisecond - 1) / time.Millisecond
	return uint32(min(ms, math.MaxUint32)), true
}

package wal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Log is the write-ahead log of a node. Two goroutines work for it: the writer (writes batches, applies them, copies records
// forward) and the keeper (makes the next segment, removes dead ones, keeps the mark).
type Log struct {
	o       Options
	reserve int64 // bytes

	broken atomic.Pointer[error] // why the log is not usable: closed or failed

	mu       sync.Mutex
	work     sync.Cond // the writer waits here for calls
	ready    sync.Cond // and here for the next segment
	groups   map[uint32]*Group
	queue    []*batch // the last one takes calls
	spare    buffers
	stopping bool // Close was called: the writer ends when the queue is empty
	fault    error
	segs     []*segment // oldest first; the last one is written to. Changed by the writer only
	next     *segment   // made ahead, or nil
	nextErr  error      // why the last attempt to make it failed
	tries    uint64     // attempts begun,
	tried    uint64     // ended,
	wanted   uint64     // and asked for by the writer
	dead     []*segment // nothing in them is needed; the keeper removes them
	durable  uint64     // sequence of the last synced batch
	collects bool       // there may be something to collect
	marked   bool       // the keeper saw no batch above the mark, and has to be woken by the next one
	stats    Stats

	// The writer's own.
	seq   uint64 // of the next batch
	cache cache
	pass  pass

	// The keeper's own.
	mark       *markFile
	markAfter  time.Time // not before
	retryAfter time.Time
	dropAfter  time.Time
	fullLogged bool

	kick       chan struct{} // wakes the keeper
	keeperStop atomic.Bool
	writerDone chan struct{}
	keeperDone chan struct{}
}

func newLog(o Options, m *markFile) *Log {
	l := &Log{
		o:          o,
		reserve:    min(o.SegmentBytes/8, reserveMaxBytes),
		groups:     map[uint32]*Group{},
		cache:      newCache(),
		mark:       m,
		kick:       make(chan struct{}, 1),
		writerDone: make(chan struct{}),
		keeperDone: make(chan struct{}),
	}
	l.work.L, l.ready.L = &l.mu, &l.mu
	return l
}

// usable returns ErrClosed, or an error that wraps ErrFailed, or nil.
func (l *Log) usable() error {
	if err := l.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Group returns a group's view, always the same for one id.
func (l *Log) Group(id uint32) *Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.group(id)
}

func (l *Log) group(id uint32) *Group {
	g := l.groups[id]
	if g == nil {
		g = &Group{log: l, id: id}
		l.groups[id] = g
	}
	return g
}

// sortedGroups is a copy of all views, used or not, in the order of their ids.
func (l *Log) sortedGroups() []*Group {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Group, 0, len(l.groups))
	for _, g := range l.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *Group) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return all
}

// Groups returns the ids of the groups that have an entry or a key in the log, in ascending order.
func (l *Log) Groups() []uint32 {
	var ids []uint32
	for _, g := range l.sortedGroups() {
		if g.used() {
			ids = append(ids, g.id)
		}
	}
	return ids
}

// RemoveGroup durably forgets a group, its entries and its keys. Its id and its view may be used again.
func (l *Log) RemoveGroup(id uint32) error {
	b, err := l.begin(0)
	if err != nil {
		return err
	}
	g := l.group(id)
	b.addRemove(g)
	g.queued(&b.ops[len(b.ops)-1])
	l.end()
	return b.wait(true)
}

// begin returns the batch that takes a call of so many bytes, with l.mu held until end or abandon.
func (l *Log) begin(size int) (*batch, error) {
	if size > maxCallBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, size, maxCallBytes)
	}
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return nil, err
	}
	if n := len(l.queue); n > 0 {
		if b := l.queue[n-1]; len(b.ops) == 0 || len(b.buf)+size <= l.o.MaxBatchBytes {
			return b, nil
		}
	}
	b := newBatch(l.spare)
	l.spare = buffers{}
	l.queue = append(l.queue, b)
	return b, nil
}

func (l *Log) end() {
	l.work.Signal()
	l.mu.Unlock()
}

// abandon is end for a call that added nothing.
func (l *Log) abandon() { l.mu.Unlock() }

// Stats returns the counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Sequence = l.durable
	count := func(segs ...*segment) {
		for _, seg := range segs {
			s.Segments++
			s.DiskBytes += seg.size.Load()
		}
	}
	count(l.segs...)
	count(l.dead...)
	if l.next != nil {
		count(l.next)
	}
	return s
}

// failStop stops the log for good: every call that waits and every later one gets the error. It returns what they get.
func (l *Log) failStop(cause error) error {
	l.mu.Lock()
	first := l.fault == nil
	if first {
		l.fault = fmt.Errorf("%w: %w", ErrFailed, cause)
		l.broken.CompareAndSwap(nil, &l.fault)
	}
	fault, queue := l.fault, l.queue
	l.queue = nil
	l.work.Broadcast()
	l.ready.Broadcast()
	l.mu.Unlock()
	l.wakeKeeper()
	for _, b := range queue {
		b.finish(fault)
	}
	if first {
		l.o.Logger.Error().Err(cause).Msg("write-ahead log stopped")
		if l.o.OnFault != nil {
			l.o.OnFault(fault)
		}
	}
	return fault
}

// Close completes the calls that wait, stops both goroutines and writes the clean mark. A second Close returns ErrClosed at
// once; a Close of a failed log returns why it failed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.stopping {
		l.mu.Unlock()
		return ErrClosed
	}
	l.stopping = true
	closed := ErrClosed
	l.broken.CompareAndSwap(nil, &closed)
	l.work.Broadcast()
	l.mu.Unlock()
	<-l.writerDone
	l.keeperStop.Store(true)
	l.wakeKeeper()
	<-l.keeperDone
	return errors.Join(l.closeMark(), l.closeFiles())
}

func (l *Log) closeMark() error {
	l.mu.Lock()
	fault := l.fault
	l.mu.Unlock()
	if fault != nil {
		return fault
	}
	if err := l.mark.save(mark{seq: l.durable, first: l.mark.mark.first, clean: true}); err != nil {
		return fmt.Errorf("wal: clean mark: %w", err)
	}
	return nil
}

func (l *Log) closeFiles() error {
	errs := []error{l.mark.f.Close()}
	for _, s := range slices.Concat(l.segs, l.dead) {
		errs = append(errs, s.f.Close())
	}
	if l.next != nil {
		errs = append(errs, l.next.f.Close())
	}
	return errors.Join(errs...)
}

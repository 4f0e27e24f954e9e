package wal

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// write is the writer: it takes a batch, writes and syncs it, applies it, and wakes its callers. Between batches it collects.
func (l *Log) write() {
	defer close(l.writerDone)
	for {
		b, ok := l.take()
		if !ok {
			return
		}
		if b != nil {
			err := l.commit(b)
			if err != nil && !errors.Is(err, ErrNoSpace) {
				b.finish(l.failStop(err))
				return
			}
		}
		if err := l.collect(); err != nil {
			l.failStop(err)
			return
		}
	}
}

// take waits for a batch, or for something to collect (nil, true), or for the end (nil, false).
func (l *Log) take() (*batch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.fault != nil:
			return nil, false
		case len(l.queue) > 0 && len(l.queue[0].ops) > 0:
			b := l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			return b, true
		case l.stopping:
			return nil, false
		case l.collects:
			return nil, true
		}
		l.work.Wait()
		l.gather()
	}
}

// gather leaves the processor to others for a moment, so that groups that are about to write get into the same batch, and so
// share its sync. It costs nothing when nobody else wants to run. l.mu is held, and given up meanwhile.
func (l *Log) gather() {
	l.mu.Unlock()
	runtime.Gosched()
	runtime.Gosched()
	l.mu.Lock()
}

// commit ends the batch, except on an error that stops the log.
func (l *Log) commit(b *batch) error {
	seg, err := l.place(int64(len(b.buf)), b.urgent(), true)
	if errors.Is(err, ErrNoSpace) {
		l.refuse(b, err)
		return err
	}
	if err != nil {
		return err
	}
	if err := l.put(b, seg); err != nil {
		return err
	}
	l.recycle(b)
	b.finish(nil)
	return nil
}

// put writes, syncs and applies a batch.
func (l *Log) put(b *batch, seg *segment) error {
	h := frame{seq: l.seq, prev: l.durable, body: uint32(len(b.buf) - frameHeaderBytes), records: uint32(len(b.refs))}
	h.put(b.buf, seg.seed)
	if _, err := seg.f.WriteAt(b.buf, seg.off); err != nil {
		return fmt.Errorf("wal: writing segment %d: %w", seg.number, err)
	}
	start := time.Now()
	if err := l.o.Sync(seg.f); err != nil {
		return fmt.Errorf("wal: syncing segment %d: %w", seg.number, err)
	}
	took := time.Since(start)
	base := seg.off
	seg.off += int64(len(b.buf))
	l.seq++
	l.wrote(b, h.seq, took)
	return l.apply(b, seg, base)
}

// wrote counts a durable batch, and wakes the keeper if the mark was up to date before it.
func (l *Log) wrote(b *batch, seq uint64, took time.Duration) {
	l.mu.Lock()
	l.durable = seq
	l.stats.Syncs++
	l.stats.Bytes += uint64(len(b.buf))
	l.stats.Records += uint64(len(b.refs))
	l.stats.LastSync = took
	l.collects = true
	wake := l.marked
	l.marked = false
	l.mu.Unlock()
	if wake {
		l.wakeKeeper()
	}
}

// recycle keeps the buffers of a batch, unless they are unusually large.
func (l *Log) recycle(b *batch) {
	clear(b.ops) // let go of groups and values
	old := buffers{buf: b.buf, refs: b.refs, ops: b.ops}
	b.buf, b.refs, b.ops = nil, nil, nil
	if cap(old.buf) > l.o.MaxBatchBytes+frameHeaderBytes {
		return
	}
	l.mu.Lock()
	l.spare = old
	l.mu.Unlock()
}

// place returns the segment for a frame of need bytes, and switches to the next one when the current is full. Without a next
// one, only urgent frames may take the reserve of the current. If wait, it waits for an attempt to make the next one.
func (l *Log) place(need int64, urgent, wait bool) (*segment, error) {
	cur := l.current()
	next := l.peekNext()
	if l.fits(need, urgent || next != nil) {
		return cur, nil
	}
	if next == nil && wait {
		var err error
		if next, err = l.awaitNext(); err != nil {
			return nil, err
		}
	}
	switch {
	case next == nil:
		return nil, ErrNoSpace
	case cur.room() >= need:
		return cur, nil
	}
	if next.room() < need {
		if err := next.grow(l.o, segmentHeaderBytes+need+l.reserve); err != nil {
			return nil, classify(err)
		}
	}
	l.advance(next)
	return next, nil
}

func (l *Log) current() *segment { return l.segs[len(l.segs)-1] }

// fits says whether the current segment has room for need bytes, the reserve included if it may be used.
func (l *Log) fits(need int64, useReserve bool) bool {
	room := l.current().room() - need
	return room >= l.reserve || useReserve && room >= 0
}

// classify wraps an error of making room.
func classify(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

func (l *Log) peekNext() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// awaitNext asks for an attempt that begins after now, and waits for its end.
func (l *Log) awaitNext() (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = l.tries + 1
	l.wakeKeeper()
	for target := l.wanted; l.next == nil && l.tried < target && l.fault == nil; {
		l.ready.Wait()
	}
	switch {
	case l.next != nil:
		return l.next, nil
	case l.fault != nil:
		return nil, l.fault
	}
	return nil, l.nextErr
}

// advance makes the next segment the current one, and has another one made.
func (l *Log) advance(next *segment) {
	l.mu.Lock()
	l.segs = append(l.segs, next)
	l.next = nil
	l.mu.Unlock()
	l.wakeKeeper()
}

// refuse fails the batch and all that waits behind it for lack of space, except urgent calls: those get a batch of their own, at
// the front. A later append may have counted on an earlier one, so all appends fail; deletions and keys depend on nothing.
func (l *Log) refuse(b *batch, cause error) {
	l.mu.Lock()
	failed := append([]*batch{b}, l.queue...)
	l.queue = nil
	if !b.urgent() {
		rest := newBatch(buffers{})
		for _, f := range failed {
			f.moveUrgent(rest)
		}
		l.queue = []*batch{rest}
	}
	l.requeue()
	l.mu.Unlock()
	for _, f := range failed {
		f.finish(cause)
	}
}

// requeue sets the bounds that later calls are checked against to the state and what is still queued. l.mu is held.
func (l *Log) requeue() {
	for _, g := range l.groups {
		g.firstQueued, g.lastQueued = g.bounds()
	}
	for _, b := range l.queue {
		for i := range b.ops {
			b.ops[i].g.queued(&b.ops[i])
		}
	}
}

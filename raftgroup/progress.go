package raftgroup

import (
	"context"
	"sync"
	"sync/atomic"
)

// progress is the index up to which the state machine has everything, and those who wait for it.
//
// Invariant: it is at or above i only if every command entry at or below i is in the state machine.
type progress struct {
	index atomic.Uint64

	mu      sync.Mutex
	waiters map[*waiter]struct{}
	err     error // for all who wait, from now on
}

type waiter struct {
	index uint64
	done  chan struct{} // closed when reached, or stopped
}

// advance raises the index; it never falls.
func (p *progress) advance(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index <= p.index.Load() {
		return
	}
	p.index.Store(index)
	for w := range p.waiters {
		if w.index <= index {
			p.wake(w)
		}
	}
}

func (p *progress) wake(w *waiter) {
	delete(p.waiters, w)
	close(w.done)
}

// stop ends all waiting, now and later, with err, except for what has been reached.
func (p *progress) stop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.err = err
	for w := range p.waiters {
		p.wake(w)
	}
}

// wait waits until index is reached. It allocates only if it is not.
func (p *progress) wait(ctx context.Context, index uint64) error {
	if p.index.Load() >= index {
		return nil
	}
	w := p.enter(index)
	if w == nil {
		return p.outcome(index)
	}
	select {
	case <-w.done:
		return p.outcome(index)
	case <-ctx.Done():
		p.leave(w)
		return ctx.Err()
	}
}

func (p *progress) enter(index uint64) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index.Load() >= index || p.err != nil {
		return nil
	}
	if p.waiters == nil {
		p.waiters = map[*waiter]struct{}{}
	}
	w := &waiter{index: index, done: make(chan struct{})}
	p.waiters[w] = struct{}{}
	return w
}

func (p *progress) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiters, w)
}

func (p *progress) outcome(index uint64) error {
	if p.index.Load() >= index {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

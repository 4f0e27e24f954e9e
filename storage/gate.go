package storage

import (
	"sync"
	"sync/atomic"
)

// gate lets commits through, many at a time, and can be shut for a moment with none inside. It waits on a sync.Cond and not
// on a mutex, since what is inside waits for Badger, and a goroutine that waits for a mutex stops a synctest bubble's clock.
type gate struct {
	mu     sync.Mutex
	moved  sync.Cond
	inside int
	closed bool
}

func newGate() *gate {
	g := new(gate)
	g.moved.L = &g.mu
	return g
}

func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed {
		g.moved.Wait()
	}
	g.inside++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.closed {
		g.moved.Broadcast()
	}
}

// shut returns when nobody is inside, and keeps everybody out until open. One caller at a time.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for g.inside > 0 {
		g.moved.Wait()
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	g.moved.Broadcast()
}

// usage counts the calls that are in Badger right now, so that Close does not unmap files under a reader. The counter is
// far below zero once it is ended.
type usage struct {
	n    atomic.Int64
	once sync.Once
	idle chan struct{}
}

const usageEnded = -1 << 40

func newUsage() *usage { return &usage{idle: make(chan struct{})} }

// begin tells whether the caller may go on, and must then call end.
func (u *usage) begin() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.end()
	return false
}

func (u *usage) end() { u.settle(u.n.Add(-1)) }

func (u *usage) settle(n int64) {
	if n == usageEnded {
		u.once.Do(func() { close(u.idle) })
	}
}

// finish lets nobody in any more. The channel is closed when everybody is out. It is called once.
func (u *usage) finish() <-chan struct{} {
	u.settle(u.n.Add(usageEnded))
	return u.idle
}

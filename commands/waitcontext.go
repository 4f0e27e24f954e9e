package commands

import (
	"context"
	"slices"
	"sync"
	"time"
)

// waitContext is the context of a command that blocks: it ends when its time is over (DeadlineExceeded), or when nobody waits any more
// (Canceled). It does what those of package context would, for a tenth of the memory: there may be a hundred thousand, which do nothing.
type waitContext struct {
	deadline time.Time

	mu    sync.Mutex
	timer *time.Timer
	err   error
	cause error // why it was cancelled
	done  chan struct{}
	after []*afterEnd
}

type afterEnd struct{ f func() }

var _ context.Context = (*waitContext)(nil)

func newWaitContext(d time.Duration) *waitContext {
	c := &waitContext{deadline: time.Now().Add(d)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(d, func() { c.end(context.DeadlineExceeded, nil) })
	return c
}

// cancel ends the wait for a reason.
func (c *waitContext) cancel(cause error) { c.end(context.Canceled, cause) }

func (c *waitContext) end(err, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err, c.cause = err, cause
	c.timer.Stop()
	if c.done != nil {
		close(c.done)
	}
	for _, a := range c.after {
		go a.f()
	}
	c.after = nil
}

// why is the reason of a cancel; nil: there was none.
func (c *waitContext) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// AfterFunc is what context.AfterFunc uses, and all contexts that are derived from this one: so they cost no goroutine.
func (c *waitContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	a := &afterEnd{f}
	c.after = append(c.after, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		at := slices.Index(c.after, a)
		if at >= 0 {
			c.after = slices.Delete(c.after, at, at+1)
		}
		return at >= 0
	}
}

// Deadline is when the time is over.
func (c *waitContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed at the end.
func (c *waitContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err tells how it ended.
func (c *waitContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value finds nothing.
func (c *waitContext) Value(any) any { return nil }

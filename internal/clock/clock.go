// Package clock is where time comes from, so that a test can jump it.
package clock

import (
	"context"
	"sync/atomic"
	"time"
)

// Clock tells the time of one node.
type Clock interface {
	// Wall is the wall clock, which may jump either way at any moment.
	Wall() time.Time
	// Mono is time that passed since some moment in the past. It never goes back.
	Mono() time.Duration
}

// Real is the machine's clock.
func Real() Clock { return &real{start: time.Now()} }

type real struct{ start time.Time }

func (c *real) Wall() time.Time     { return time.Now().Round(0) }
func (c *real) Mono() time.Duration { return time.Since(c.start) }

// Skewed is a machine's clock whose wall is off by a duration that can be changed at any moment.
type Skewed struct {
	Clock
	off atomic.Int64
}

// Skew makes a clock that can be jumped.
func Skew(c Clock) *Skewed { return &Skewed{Clock: c} }

// Set makes the wall clock be off by d from now on.
func (c *Skewed) Set(d time.Duration) { c.off.Store(int64(d)) }

// Wall is the wall clock with its error.
func (c *Skewed) Wall() time.Time { return c.Clock.Wall().Add(time.Duration(c.off.Load())) }

// Pause waits; false when ctx has ended before.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"kahuna/internal/clock"
	"kahuna/op"
)

// fakeClock is a clock that goes on only when told.
type fakeClock struct {
	mu   sync.Mutex
	wall time.Time
	mono time.Duration
}

func (c *fakeClock) Wall() time.Time     { c.mu.Lock(); defer c.mu.Unlock(); return c.wall }
func (c *fakeClock) Mono() time.Duration { c.mu.Lock(); defer c.mu.Unlock(); return c.mono }
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(d), c.mono+d
}

func (c *fakeClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// bound is the bound in the log of the meta group.
type bound struct {
	mu  sync.Mutex
	at  op.Timestamp
	err error
}

func (b *bound) raise(_ context.Context, until op.Timestamp) (op.Timestamp, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	b.at = max(b.at, until)
	return b.at, nil
}

func newOracle(c clock.Clock, b *bound) *oracle {
	o := &oracle{clock: c, ahead: 2 * time.Second, jump: 24 * time.Hour, confirm: func(context.Context) error { return nil }, raise: b.raise}
	if err := o.lead(1, b.at); err != nil {
		panic(err)
	}
	return o
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func next(t *testing.T, o *oracle, n int) op.Timestamp {
	t.Helper()
	first, err := o.Next(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// A restart, whatever the wall clock does meanwhile, goes on above everything that was given out.
func TestOracleNeverGoesBack(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{}
	var last op.Timestamp
	for _, jump := range []time.Duration{0, -5 * time.Hour, 3 * time.Hour, -time.Second, 0} {
		c.jump(jump)
		o := newOracle(c, b)
		for range 5000 {
			first := next(t, o, 3)
			if first <= last {
				t.Fatalf("%d was given out after %d", first, last)
			}
			if b.mu.Lock(); first+2 >= b.at {
				t.Fatalf("%d was given out, and the bound is %d", first+2, b.at)
			}
			b.mu.Unlock()
			last = first + 2
			c.pass(time.Millisecond)
		}
		o.close()
	}
}

// The wall clock is not read after leadership has begun; time goes on with the monotonic clock.
func TestOracleIgnoresJumps(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{}
	o := newOracle(c, b)
	defer o.close()
	first := next(t, o, 1)
	c.jump(24 * time.Hour)
	c.pass(time.Second)
	if got := next(t, o, 1).UnixMilli() - first.UnixMilli(); got < 1000 || got > 1001 {
		t.Fatalf("a second later the clock is %d ms on", got)
	}
}

// While the clock is ahead of the wall, as after a restart, only the counter advances.
func TestOracleAheadOfTheWall(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{at: op.FromUnixMilli(noon.Add(time.Hour).UnixMilli())}
	o := newOracle(c, b)
	defer o.close()
	a, z := next(t, o, 1), next(t, o, 1)
	if z != a+1 {
		t.Fatalf("%d came after %d", z, a)
	}
}

// Concurrent callers never get the same timestamp.
func TestOracleGivesNothingTwice(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{}
	o := newOracle(c, b)
	defer o.close()
	var mu sync.Mutex
	seen := map[op.Timestamp]bool{}
	var callers sync.WaitGroup
	for n := 1; n <= 8; n++ {
		callers.Go(func() {
			for range 300 {
				first := next(t, o, n)
				mu.Lock()
				for i := range n {
					if ts := first + op.Timestamp(i); seen[ts] {
						t.Errorf("%d was given out twice", ts)
					} else {
						seen[ts] = true
					}
				}
				mu.Unlock()
			}
		})
	}
	callers.Wait()
}

// Without proven leadership, and past a bound that can't be raised, there are no timestamps.
func TestOracleRefuses(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{}
	o := newOracle(c, b)
	defer o.close()
	next(t, o, 1)
	deposed := errors.New("deposed")
	o.confirm = func(context.Context) error { return deposed }
	if _, err := o.Next(t.Context(), 1); !errors.Is(err, deposed) {
		t.Fatalf("a deposed leader answers %v", err)
	}
	o.confirm = func(context.Context) error { return nil }
	b.err = errors.New("no quorum")
	c.pass(time.Minute)
	if ts, err := o.Next(t.Context(), 1); err == nil {
		t.Fatalf("%d was given out above a bound that could not be raised", ts)
	}
	o.follow()
	b.err = nil
	if _, err := o.Next(t.Context(), 1); !errors.Is(err, errNoOracle) {
		t.Fatalf("a follower answers %v", err)
	}
}

// A wall clock that is absurdly far ahead of the cluster's is not believed.
func TestOracleRefusesAWildClock(t *testing.T) {
	c, b := &fakeClock{wall: noon}, &bound{}
	o := newOracle(c, b)
	next(t, o, 1)
	o.close()
	c.jump(25 * time.Hour)
	if err := o.lead(2, b.at); err == nil {
		t.Fatal("a jump by 25 hours was taken, and 24 are allowed")
	}
	if _, err := o.Next(t.Context(), 1); !errors.Is(err, errNoOracle) {
		t.Fatalf("after a refused start the clock answers %v", err)
	}
}

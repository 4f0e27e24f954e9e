package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kahuna/internal/clock"
	"kahuna/op"
)

// oracle is the global clock: it gives out timestamps while this node leads the meta group.
//
//  1. No timestamp at or above the bound, which is in the meta group's log, is given out; a new leader starts above the bound
//     it finds. So no timestamp is given out twice, and none below one that was given out before, whatever the wall clocks do.
//  2. Timestamps are given out only after leadership was confirmed by a quorum, later than the request arrived. So a leader
//     that was deposed gives out none.
//  3. The physical part goes on by monotonic elapsed time; the wall clock is read once, when leadership begins.
type oracle struct {
	clock clock.Clock
	// ahead is how far ahead of what was given out the bound is put, and so how much further on the clock may be after a restart
	// than before it. Half of it is left when the next one is asked for.
	ahead   time.Duration
	jump    time.Duration                                                       // a wall clock further ahead of the bound than this is not believed
	confirm func(ctx context.Context) error                                     // leadership, by a quorum, from now on
	raise   func(ctx context.Context, until op.Timestamp) (op.Timestamp, error) // the bound, through the log

	mu      sync.Mutex
	term    uint64        // of the leadership that the following is of; 0: none
	last    op.Timestamp  // given out
	bound   op.Timestamp  // in the log
	base    op.Timestamp  // physical part at leadership start,
	since   time.Duration // on the monotonic clock
	raising *raising      // under way; nil when none is
	running sync.WaitGroup
}

// raising is an attempt to raise the bound.
type raising struct {
	done chan struct{} // closed at its end
	err  error
}

var errNoOracle = errors.New("cluster: this node does not lead the clock")

// lead starts giving out timestamps above a bound that was found in the log. It refuses when the wall clock is so far ahead of
// that that it must be wrong: time could not be turned back.
func (o *oracle) lead(term uint64, bound op.Timestamp) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	wall := op.FromUnixMilli(o.clock.Wall().UnixMilli())
	if bound > 0 && wall > bound.Add(o.jump.Milliseconds()) {
		return fmt.Errorf("the wall clock says %v, which is more than clock-jump-ms-max ahead of the cluster's clock: set the "+
			"machine's clock right, or raise the setting if the cluster was really down for so long", o.clock.Wall())
	}
	o.term, o.bound = term, bound
	o.base = max(wall, bound+1, o.last+1)
	o.since = o.clock.Mono()
	o.last = o.base
	return nil
}

// follow ends it.
func (o *oracle) follow() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.term = 0
}

// about tells about what time it is, giving out nothing and asking nobody; 0 when this node does not lead the clock.
func (o *oracle) about() op.Timestamp {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.term == 0 {
		return 0
	}
	return max(o.last, o.base.Add((o.clock.Mono() - o.since).Milliseconds()))
}

// Next takes n timestamps in a row and returns the first.
func (o *oracle) Next(ctx context.Context, n int) (op.Timestamp, error) {
	if err := o.confirm(ctx); err != nil {
		return 0, err
	}
	for {
		first, wait, err := o.take(n)
		if err != nil || wait == nil {
			return first, err
		}
		select {
		case <-wait.done:
			if wait.err != nil {
				return 0, wait.err
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// take takes timestamps below the bound, or gives the raising of the bound to wait for.
func (o *oracle) take(n int) (first op.Timestamp, wait *raising, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.term == 0 {
		return 0, nil, errNoOracle
	}
	first = max(o.last+1, o.base.Add((o.clock.Mono() - o.since).Milliseconds()))
	end := first + op.Timestamp(n)
	if end > op.MaxTimestamp {
		return 0, nil, errors.New("cluster: the clock has come to its end")
	}
	if end.Add(o.ahead.Milliseconds()/2) > o.bound && o.raising == nil {
		o.raising = &raising{done: make(chan struct{})}
		o.running.Add(1)
		go o.raiseBound(o.term, end.Add(o.ahead.Milliseconds()), o.raising)
	}
	if end > o.bound {
		return 0, o.raising, nil
	}
	o.last = end - 1
	return first, nil, nil
}

// raiseBound puts a higher bound into the log.
func (o *oracle) raiseBound(term uint64, until op.Timestamp, r *raising) {
	defer o.running.Done()
	ctx, cancel := context.WithTimeout(context.Background(), o.ahead)
	bound, err := o.raise(ctx, until)
	cancel()
	o.mu.Lock()
	if err == nil && o.term == term {
		o.bound = max(o.bound, bound)
	}
	o.raising = nil
	o.mu.Unlock()
	r.err = err
	close(r.done)
}

// close waits for what was started. Nobody asks any more.
func (o *oracle) close() {
	o.follow()
	o.running.Wait()
}

// Package load runs a closed loop: a fixed number of workers, each with one request (or one pipeline of them) under way. With a rate it is
// an open loop: each worker's requests are due at fixed times, and their latency counts from then, also while it still waits for the one before.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/tests/bench/hist"
)

// Worker does operations one after the other on a connection of its own.
type Worker interface {
	// Do performs one operation, or one pipeline of them, checks the replies and counts them in t. An error means that
	// the connection is of no more use; it ends the worker and fails the run.
	Do(t *Tally) error
	// Close releases the connection. It may be called while Do waits, which then must return soon.
	Close() error
}

// Tally counts the operations of one call of Do.
type Tally struct {
	right, wrong uint64
	firstWrong   string
}

// Right counts one operation with the right reply.
func (t *Tally) Right() { t.right++ }

// Wrong counts one operation with an error or a wrong reply; the text of the first is kept.
func (t *Tally) Wrong(format string, args ...any) {
	t.wrong++
	if t.firstWrong == "" {
		t.firstWrong = fmt.Sprintf(format, args...)
	}
}

// Counts are the operations counted so far.
func (t *Tally) Counts() (right, wrong uint64) { return t.right, t.wrong }

// Plan says how long a run takes. All of it together bounds Run: Warmup + Measure + 2 * Grace.
type Plan struct {
	Warmup  time.Duration // not counted
	Measure time.Duration // counted
	Grace   time.Duration // how long operations under way at the end may still take before their connection is closed
	Rate    float64       // calls of Do per second, over all workers; 0: as many as there can be
}

// pace is when the calls of one worker are due; zero: as soon as the one before has ended.
type pace struct{ first, every time.Duration }

func (p Plan) pace(worker, workers int) pace {
	if p.Rate <= 0 {
		return pace{}
	}
	gap := float64(time.Second) / p.Rate
	return pace{first: time.Duration(float64(worker) * gap), every: time.Duration(float64(workers) * gap)}
}

// Window is told when the measured time begins and when it ends, to read the counters of the server.
type Window struct {
	Begin, End func()
}

// ErrNoReply means that an operation was still under way when the run gave up waiting for it.
var ErrNoReply = errors.New("load: still no reply")

// Result is what was counted in the measured time. The latency of an operation in a pipeline is that of the pipeline.
type Result struct {
	Right, Wrong uint64
	Elapsed      time.Duration
	Latency      *hist.Histogram
	FirstWrong   string // the first wrong reply, also of the warm-up
	Broken       error  // why a worker ended early; nil if none did
}

const (
	warming int32 = iota
	measuring
	stopping
)

// Run drives the workers through the plan, closes them, and returns when all have ended. A cancelled ctx ends it early
// and is reported as Broken.
func Run(ctx context.Context, plan Plan, workers []Worker, window Window) Result {
	var phase atomic.Int32
	parts := make([]part, len(workers))
	var running sync.WaitGroup
	for i, w := range workers {
		running.Go(func() { parts[i].run(w, &phase, plan.pace(i, len(workers))) })
	}
	sleep(ctx, plan.Warmup)
	window.Begin()
	began := time.Now()
	phase.Store(measuring)
	sleep(ctx, plan.Measure)
	phase.Store(stopping)
	elapsed := time.Since(began)
	window.End()

	late, stuck := join(&running, workers, plan.Grace)
	counted := parts
	if stuck { // the counters of workers that still run may not be read
		counted = nil
	}
	total := sum(counted, elapsed)
	switch {
	case ctx.Err() != nil:
		total.Broken = ctx.Err()
	case late:
		total.Broken = fmt.Errorf("%w %v after the end", ErrNoReply, plan.Grace)
	}
	return total
}

// part is what one worker counted.
type part struct {
	result  Result
	latency hist.Histogram
}

func (p *part) run(w Worker, phase *atomic.Int32, pace pace) {
	began, due := time.Now().Add(pace.first), 0
	before := began
	for phase.Load() != stopping {
		if pace.every > 0 {
			time.Sleep(time.Until(before))
		}
		var t Tally
		err := w.Do(&t)
		now := time.Now()
		if p.result.FirstWrong == "" {
			p.result.FirstWrong = t.firstWrong
		}
		if err != nil {
			if phase.Load() != stopping {
				p.result.Broken = err
			}
			return
		}
		if phase.Load() == measuring {
			p.result.Right += t.right
			p.result.Wrong += t.wrong
			p.latency.Record(now.Sub(before), t.right)
		}
		if before = now; pace.every > 0 {
			due++
			before = began.Add(time.Duration(due) * pace.every)
		}
	}
}

// join waits for the workers to end by themselves and closes them all. late means that some had no reply within grace and
// ended only by being closed; stuck that they did not even then, so their goroutines are given up.
func join(running *sync.WaitGroup, workers []Worker, grace time.Duration) (late, stuck bool) {
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	late = !wait(done, grace)
	for _, w := range workers {
		_ = w.Close() // the run is over: nothing depends on how the connection ends
	}
	return late, late && !wait(done, grace)
}

func wait(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func sum(parts []part, elapsed time.Duration) Result {
	total := Result{Elapsed: elapsed, Latency: &hist.Histogram{}}
	for i := range parts {
		r := &parts[i].result
		total.Right += r.Right
		total.Wrong += r.Wrong
		total.Latency.Merge(&parts[i].latency)
		if total.FirstWrong == "" {
			total.FirstWrong = r.FirstWrong
		}
		if total.Broken == nil {
			total.Broken = r.Broken
		}
	}
	return total
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"kahuna/tests/bench/floor"
	"kahuna/tests/bench/report"
	"kahuna/tests/bench/system"
	"kahuna/tests/bench/workload"
)

const (
	floorTime   = time.Second // for each of the two figures
	idleSettle  = 5 * time.Second
	idleMeasure = 10 * time.Second
)

// bench is one run.
type bench struct {
	options  options
	progress io.Writer
	report   *report.Report
	targets  []*target
}

// target is a running system with its driver.
type target struct {
	inst   *system.Instance
	driver workload.Driver
	found  *report.System
	lost   bool // it ended by itself, so its cells are not run any more
}

// run measures everything into b.report. An error means that there is nothing to report; what fails on one system is in
// the report instead. All servers are stopped and all data is removed when it returns.
func (b *bench) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(b.options.dir, ".kahuna-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if inMemory(dir) {
		b.say("warning: %s is a file system in memory; writes are not durable there, and too fast", dir)
	}
	b.report.Machine = thisMachine()
	b.report.Rounds, b.report.SecondsS = b.options.rounds, b.options.measure.Seconds()
	b.say("measuring the floor of this machine")
	if b.report.Floor, err = floor.Measure(ctx, dir, b.floorTime()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	b.start(ctx, dir)
	b.measureIdle(ctx)
	b.prepare(ctx)
	b.rounds(ctx)
	b.measureEnd()
	return ctx.Err()
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

func (b *bench) floorTime() time.Duration {
	if b.options.quick {
		return floorTime / 4
	}
	return floorTime
}

// start starts the systems that there are, one after the other so that the time until ready is fair, and notes the rest.
func (b *bench) start(ctx context.Context, dir string) {
	for _, name := range b.options.systems {
		if ctx.Err() != nil {
			return
		}
		found := &report.System{Name: name}
		b.report.Systems = append(b.report.Systems, found)
		t, err := b.startOne(ctx, name, dir, found)
		switch {
		case errors.Is(err, errMissing):
			found.Skipped = err.Error()
			b.say("%s: skipped: %v", name, err)
		case err != nil:
			found.Failure = err.Error()
			b.say("%s: FAILED: %v", name, err)
		default:
			b.targets = append(b.targets, t)
			b.say("%s: ready after %d ms: %s", name, t.inst.Ready.Milliseconds(), found.Version)
		}
	}
}

func (b *bench) startOne(ctx context.Context, name, dir string, found *report.System) (*target, error) {
	s, err := b.find(ctx, name, dir)
	if err != nil {
		return nil, err
	}
	found.Version = s.Version(ctx)
	s.Nodes = b.options.nodes
	inst, err := system.Start(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	found.ReadyMs = milliseconds(inst.Ready)
	driver, err := workload.NewDriver(name, inst.Addrs)
	if err != nil {
		return nil, errors.Join(err, inst.Stop())
	}
	return &target{inst: inst, driver: driver, found: found}, nil
}

// stop ends all systems; they are stopped even if one of them fails to.
func (b *bench) stop() error {
	var errs []error
	for _, t := range b.targets {
		_ = t.driver.Close() // its connections end with the server anyway
		errs = append(errs, t.inst.Stop())
	}
	return errors.Join(errs...)
}

// prepare writes the data that reads need.
func (b *bench) prepare(ctx context.Context) {
	for _, t := range b.targets {
		if err := t.driver.Prepare(ctx); err != nil && ctx.Err() == nil {
			t.lose(fmt.Errorf("write the keys to read: %w", err))
			b.say("%s: FAILED: %s", t.inst.System.Name, t.found.Failure)
		}
	}
}

// lose takes the target out of the run.
func (t *target) lose(why error) {
	t.lost = true
	t.found.Failure = why.Error()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

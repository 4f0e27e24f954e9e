package main

import (
	"context"
	"time"

	"kahuna/tests/bench/system"
)

const bytesPerMiB = 1 << 20

// measureIdle looks at all servers at the same time, before any has done work: memory once they have settled, CPU after
// that.
func (b *bench) measureIdle(ctx context.Context) {
	if len(b.targets) == 0 {
		return
	}
	settle, measure := idleSettle, idleMeasure
	if b.options.quick {
		settle, measure = settle/10, measure/10
	}
	b.say("looking at the idle servers for %v", settle+measure)
	if !pause(ctx, settle) {
		return
	}
	before := b.usage()
	began := time.Now()
	if !pause(ctx, measure) {
		return
	}
	after := b.usage()
	elapsed := time.Since(began)
	for i, t := range b.targets {
		if before[i] == nil || after[i] == nil {
			continue
		}
		t.found.IdleKnown = true
		t.found.IdleRSSMiB = float64(before[i].RSSBytes) / bytesPerMiB
		t.found.IdleCPUPercent = 100 * float64(after[i].CPU-before[i].CPU) / float64(elapsed)
	}
}

// usage reads what each target has used; nil where that cannot be read.
func (b *bench) usage() []*system.Usage {
	out := make([]*system.Usage, len(b.targets))
	for i, t := range b.targets {
		if u, err := t.inst.Usage(); err == nil {
			out[i] = &u
		}
	}
	return out
}

// measureEnd notes the memory after all work.
func (b *bench) measureEnd() {
	for i, u := range b.usage() {
		if u != nil {
			b.targets[i].found.EndRSSMiB = float64(u.RSSBytes) / bytesPerMiB
		}
	}
}

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

package raftgroup

import (
	"sync/atomic"
	"time"
)

// watchdog notices a leader that refuses everything because of a leadership transfer that does not end (hashicorp/raft#696: one
// that was interrupted leaves the flag set, and the replica refuses every write when it leads again).
type watchdog struct {
	start time.Time
	since atomic.Int64 // ns from start to the first refusal in a row, plus one; 0: none
}

func (w *watchdog) clear() {
	if w.since.Load() != 0 {
		w.since.Store(0)
	}
}

// refused notes a refusal and tells whether the first in a row is longer ago than limit.
func (w *watchdog) refused(limit time.Duration) bool {
	now := int64(time.Since(w.start)) + 1
	if w.since.CompareAndSwap(0, now) {
		return false
	}
	first := w.since.Load()
	return first != 0 && now-first > int64(limit)
}

// refusedByTransfer restarts the instance if it is the watchdog's case.
func (g *Group) refusedByTransfer(inst *instance) {
	if g.watchdog.refused(2 * g.host.cfg.Timing.ElectionTimeout) {
		g.requestRestart(inst)
	}
}

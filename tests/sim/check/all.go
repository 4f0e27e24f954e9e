package check

import (
	"path/filepath"
	"slices"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// SearchMax bounds the search for an order of one register's operations. It is of use against one that never ends: most take
// milliseconds.
const SearchMax = 5 * time.Minute

// All judges a history and what is there in the end: the versions of registers, the last numbers of sequences, and the counters.
// Pictures go to dir.
func All(events []*history.Event, versions map[string][]op.Item, sequences, counters map[string]int64, dir string) []Violation {
	of := func(kinds ...op.Kind) (some []*history.Event) {
		for _, e := range events {
			if slices.Contains(kinds, e.Op.Kind()) {
				some = append(some, e)
			}
		}
		return some
	}
	onKeys := of(op.KindSet, op.KindGet, op.KindDelete)
	return slices.Concat(
		Registers(onKeys, SearchMax, filepath.Join(dir, "register.html")),
		Versions(onKeys, versions),
		Locks(of(op.KindLock, op.KindLockExtend, op.KindUnlock, op.KindLockInfo)),
		Sequences(of(op.KindSeqNext), sequences),
		Counters(of(op.KindIncr), counters),
	)
}

package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// tally counts what was seen, not what was tried, so that a run that proves nothing is known for it.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	idems  map[string]string // the node that answered a request first
	owners map[string]string // who was granted a lock last
	freed  map[string]bool   // whether that owner released it
}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(what, n)
}

func (t *tally) count(what string, n int) {
	if t.counts == nil {
		t.counts, t.idems, t.owners, t.freed = map[string]int{}, map[string]string{}, map[string]string{}, map[string]bool{}
	}
	t.counts[what] += n
}

func (t *tally) get(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[what]
}

// note counts an event.
func (t *tally) note(e *history.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.Known() {
		t.count("unknown", 1)
		return
	}
	t.count("answered", 1)
	switch o := e.Op.(type) {
	case *op.Get:
		t.noteGet(e)
	case *op.Set:
		t.noteIf(e.Result.Done && o.Cond == op.Always, "set")
		t.noteIf(e.Result.Done && o.Cond == op.IfRev, "compare-and-set")
		t.noteIf(!e.Result.Done, "compare-and-set failed")
	case *op.Delete:
		t.noteIf(e.Result.Done, "delete")
	case *op.Incr:
		t.count("incr", 1)
	case *op.SeqNext:
		t.noteNext(e, o)
	case *op.LockAcquire:
		t.noteIf(!e.Result.Done, "lock refused")
		t.noteGrant(e, o)
	case *op.LockExtend:
		t.noteIf(e.Result.Done, "extend")
	case *op.LockRelease:
		t.noteIf(e.Result.Done, "release")
		if e.Result.Done && t.owners[string(o.Name)] == string(o.Owner) {
			t.freed[string(o.Name)] = true
		}
	case *op.LockInfo:
		t.noteIf(e.Result.Found, "lock seen")
	}
}

func (t *tally) noteIf(seen bool, what string) {
	if seen {
		t.count(what, 1)
	}
}

func (t *tally) noteGet(e *history.Event) {
	t.noteIf(e.At == 0 && e.Result.Found, "get found")
	t.noteIf(e.At == 0 && !e.Result.Found, "get not found")
	t.noteIf(e.At > 0 && e.Result.Found, "past found")
}

func (t *tally) noteNext(e *history.Event, o *op.SeqNext) {
	t.count("next", 1)
	if len(o.Idem) == 0 {
		return
	}
	first, repeated := t.idems[string(o.Idem)]
	if !repeated {
		t.idems[string(o.Idem)] = e.Node
		return
	}
	t.count("next repeated", 1)
	t.noteIf(first != e.Node, "next repeated elsewhere")
}

func (t *tally) noteGrant(e *history.Event, o *op.LockAcquire) {
	if !e.Result.Done {
		return
	}
	last, name := t.owners[string(o.Name)], string(o.Name)
	t.count("lock", 1)
	t.noteIf(last != "" && last != string(o.Owner) && !t.freed[name], "lock after expiry")
	t.owners[name], t.freed[name] = string(o.Owner), false
}

// sum adds another tally.
func (t *tally) sum(other *tally) {
	for what, n := range other.counts {
		t.add(what, n)
	}
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, t.counts[what]))
	}
	return strings.Join(parts, ", ")
}

// below tells which counts are below their floors.
func (t *tally) below(floors map[string]int) error {
	var low []string
	for _, what := range slices.Sorted(maps.Keys(floors)) {
		if t.get(what) < floors[what] {
			low = append(low, fmt.Sprintf("%s %d of %d", what, t.get(what), floors[what]))
		}
	}
	if len(low) > 0 {
		return fmt.Errorf("vacuous: too little of %s", strings.Join(low, ", "))
	}
	return nil
}

// Package history is what clients of a simulated cluster did and saw, for checkers to judge and for people to read.
package history

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"kahuna/op"
)

// Never is the Return of an operation whose end was not seen: it may take effect at any time after its Call.
const Never = time.Duration(math.MaxInt64)

// Event is one operation of one client. Operations that were certainly refused are not events.
type Event struct {
	ID           int
	Client       int
	Node         string
	Op           op.Op
	At           op.Timestamp  // of a read of the past; 0: of what is current
	Call, Return time.Duration // since the beginning; Return is Never when the end was not seen
	Result       op.Result     // meaningless when the end was not seen
}

// Known tells whether the operation's end was seen.
func (e *Event) Known() bool { return e.Return != Never }

// Before tells whether e had ended when f was called.
func (e *Event) Before(f *Event) bool { return e.Return < f.Call }

// Log gathers events. It may be used by several goroutines.
type Log struct {
	mu     sync.Mutex
	events []*Event
}

// Add adds an event, which belongs to the log from now on, and numbers it.
func (l *Log) Add(e *Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID = len(l.events)
	l.events = append(l.events, e)
}

// Events are all events in the order of their calls.
func (l *Log) Events() []*Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ByCall(l.events)
}

// ByCall returns events in the order of their calls, in a slice of its own.
func ByCall(events []*Event) []*Event {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b *Event) int { return cmp.Compare(a.Call, b.Call) })
	return sorted
}

// ByReturn returns events in the order of their ends, in a slice of its own.
func ByReturn(events []*Event) []*Event {
	sorted := slices.Clone(events)
	slices.SortStableFunc(sorted, func(a, b *Event) int { return cmp.Compare(a.Return, b.Return) })
	return sorted
}

// ByName gathers events by the name they are about.
func ByName(events []*Event) map[string][]*Event {
	named := map[string][]*Event{}
	for _, e := range events {
		key := string(e.Op.Target().Key)
		named[key] = append(named[key], e)
	}
	return named
}

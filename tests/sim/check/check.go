// Package check judges histories of a simulated cluster. Each checker returns what it found to be impossible; nothing found
// means that the history is explained. They assume nothing about how the cluster works, only what it promises.
//
// They are to be called outside of a synctest bubble: inside, the timeout of the search never comes.
package check

import (
	"fmt"
	"time"

	"kahuna/tests/sim/history"
)

// Violation is something that must not happen.
type Violation struct {
	Check  string
	Reason string
	Events []*history.Event // that show it; may be empty
}

func (v Violation) String() string {
	text := v.Check + ": " + v.Reason
	for _, e := range v.Events {
		text += "\n    " + e.String()
	}
	return text
}

func violation(check string, events []*history.Event, format string, args ...any) Violation {
	return Violation{Check: check, Reason: fmt.Sprintf(format, args...), Events: events}
}

// known are the events whose end was seen.
func known(events []*history.Event) (seen []*history.Event) {
	for _, e := range events {
		if e.Known() {
			seen = append(seen, e)
		}
	}
	return seen
}

// span is a time during which something certainly holds: from inclusive, to exclusive.
type span struct{ from, to time.Duration }

func (s span) holds(from, to time.Duration) bool { return s.from <= from && to < s.to }

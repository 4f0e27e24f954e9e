// Package load is clients of a cluster and what they saw: registers with compare-and-set, counters, locks, sequences, timestamps and
// transfers, each through any node. It knows neither processes nor simulations: a Target is how a client reaches one node. What is
// promised is judged by Verdict: all of it by checkers that have negative controls, among them that an operation which was denied
// ("nothing was changed") left no trace.
package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// Outcome is how a call ended.
type Outcome int

const (
	Denied   Outcome = iota // certainly not done: refused before it was sent, or with an error that says that nothing was changed
	Unknown                 // it may have been done, or be done later
	Answered                // done, with a result
)

// Target is a node, as one client reaches it. It belongs to one goroutine. It repeats nothing.
type Target interface {
	Name() string
	Do(o op.Op) (op.Result, Outcome)
	// Atomic does operations on any names as one transaction.
	Atomic(ops []op.Op) ([]op.Result, Outcome)
	// Timestamps takes n timestamps in a row, and gives the first.
	Timestamps(n int) (op.Timestamp, Outcome)
}

// World is names that belong together, and what clients did with them.
type World struct {
	Began time.Time
	Pause time.Duration // the most that a client rests between two calls

	seed    uint64
	prefix  string
	history history.Log

	mu        sync.Mutex
	denied    []*history.Event
	stamps    []Stamp
	transfers []Transfer
	counts    map[string]int
	wrong     []string
}

// New makes a world whose names begin with prefix.
func New(prefix string, seed uint64) *World {
	return &World{Began: time.Now(), Pause: 20 * time.Millisecond, seed: seed, prefix: prefix, counts: map[string]int{}}
}

// Fail notes something that must not happen.
func (w *World) Fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf("at %v: ", time.Since(w.Began))+fmt.Sprintf(format, args...))
}

// Count counts something that was seen.
func (w *World) Count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what] += n
}

// Answered is how many calls a node has answered.
func (w *World) Answered(node string) int { return w.Seen("answered by " + node) }

// Seen tells how often something was seen.
func (w *World) Seen(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[what]
}

// Counts are all counts.
func (w *World) Counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// Text shows counts to people.
func Text(counts map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(parts, ", ")
}

// note files an operation of a client by how it ended.
func (w *World) note(e *history.Event, result op.Result, end Outcome) {
	e.Return = time.Since(w.Began)
	kind := strings.TrimPrefix(fmt.Sprintf("%T", e.Op), "*op.")
	w.mu.Lock()
	switch end {
	case Denied:
		w.denied = append(w.denied, e)
		w.counts["denied"]++
		w.mu.Unlock()
		return
	case Unknown:
		e.Return = history.Never
		w.counts["unknown"]++
	case Answered:
		e.Result = result
		w.counts["answered by "+e.Node]++
		w.counts[kind]++
	}
	w.mu.Unlock()
	w.history.Add(e)
}

// Stamp is timestamps that were taken.
type Stamp struct {
	Call, Return time.Duration
	First        op.Timestamp
	N            int
}

// Transfer is a transaction that moved an amount between accounts, or looked at all of them (From is -1). Number is how many
// transfers there were with it; Balances are those that it saw, by account.
type Transfer struct {
	Call, Return time.Duration
	From         int
	Number       int64
	Balances     map[int]int64
}

func (w *World) names(kind string, n int) (names [][]byte) {
	for i := range n {
		names = append(names, fmt.Appendf(nil, "%s%s%d", w.prefix, kind, i))
	}
	return names
}

// How many names of each kind there are. Few, so that clients meet.
const (
	registersInUse = 4
	countersInUse  = 2
	sequencesInUse = 2
	locksInUse     = 3
	permitsInUse   = 2 // clients of that lock at a time
	accountsInUse  = 4
)

// Prefix is what all names begin with.
func (w *World) Prefix() string { return w.prefix }

// Registers and Keys name the registers, and all keys that clients write.
func (w *World) Registers() []string { return texts(w.registers()) }
func (w *World) Keys() []string {
	return texts(append(slices.Concat(w.registers(), w.counters(), w.accounts()), w.transferCount()))
}

func texts(names [][]byte) (all []string) {
	for _, n := range names {
		all = append(all, string(n))
	}
	return all
}

func (w *World) registers() [][]byte   { return w.names("r", registersInUse) }
func (w *World) counters() [][]byte    { return w.names("c", countersInUse) }
func (w *World) sequences() [][]byte   { return w.names("s", sequencesInUse) }
func (w *World) exclusive() [][]byte   { return w.names("l", locksInUse) }
func (w *World) sharedLock() []byte    { return []byte(w.prefix + "readers") }
func (w *World) permitLock() []byte    { return []byte(w.prefix + "permits") }
func (w *World) locks() [][]byte       { return append(w.exclusive(), w.sharedLock(), w.permitLock()) }
func (w *World) accounts() [][]byte    { return w.names("a", accountsInUse) }
func (w *World) transferCount() []byte { return []byte(w.prefix + "transfers") }

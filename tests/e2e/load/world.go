// Package load puts a server under a mixed load and knows what must be true of its data afterwards, however often it was
// killed on the way. A World outlives its servers: each Run is one server's life, each Check holds the data of the next
// server against what all lives before it acknowledged.
//
// Every operation ends in one of three ways: acknowledged; refused, which promises that nothing was changed; or unknown
// (UNCERTAIN, or the connection was lost). What may be in the store after an unknown one is both: with it and without it.
package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"kahuna/tests/e2e/wire"
)

// Counts say how many operations ended how.
type Counts struct{ Acked, Refused, Unknown int64 }

func (c Counts) String() string {
	return fmt.Sprintf("%d acknowledged, %d refused, %d unknown", c.Acked, c.Refused, c.Unknown)
}

// Sub gives what was counted since.
func (c Counts) Sub(since Counts) Counts {
	return Counts{c.Acked - since.Acked, c.Refused - since.Refused, c.Unknown - since.Unknown}
}

// World is the clients, their objects, and what must be true of these.
type World struct {
	actors    []*actor
	clock     *clock
	counters  []*counter
	sequences []*sequence
	hot       *hotLock

	// How many bytes a value of the journals may usually have; a few have up to 100 times as many. Set before Run.
	ValueBytesMax int

	acked, refused, unknown atomic.Int64
	wake                    chan struct{} // told, when there is room, that an operation was acknowledged

	freeze sync.RWMutex
	frozen bool // replies count as lost from now on
	ending bool // a lost connection is what is expected

	mu         sync.Mutex
	violations []string
	errors     map[string]int // replies that refused, by their first word
}

// New makes a world of clients whose choices come from the seed. Keys begin with the prefix.
func New(prefix string, clients int, seed uint64) *World {
	w := &World{clock: newClock(), ValueBytesMax: 2000, wake: make(chan struct{}, 1), errors: map[string]int{}}
	for i := range 4 {
		w.counters = append(w.counters, &counter{key: fmt.Sprintf("%sc:%d", prefix, i)})
	}
	for i := range 3 {
		w.sequences = append(w.sequences, newSequence(fmt.Sprintf("%sq:%d", prefix, i)))
	}
	w.hot = &hotLock{name: prefix + "hot"}
	for i := range clients {
		w.actors = append(w.actors, newActor(w, prefix, i, seed))
	}
	return w
}

// Counts tells how operations ended so far.
func (w *World) Counts() Counts {
	return Counts{w.acked.Load(), w.refused.Load(), w.unknown.Load()}
}

// Acked is told that operations were acknowledged, not how many.
func (w *World) Acked() <-chan struct{} { return w.wake }

// Refusals are the errors that refused operations, counted by their first word.
func (w *World) Refusals() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for word, n := range w.errors {
		all = append(all, fmt.Sprintf("%s %d", word, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// violate notes that something is not as was promised.
func (w *World) violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// Violations are the promises that were broken.
func (w *World) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}

// Run lets all clients work on the server at addr until each has lost its connection or Rest was called.
func (w *World) Run(addr string) {
	w.freeze.Lock()
	w.frozen, w.ending = false, false
	w.freeze.Unlock()
	w.hot.forget()
	var all sync.WaitGroup
	for _, a := range w.actors {
		all.Go(func() { a.run(addr) })
	}
	all.Wait()
}

// End says that the server is about to be ended: connections may be lost from now on.
func (w *World) End() { w.mark(func() { w.ending = true }) }

// Freeze is End, and no reply counts from now on: it may have been sent by what has no power any more.
func (w *World) Freeze() { w.mark(func() { w.ending, w.frozen = true, true }) }

func (w *World) mark(set func()) {
	w.freeze.Lock()
	defer w.freeze.Unlock()
	set()
}

func (w *World) isEnding() bool {
	w.freeze.RLock()
	defer w.freeze.RUnlock()
	return w.ending
}

// settle accounts for the end of one step. reply is nil when it was lost.
func (w *World) settle(s *step, reply *wire.Reply) {
	w.freeze.RLock()
	defer w.freeze.RUnlock()
	if w.frozen {
		reply = nil
	}
	end := w.classify(s, reply)
	switch end {
	case acked:
		w.acked.Add(1)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	case refused:
		w.refused.Add(1)
	case unknown:
		w.unknown.Add(1)
	}
	s.settle(end, reply)
}

// outcome is how an operation ended.
type outcome int

const (
	acked outcome = iota
	refused
	unknown
)

// refusals are the first words of errors that a valid operation may get.
var refusals = []string{"TRYAGAIN", "CLUSTERDOWN", "CONFLICT"}

func (w *World) classify(s *step, r *wire.Reply) outcome {
	if r == nil {
		return unknown
	}
	text := r.Err()
	if text == "" {
		return acked
	}
	word, _, _ := strings.Cut(text, " ")
	w.mu.Lock()
	w.errors[word]++
	w.mu.Unlock()
	if word == "UNCERTAIN" {
		return unknown
	}
	if !slices.Contains(refusals, word) {
		w.violate("%.100q: unexpected error %q", s.commands, text)
	}
	return refused
}

// step is one operation: commands that are sent together, of which the last one's reply says how it ended. settle is called
// once, with a reply if and only if the operation was acknowledged or refused.
type step struct {
	commands [][]string
	settle   func(outcome, *wire.Reply)
}

// newRand gives each client choices of its own.
func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

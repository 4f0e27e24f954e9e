package load

import (
	"strings"
	"testing"

	"kahuna/tests/e2e/wire"
)

func integer(n int64) *wire.Reply { return &wire.Reply{Kind: ':', Int: n} }

func array(parts ...*wire.Reply) *wire.Reply { return &wire.Reply{Kind: '*', Parts: parts} }

func text(s string) *wire.Reply { return &wire.Reply{Kind: '$', Text: s} }

// Each case gives replies that no correct server gives, one after the other; the last one must be complained of.
func TestBadRepliesAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(w *World, a *actor)
	}{
		{"a timestamp twice", func(w *World, a *actor) {
			first, second := w.clock.timestamp(w, 2), w.clock.timestamp(w, 1)
			w.settle(first, integer(10))
			w.settle(second, integer(11))
		}},
		{"a timestamp that goes back", func(w *World, a *actor) {
			w.settle(w.clock.timestamp(w, 1), integer(10))
			w.settle(w.clock.timestamp(w, 1), integer(9))
		}},
		{"a token below a timestamp", func(w *World, a *actor) {
			w.settle(w.clock.timestamp(w, 1), integer(10))
			w.settle(a.locks[0].acquire("o"), integer(9))
		}},
		{"a lock that is held is granted", func(w *World, a *actor) {
			w.settle(a.locks[0].acquire("o"), integer(9))
			w.settle(a.locks[0].acquire("p"), integer(10))
		}},
		{"a free lock is not granted", func(w *World, a *actor) { w.settle(a.locks[0].acquire("o"), &wire.Reply{Kind: '_'}) }},
		{"a lock is lost", func(w *World, a *actor) {
			w.settle(a.locks[0].acquire("o"), integer(9))
			w.settle(a.locks[0].release("o"), integer(0))
		}},
		{"two hold the hot lock", func(w *World, a *actor) {
			w.hot.forget()
			w.settle(w.hot.change(w, "a"), integer(9))
			w.settle(w.hot.change(w, "b"), integer(10))
		}},
		{"a sequence repeats", func(w *World, a *actor) {
			first, second := w.sequences[0].next(w, 2), w.sequences[0].next(w, 1)
			w.settle(first, array(integer(1), integer(2), integer(1)))
			w.settle(second, array(integer(2), integer(2), integer(1)))
		}},
		{"a sequence goes back", func(w *World, a *actor) {
			w.settle(w.sequences[0].next(w, 1), array(integer(5), integer(5), integer(1)))
			w.settle(w.sequences[0].nextIdem(w, "k", 1), array(integer(4), integer(4), integer(1)))
		}},
		{"a counter stands still", func(w *World, a *actor) {
			w.settle(w.counters[0].increment(w), integer(1))
			w.settle(w.counters[0].increment(w), integer(1))
		}},
		{"half a transaction is read", func(w *World, a *actor) { w.settle(a.pairs[0].read(), array(text("x"), text("y"))) }},
		{"an error inside a transaction", func(w *World, a *actor) {
			w.settle(a.pairs[0].write("x"), array(text("OK"), &wire.Reply{Kind: '-', Text: "ERR"}, integer(1)))
		}},
		{"a revision is skipped", func(w *World, a *actor) {
			g := a.registers[0]
			g.checkRevision(2)
		}},
		{"an error that nobody should get", func(w *World, a *actor) {
			w.settle(a.journal.append(10), &wire.Reply{Kind: '-', Text: "ERR something"})
		}},
		{"a lost connection while the server runs", func(w *World, a *actor) { a.run("127.0.0.1:1") }},
	} {
		w := New("", 1, 1)
		c.play(w, w.actors[0])
		if got := w.Violations(); len(got) != 1 {
			t.Errorf("%s: %d violations: %s", c.name, len(got), strings.Join(got, "; "))
		}
	}
}

// An operation is refused only where an error promises that nothing was changed, and what came after Freeze is unknown.
func TestOutcomes(t *testing.T) {
	w := New("", 1, 1)
	a := w.actors[0]
	for _, reply := range []*wire.Reply{text("OK"), {Kind: '-', Text: "TRYAGAIN x"}, {Kind: '-', Text: "UNCERTAIN x"}, nil} {
		w.settle(a.journal.append(10), reply)
	}
	w.Freeze()
	w.settle(a.journal.append(10), text("OK"))
	if got := w.Counts(); got != (Counts{1, 1, 3}) || len(w.Violations()) > 0 {
		t.Errorf("%v; %v", got, w.Violations())
	}
}

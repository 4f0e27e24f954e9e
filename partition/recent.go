package partition

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
)

// recent remembers which names have changed lately in a partition that is led here, so that a reader of changes who is nearly up to date
// costs a look at those and not at all names with his prefix.
//
// What holds while it is in use: every name that got a version with a timestamp above from is in it, as far as such versions were
// applied. It is complete, then, for a read at S when all versions that the partition will ever have at or below S are applied, and
// nothing of them by an entry that it was not told of:
//
//  1. Notes are taken from a moment on, and from is a timestamp that was asked for after that moment. What was applied before it had a
//     smaller one, for an entry's timestamps, and those that a transaction commits at, are given out before the entry is proposed.
//  2. A snapshot read at S has raised the floor to S and waited for what was in flight, so entries that are applied later have
//     timestamps above S, save those that resolve intents.
//  3. Intents: it is used only when the partition has none, as of a batch that it was told of, after the read was confirmed. An
//     intent that is laid later has a prewrite above S, and so a commit timestamp above S.
//  4. What is dropped for want of room raises from to the largest timestamp among it.
//
// A new leader knows nothing: what is older goes the way over all names. Of a range that has grown since notes are taken, that of the
// other partition is not known either. Nobody pays for it before somebody reads changes here, nor when nobody has for recentKept.
type recent struct {
	blockBytes int
	blocks     int
	noting     atomic.Bool

	used   atomic.Uint64 // pages that were made with it
	walked atomic.Uint64 // and without

	mu     sync.Mutex // guards what follows; never held across a wait
	term   uint64     // that notes are taken in; 0: none are
	ready  bool       // from is known
	from   op.Timestamp
	bounds span          // of the partition when notes began
	asked  time.Duration // when it was last of use, or could have been
	past   []noteBlock   // oldest first; the last one is being written
}

// span is a partition's range.
type span struct{ from, to op.Position }

// noteBlock is notes in the order in which they were taken: timestamp, space, length of the name, name. What was written is not written
// again, so it may be read without the mutex.
type noteBlock struct {
	notes  []byte
	newest op.Timestamp
}

const (
	noteHead = 8 + 1 + 2
	// recentBlocks is in how many pieces notes are dropped.
	recentBlocks = 16
	// recentKept is for how long notes are taken that nobody asks for.
	recentKept = 5 * time.Minute
	// recentNamesMax is up to how many names are looked up one by one.
	recentNamesMax = 10_000
)

// init sets how many bytes of notes are kept; 0: none.
func (n *recent) init(bytes int) {
	n.blocks, n.blockBytes = recentBlocks, bytes/recentBlocks
}

// observe notes what has changed.
func (n *recent) observe(changes []mvcc.Change, c clock.Clock) {
	if !n.noting.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.term == 0 || c.Mono()-n.asked > recentKept {
		n.forget()
		return
	}
	for i := range changes {
		n.note(&changes[i].Name, changes[i].Record.TS)
	}
}

func (n *recent) note(name *op.Name, at op.Timestamp) {
	size := noteHead + len(name.Key)
	if size > n.blockBytes || len(name.Key) > math.MaxUint16 {
		for i := range n.past {
			at = max(at, n.past[i].newest)
		}
		n.past, n.from = nil, max(n.from, at)
		return
	}
	last := len(n.past) - 1
	if last < 0 || len(n.past[last].notes)+size > n.blockBytes {
		last = n.turn()
	}
	b := &n.past[last]
	b.newest = max(b.newest, at)
	b.notes = binary.BigEndian.AppendUint64(b.notes, uint64(at))
	b.notes = append(b.notes, byte(name.Space))
	b.notes = binary.BigEndian.AppendUint16(b.notes, uint16(len(name.Key)))
	b.notes = append(b.notes, name.Key...)
}

// turn begins a block, in place of the oldest when there are enough, and gives its place.
func (n *recent) turn() int {
	if len(n.past) == n.blocks {
		n.from = max(n.from, n.past[0].newest)
		n.past = append(n.past[:0], n.past[1:]...)
	}
	n.past = append(n.past, noteBlock{notes: make([]byte, 0, n.blockBytes)})
	return len(n.past) - 1
}

// begin starts to take notes in a term. False: they are taken already, or none are to be.
func (n *recent) begin(term uint64, s span, now time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked = now; n.term == term || term == 0 || n.blockBytes < noteHead {
		return false
	}
	n.past, n.ready, n.term, n.bounds = nil, false, term, s
	n.noting.Store(true)
	return true
}

// complete says from where on the notes of a term are complete.
func (n *recent) complete(term uint64, from op.Timestamp) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.term == term {
		n.from, n.ready = max(n.from, from), true
	}
}

// end forgets all.
func (n *recent) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget()
}

// forget is end with n.mu held.
func (n *recent) forget() {
	n.noting.Store(false)
	n.past, n.term, n.ready, n.from = nil, 0, false, 0
}

// names are those that may have versions that a read of changes asks for, each once. Not ok: that is not known, or there are very many.
func (n *recent) names(term uint64, s span, o *op.Changes) (all []op.Name, ok bool) {
	past, ok := n.since(term, s, o.Since)
	seen := map[string]struct{}{}
	for _, b := range past {
		for ok && len(b) > 0 {
			at, space, size := op.Timestamp(binary.BigEndian.Uint64(b)), op.Space(b[8]), int(binary.BigEndian.Uint16(b[9:]))
			key := b[noteHead : noteHead+size]
			b = b[noteHead+size:]
			if at <= o.Since || space != o.Space || !bytes.HasPrefix(key, o.Prefix) {
				continue
			}
			if _, known := seen[string(key)]; !known {
				seen[string(key)] = struct{}{}
				all, ok = append(all, op.Name{Space: space, Key: bytes.Clone(key)}), len(all) < recentNamesMax
			}
		}
	}
	return all, ok
}

// since are the notes among which those above a timestamp are. Not ok: they may not be all.
func (n *recent) since(term uint64, s span, at op.Timestamp) (past [][]byte, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ready || n.term != term || at < n.from || !n.bounds.covers(s) {
		return nil, false
	}
	for i := range n.past {
		if b := &n.past[i]; b.newest > at {
			past = append(past, b.notes)
		}
	}
	return past, true
}

// covers tells whether all of a range lies in this one.
func (s span) covers(of span) bool {
	return fsm.Compare(s.from, of.from) <= 0 && (fsm.IsEnd(s.to) || !fsm.IsEnd(of.to) && fsm.Compare(of.to, s.to) <= 0)
}

// recentNames are the names that a confirmed read of changes has to look at. Not ok: all with the prefix.
func (r *Replica) recentNames(term uint64, o *op.Changes) (names []op.Name, ok bool) {
	told := r.machine.Told()
	if told.Intents == 0 {
		names, ok = r.recent.names(term, span{told.From, told.To}, o)
	}
	if ok {
		r.recent.used.Add(1)
	} else {
		r.recent.walked.Add(1)
	}
	return names, ok
}

// noteRecent has notes taken from now on, for those who will read changes later.
func (r *Replica) noteRecent(ctx context.Context, term uint64) {
	told := r.machine.Told()
	if r.cfg.Stamper == nil || !r.recent.begin(term, span{told.From, told.To}, r.cfg.Clock.Mono()) {
		return
	}
	from, err := r.cfg.Stamper.Next(ctx, 1)
	if err != nil {
		r.recent.end()
		return
	}
	r.recent.complete(term, from)
}

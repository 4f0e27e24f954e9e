// Package interest knows who wants to hear of changes of names with some prefix, and tells them. What it tells is only that something
// has changed: who is told reads what it was.
package interest

import (
	"slices"
	"sync"
	"sync/atomic"

	"kahuna/mvcc"
	"kahuna/op"
)

// Table is who wants to hear of what. A change is looked up once for each length that any of the prefixes has, so its cost does not
// grow with how many there are; while there are none it costs one atomic load for a batch of changes.
type Table struct {
	n      atomic.Int64
	mu     sync.Mutex // never held across a wait
	spaces map[op.Space]*prefixes
}

type prefixes struct {
	all     map[string]map[*Watch]struct{}
	lengths []length // ascending
}

type length struct{ bytes, prefixes int }

// Watch is an interest in the names of a space that begin with a prefix.
type Watch struct {
	Space  op.Space
	Prefix string
	wake   func()
}

// NewTable makes an empty table.
func NewTable() *Table { return &Table{spaces: map[op.Space]*prefixes{}} }

// Add notes an interest. wake is called after a change of such a name is in the store, on the goroutine that applies, and must not wait
// nor call the table.
func (t *Table) Add(space op.Space, prefix string, wake func()) *Watch {
	w := &Watch{space, prefix, wake}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spaces[space]
	if s == nil {
		s = &prefixes{all: map[string]map[*Watch]struct{}{}}
		t.spaces[space] = s
	}
	if s.all[prefix] == nil {
		s.all[prefix] = map[*Watch]struct{}{}
		s.count(len(prefix), 1)
	}
	s.all[prefix][w] = struct{}{}
	t.n.Add(1)
	return w
}

// Remove ends an interest. Its wake is not called any more when Remove has returned.
func (t *Table) Remove(w *Watch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.spaces[w.Space]
	delete(s.all[w.Prefix], w)
	if len(s.all[w.Prefix]) == 0 {
		delete(s.all, w.Prefix)
		s.count(len(w.Prefix), -1)
	}
	t.n.Add(-1)
}

// count notes that there is one prefix of a length more, or one fewer.
func (s *prefixes) count(bytes, more int) {
	i, found := slices.BinarySearchFunc(s.lengths, bytes, func(l length, n int) int { return l.bytes - n })
	if !found {
		s.lengths = slices.Insert(s.lengths, i, length{bytes: bytes})
	}
	if s.lengths[i].prefixes += more; s.lengths[i].prefixes == 0 {
		s.lengths = slices.Delete(s.lengths, i, i+1)
	}
}

// Observe tells those who want to hear of changes that are in the store now.
func (t *Table) Observe(changes []mvcc.Change) {
	if t.n.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range changes {
		n := &changes[i].Name
		s := t.spaces[n.Space]
		if s == nil {
			continue
		}
		for _, l := range s.lengths {
			if l.bytes > len(n.Key) {
				break
			}
			for w := range s.all[string(n.Key[:l.bytes])] {
				w.wake()
			}
		}
	}
}

// WakeAll tells everybody: something may have changed that nobody here has heard of.
func (t *Table) WakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.spaces {
		for _, watches := range s.all {
			for w := range watches {
				w.wake()
			}
		}
	}
}

// Len is how many interests there are.
func (t *Table) Len() int { return int(t.n.Load()) }

package storage

import (
	"bytes"

	badger "github.com/dgraph-io/badger/v4"
)

// merge walks the keys of a span: those of the store, overlaid with those a batch has written.
type merge struct {
	it      *badger.Iterator
	span    span
	own     *writeSet
	pending []uint32 // positions in own still to come, in the direction of the walk from either end
	moved   bool     // the iterator stands on the key that was given out last

	key, value []byte
	err        error
	keep       func([]byte) error
}

func newMerge(txn *badger.Txn, own *writeSet, p span) *merge {
	m := &merge{span: p, own: own}
	m.keep = func(v []byte) error { m.value = v; return nil }
	if own != nil && len(own.writes) > 0 {
		m.pending = own.within(p.lo, p.hi)
	}
	// PrefetchValues would start a goroutine per value; values are in the tables, so there is nothing to wait for.
	m.it = txn.NewIterator(badger.IteratorOptions{Reverse: p.reverse, Prefix: p.prefix()})
	m.seek()
	return m
}

func (m *merge) close() { m.it.Close() }

func (m *merge) seek() {
	switch {
	case !m.span.reverse:
		if len(m.span.lo) == 0 {
			m.it.Rewind()
		} else {
			m.it.Seek(m.span.lo)
		}
	case len(m.span.hi) == 0:
		m.it.Rewind()
	default:
		m.it.Seek(m.span.hi)
		if m.it.Valid() && bytes.Equal(m.it.Item().Key(), m.span.hi) {
			m.it.Next()
		}
	}
}

// next goes to the next key; false at the end or on an error.
func (m *merge) next() bool {
	for {
		if m.moved {
			m.it.Next()
			m.moved = false
		}
		stored := m.it.Valid() && m.span.holds(m.it.Item().Key())
		w := m.peek()
		order := m.compare(stored, w)
		if order < 0 {
			return m.takeStored()
		}
		if w == nil {
			return false
		}
		m.pop()
		m.moved = order == 0 // the batch's write hides the stored key
		if !w.deleted {
			m.key, m.value = w.key, w.value
			return true
		}
	}
}

// nearKeys is how many keys are stepped over before one further on is sought: what is next costs much less.
const nearKeys = 3

// skip goes on so that next finds the first key at or after to, in a walk forward.
func (m *merge) skip(to []byte) {
	m.span.lo = to
	for len(m.pending) > 0 && bytes.Compare(m.peek().key, to) < 0 {
		m.pop()
	}
	before := func() bool { return m.it.Valid() && bytes.Compare(m.it.Item().Key(), to) < 0 }
	for range nearKeys {
		if !before() {
			break
		}
		m.it.Next()
	}
	if before() {
		m.it.Seek(to)
	}
	// The key that was given out last is below to, and so behind.
	m.moved = false
}

// compare tells which comes first in the direction of the walk: below 0 the stored key, above 0 the batch's, 0 the same.
func (m *merge) compare(stored bool, w *write) int {
	switch {
	case !stored:
		return 1
	case w == nil:
		return -1
	case m.span.reverse:
		return -bytes.Compare(m.it.Item().Key(), w.key)
	}
	return bytes.Compare(m.it.Item().Key(), w.key)
}

func (m *merge) takeStored() bool {
	item := m.it.Item()
	m.key, m.moved = item.Key(), true
	if !m.span.keysOnly {
		m.err = item.Value(m.keep)
	}
	return m.err == nil
}

func (m *merge) peek() *write {
	switch n := len(m.pending); {
	case n == 0:
		return nil
	case m.span.reverse:
		return &m.own.writes[m.pending[n-1]]
	default:
		return &m.own.writes[m.pending[0]]
	}
}

func (m *merge) pop() {
	if m.span.reverse {
		m.pending = m.pending[:len(m.pending)-1]
	} else {
		m.pending = m.pending[1:]
	}
}

package fsm

import (
	"bytes"
	"errors"
	"sync"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// cacheBytes is what a partition's cache of current records may hold, about.
const cacheBytes = 8 << 20

// recordCache keeps current records that were lately read or written, as they are stored. What an entry writes is in it before it
// is in the store, but only once the entry is committed, so it is never behind the store and never ahead of the log. A batch that
// fails ends the machine.
//
// Reads put into it what they found in the store, if no batch has begun since (generation): else it could be an older record
// than one that a batch has written.
//
// It has two generations of entries: what is used moves to the younger; when that is full, the older one goes.
type recordCache struct {
	mu         sync.RWMutex
	young, old map[string]cached
	bytes      int    // of the younger one
	generation uint64 // of batches: counts their beginnings and their ends, so it is odd while one is being applied
}

// cached is a stored record, or the knowledge that there is none.
type cached struct {
	value []byte
	there bool
}

func newRecordCache() *recordCache { return &recordCache{young: map[string]cached{}} }

// turn notes the beginning or the end of a batch.
func (c *recordCache) turn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
}

// clear forgets everything.
func (c *recordCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old, c.bytes, c.generation = map[string]cached{}, nil, 0, c.generation+2
}

// at is the present generation.
func (c *recordCache) at() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.generation
}

// peek looks a record up, from any goroutine.
func (c *recordCache) peek(key []byte) (cached, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if r, ok := c.young[string(key)]; ok {
		return r, true
	}
	r, ok := c.old[string(key)]
	return r, ok
}

// warm puts in what a read found in a snapshot that was taken after generation began, if that still lasts.
func (c *recordCache) warm(generation uint64, key []byte, r cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation%2 == 0 && c.generation == generation {
		c.put(key, r)
	}
}

// put needs the lock.
func (c *recordCache) put(key []byte, r cached) {
	if was, ok := c.young[string(key)]; ok {
		c.bytes -= cost(key, was)
	}
	c.young[string(key)] = r
	if c.bytes += cost(key, r); c.bytes > cacheBytes/2 {
		c.old, c.young, c.bytes = c.young, make(map[string]cached, len(c.young)), 0
	}
}

// cost is about how many bytes an entry takes.
func cost(key []byte, r cached) int { return len(key) + len(r.value) + 64 }

func isCurrent(key []byte) bool { return key[0] == byte(storage.KindCurrent) }

// read reads a key of a batch, current records through the cache.
func (c *recordCache) read(b *storage.Batch, key []byte) (value []byte, there bool, err error) {
	if !isCurrent(key) {
		return b.Get(key)
	}
	r, ok := c.peek(key)
	if !ok {
		if value, there, err = b.Get(key); err != nil {
			return nil, false, err
		}
		r = cached{bytes.Clone(value), there}
	}
	c.mu.Lock()
	c.put(key, r)
	c.mu.Unlock()
	return r.value, r.there, nil
}

// wrote notes what the batch writes.
func (c *recordCache) wrote(key, value []byte, there bool) {
	if isCurrent(key) {
		c.mu.Lock()
		c.put(key, cached{value, there})
		c.mu.Unlock()
	}
}

var errNotCached = errors.New("fsm: the cache does not have it")

// cacheReader reads current records from the cache alone.
type cacheReader struct{ c *recordCache }

func (r cacheReader) Get(key []byte) ([]byte, bool, error) {
	if isCurrent(key) {
		if e, ok := r.c.peek(key); ok {
			return e.value, e.there, nil
		}
	}
	return nil, false, errNotCached
}

func (r cacheReader) Scan(_, _ []byte, _, _ bool, _ func(key, value []byte) (bool, error)) error {
	return errNotCached
}

func (r cacheReader) Walk(_, _ []byte, _ func(key, value []byte) ([]byte, bool, error)) error {
	return errNotCached
}

// ReadCached answers reads of what is current, if the cache alone can answer all of them. The caller has made sure that everything
// committed before is applied. Several reads see one state: that between two batches. A single one may see what a batch has
// written that is not in the store yet; it is committed.
func (m *Machine) ReadCached(ops []op.Op) (results []op.Result, ok bool) {
	generation := m.cache.at()
	if len(ops) > 1 && generation%2 != 0 {
		return nil, false
	}
	results = make([]op.Result, len(ops))
	for i, o := range ops {
		if o.Target().Key == nil || !m.owns(m.state.Load(), o) {
			return nil, false
		}
		res, err := Read(cacheReader{m.cache}, mvcc.Latest, o)
		if err != nil {
			return nil, false
		}
		results[i] = res
	}
	return results, len(ops) == 1 || m.cache.at() == generation
}

// Generation is to be asked for before the snapshot is taken whose reads go to Warm.
func (m *Machine) Generation() uint64 { return m.cache.at() }

// Warm lets the cache have the current records of the names that reads were about, from the snapshot they were read in.
func (m *Machine) Warm(generation uint64, r mvcc.Reader, ops []op.Op) error {
	for _, o := range ops {
		n := o.Target()
		if n.Key == nil {
			continue
		}
		key := storage.AppendCurrent(nil, n)
		if _, known := m.cache.peek(key); known {
			continue
		}
		value, there, err := r.Get(key)
		if err != nil {
			return err
		}
		m.cache.warm(generation, key, cached{bytes.Clone(value), there})
	}
	return nil
}

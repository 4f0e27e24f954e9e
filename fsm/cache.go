package fsm

import (
	"bytes"

	"kahuna/storage"
)

// cacheBytes is what a partition's cache of current records may hold, about.
const cacheBytes = 8 << 20

// recordCache keeps current records that were lately read or written by the log, as they are stored. It is used on the
// applying goroutine only, by which alone the records change, so it is always right: a batch that fails ends the machine.
//
// It has two generations: what is used moves to the younger; when that is full, the older one goes.
type recordCache struct {
	young, old map[string]cached
	bytes      int // of the younger one
}

// cached is a stored record, or the knowledge that there is none.
type cached struct {
	value []byte
	there bool
}

func newRecordCache() recordCache { return recordCache{young: map[string]cached{}} }

func (c *recordCache) get(key []byte) (cached, bool) {
	if r, ok := c.young[string(key)]; ok {
		return r, true
	}
	r, ok := c.old[string(key)]
	if ok {
		c.put(key, r)
	}
	return r, ok
}

func (c *recordCache) put(key []byte, r cached) {
	c.young[string(key)] = r
	if c.bytes += len(key) + len(r.value) + 64; c.bytes > cacheBytes/2 {
		c.old, c.young, c.bytes = c.young, make(map[string]cached, len(c.young)), 0
	}
}

func isCurrent(key []byte) bool { return key[0] == byte(storage.KindCurrent) }

// read reads a key of a batch, current records through the cache.
func (c *recordCache) read(b *storage.Batch, key []byte) (value []byte, there bool, err error) {
	if !isCurrent(key) {
		return b.Get(key)
	}
	if r, ok := c.get(key); ok {
		return r.value, r.there, nil
	}
	if value, there, err = b.Get(key); err != nil {
		return nil, false, err
	}
	value = bytes.Clone(value)
	c.put(key, cached{value, there})
	return value, there, nil
}

// wrote notes what the batch writes.
func (c *recordCache) wrote(key, value []byte, there bool) {
	if isCurrent(key) {
		c.put(key, cached{value, there})
	}
}

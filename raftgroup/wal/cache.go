package wal

import "github.com/hashicorp/raft"

// cache keeps the newest entries of all groups in memory, at most cacheEntries and cacheBytes: a ring, oldest out first. The
// entries hang at the slots of their groups; the ring only knows whom to unhook. It belongs to the writer.
type cache struct {
	ring  []cached
	head  int // oldest
	n     int
	bytes int
}

type cached struct {
	g   *Group
	log *raft.Log
}

func newCache() cache { return cache{ring: make([]cached, cacheEntries)} }

// clone copies entries and their data, so that what is cached does not hang on the callers' memory. It returns nil for entries
// that are too large to be worth it.
func clone(logs []*raft.Log) []raft.Log {
	bytes := 0
	for _, e := range logs {
		bytes += len(e.Data) + len(e.Extensions)
	}
	if len(logs) > cacheEntries || bytes > cacheBytes/4 {
		return nil
	}
	data := make([]byte, 0, bytes)
	out := make([]raft.Log, len(logs))
	for i, e := range logs {
		out[i] = *e
		data, out[i].Data = cut(data, e.Data)
		data, out[i].Extensions = cut(data, e.Extensions)
		out[i].AppendedAt = e.AppendedAt.Round(0).UTC()
	}
	return out
}

// cut appends b to data and returns its copy there; nil for nothing, as what is read from disk.
func cut(data, b []byte) (rest, copied []byte) {
	if len(b) == 0 {
		return data, nil
	}
	n := len(data)
	data = append(data, b...)
	return data, data[n:len(data):len(data)]
}

func cost(e *raft.Log) int { return len(e.Data) + len(e.Extensions) }

// add takes the entries that were just hooked to g's slots. No group's lock is held.
func (c *cache) add(g *Group, logs []raft.Log) {
	for i := range logs {
		if c.n == len(c.ring) {
			c.evict()
		}
		c.ring[(c.head+c.n)%len(c.ring)] = cached{g: g, log: &logs[i]}
		c.n++
		c.bytes += cost(&logs[i])
	}
	for c.bytes > cacheBytes {
		c.evict()
	}
}

func (c *cache) evict() {
	old := &c.ring[c.head]
	old.g.unhook(old.log)
	c.bytes -= cost(old.log)
	*old = cached{}
	c.head = (c.head + 1) % len(c.ring)
	c.n--
}

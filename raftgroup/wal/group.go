package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/hashicorp/raft"
)

// Group is one Raft group's view of the log. Entries and keys become visible when they are durable. It is safe for
// concurrent use; concurrent calls take effect in the order in which they got into the log.
//
// It does not implement raft.MonotonicLogStore on purpose (hashicorp/raft#697, #704), but tolerates no gaps either: an append
// must follow the last entry, or find no entries. hashicorp/raft 1.8.0 goes on behind a gap after a snapshot above its last
// entry was installed or restored, so the owner of the group has a duty: once such a snapshot is durable and before the next
// append, delete all entries (they are below it). That is in the state machine's Restore at run time, and before NewRaft at
// start, if LastIndex is below the newest snapshot: the process may have died in between. Entries at or above the snapshot
// must stay; deleting them, or any of them before the snapshot is durable, breaks a promise. Until then appends get
// ErrNotContiguous.
type Group struct {
	log *Log
	id  uint32

	// Under log.mu: the bounds of the entries once all queued calls have taken effect. 0, 0: none.
	firstQueued, lastQueued uint64

	mu      sync.RWMutex // changed by the writer only
	entries entries
	keys    map[string]value
}

// value is a key of the stable store, and where its record is.
type value struct {
	val  []byte
	seg  *segment
	size uint32
}

func (v value) retain() {
	v.seg.live++
	v.seg.liveBytes += int64(v.size)
}

func (v value) release() {
	if v.seg != nil {
		v.seg.live--
		v.seg.liveBytes -= int64(v.size)
	}
}

var (
	_ raft.LogStore    = (*Group)(nil)
	_ raft.StableStore = (*Group)(nil)
)

func (g *Group) bounds() (first, last uint64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.entries.bounds()
}

// FirstIndex is 0 when there are no entries.
func (g *Group) FirstIndex() (uint64, error) {
	first, _ := g.bounds()
	return first, g.log.usable()
}

// LastIndex is 0 when there are no entries.
func (g *Group) LastIndex() (uint64, error) {
	_, last := g.bounds()
	return last, g.log.usable()
}

// GetLog fills in out, whose Data and Extensions must not be changed. A missing entry is raft.ErrLogNotFound. A record that cannot be read
// back, or is not what was written, stops the log: it is a lost promise.
func (g *Group) GetLog(index uint64, out *raft.Log) error {
	for {
		if err := g.log.usable(); err != nil {
			return err
		}
		s, ok := g.find(index)
		if !ok {
			return raft.ErrLogNotFound
		}
		if s.log != nil {
			*out = *s.log
			return nil
		}
		err := s.read(g.id, index, out)
		if err == nil {
			return nil
		}
		// The segment may have been removed meanwhile, after the entry was deleted or copied.
		if now, ok := g.find(index); !ok || now.seg != s.seg || now.off != s.off {
			continue
		}
		if err := g.log.usable(); err != nil {
			return err
		}
		return g.log.failStop(err)
	}
}

func (g *Group) find(index uint64) (slot, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if s := g.entries.at(index); s != nil {
		return *s, true
	}
	return slot{}, false
}

// read reads the record from disk and checks that it is the one.
func (s slot) read(group uint32, index uint64, out *raft.Log) error {
	b := make([]byte, s.size)
	if _, err := s.seg.f.ReadAt(b, int64(s.off)); err != nil {
		return fmt.Errorf("wal: reading segment %d at byte %d: %w", s.seg.number, s.off, err)
	}
	r, err := decodeRecord(b, true)
	if err == nil {
		err = decodeEntry(r.payload, out)
	}
	if err == nil && (r.kind != kindEntry && r.kind != kindCopy || r.group != group || out.Index != index || out.Term != s.term) {
		err = fmt.Errorf("found group %d index %d term %d, want group %d index %d term %d", r.group, out.Index, out.Term, group, index, s.term)
	}
	if err != nil {
		return &CorruptError{Segment: s.seg.number, Offset: int64(s.off), Reason: err.Error()}
	}
	return nil
}

// StoreLog is StoreLogs of one entry.
func (g *Group) StoreLog(e *raft.Log) error { return g.StoreLogs([]*raft.Log{e}) }

// StoreLogs appends entries and returns when they are durable. They must follow one another and the group's last entry; a
// group without entries may begin at any index above 0. The caller keeps its memory.
func (g *Group) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return g.log.usable()
	}
	size := 0
	for i, e := range logs {
		size += entryBytes(e)
		if e.Index == 0 || e.Index == math.MaxUint64 || e.Index != logs[0].Index+uint64(i) {
			return fmt.Errorf("%w: group %d: entry %d at place %d of a call that begins with %d", ErrNotContiguous, g.id, e.Index, i, logs[0].Index)
		}
	}
	cached := clone(logs)
	b, err := g.log.begin(size)
	if err != nil {
		return err
	}
	if first := logs[0].Index; g.lastQueued != 0 && first != g.lastQueued+1 {
		g.log.abandon()
		return fmt.Errorf("%w: group %d: entry %d after entry %d", ErrNotContiguous, g.id, first, g.lastQueued)
	}
	b.addEntries(g, logs, cached)
	g.queued(&b.ops[len(b.ops)-1])
	g.log.end()
	return b.wait(false)
}

// queued moves the bounds ahead for a call that was added to a batch. log.mu is held.
func (g *Group) queued(o *op) {
	switch o.kind {
	case kindEntry:
		if g.lastQueued == 0 {
			g.firstQueued = o.index
		}
		g.lastQueued = o.index + uint64(o.to-o.from) - 1
	case kindDeletePrefix:
		g.firstQueued = max(g.firstQueued, o.index+1)
	case kindDeleteSuffix:
		g.lastQueued = min(g.lastQueued, o.index-1)
	case kindRemove:
		g.firstQueued, g.lastQueued = 0, 0
	}
	if g.firstQueued > g.lastQueued || g.lastQueued == 0 {
		g.firstQueued, g.lastQueued = 0, 0
	}
}

// DeleteRange deletes the entries from low to high, both included, as far as there are any. They must be a prefix, a suffix or all
// entries (else ErrMiddle). It returns when the deletion is durable.
func (g *Group) DeleteRange(low, high uint64) error {
	b, err := g.log.begin(0)
	if err != nil {
		return err
	}
	first, last := g.firstQueued, g.lastQueued
	switch {
	case last == 0 || low > high || high < first || low > last:
		g.log.abandon()
		return nil
	case low <= first:
		b.addDelete(g, kindDeletePrefix, min(high, last))
	case high >= last:
		b.addDelete(g, kindDeleteSuffix, low)
	default:
		g.log.abandon()
		return fmt.Errorf("%w: group %d: %d..%d of %d..%d", ErrMiddle, g.id, low, high, first, last)
	}
	g.queued(&b.ops[len(b.ops)-1])
	g.log.end()
	return b.wait(true)
}

// Set stores a key and returns when it is durable. The caller keeps its memory.
func (g *Group) Set(key, val []byte) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("%w: key of %d bytes, limit %d", ErrTooLarge, len(key), maxKeyBytes)
	}
	b, err := g.log.begin(recordHeaderBytes + 2 + len(key) + len(val))
	if err != nil {
		return err
	}
	b.addSet(g, string(key), append([]byte(nil), val...))
	g.log.end()
	return b.wait(true)
}

// Get returns a copy of the value. A key that was never set is an error with the text "not found".
func (g *Group) Get(key []byte) ([]byte, error) {
	if err := g.log.usable(); err != nil {
		return nil, err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	v, ok := g.keys[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return append([]byte{}, v.val...), nil
}

// SetUint64 stores a number.
func (g *Group) SetUint64(key []byte, n uint64) error {
	return g.Set(key, binary.LittleEndian.AppendUint64(nil, n))
}

// GetUint64 returns 0 and an error with the text "not found" for a key that was never set.
func (g *Group) GetUint64(key []byte) (uint64, error) {
	v, err := g.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, errors.New("wal: key does not hold a number")
	}
	return binary.LittleEndian.Uint64(v), nil
}

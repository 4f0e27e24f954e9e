package commands

import (
	"container/list"
	"strconv"
	"sync"

	"kahuna/op"
)

// A cursor is a slot number in its lower slotBits, and above it an id in idBits: 0 when the scan goes on at the beginning of
// that slot, else one of a position inside it that is remembered here. It stays below 2^53, so that clients which keep
// numbers as floating point lose nothing.
const (
	slotBits = 14
	idBits   = 38
)

// positionBytesMax bounds the names of all positions together.
const positionBytesMax = 32 << 20

// cursors remembers positions inside slots, the latest used up to a number and a size. An id that was forgotten, or is another node's,
// makes a scan begin its slot again: it may repeat names, it misses none. Safe for concurrent use.
type cursors struct {
	limit int
	rand  func() uint64
	mu    *sync.Mutex
	byID  map[uint64]*list.Element
	used  *list.List // of *remembered, the latest in front
	bytes int        // of their names
}

type remembered struct {
	id    uint64
	space op.Space
	at    op.Position
}

func newCursors(limit int, rand func() uint64) cursors {
	return cursors{limit: limit, rand: rand, mu: new(sync.Mutex), byID: map[uint64]*list.Element{}, used: list.New()}
}

// cursor names a position; nil is the end.
func (c *cursors) cursor(space op.Space, at *op.Position) uint64 {
	if at == nil {
		return 0
	}
	if len(at.Name) == 0 {
		return uint64(at.Slot)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.free()
	c.byID[id] = c.used.PushFront(&remembered{id, space, *at})
	c.bytes += len(at.Name)
	for c.used.Len() > c.limit || c.bytes > positionBytesMax {
		oldest := c.used.Remove(c.used.Back()).(*remembered)
		delete(c.byID, oldest.id)
		c.bytes -= len(oldest.at.Name)
	}
	return id<<slotBits | uint64(at.Slot)
}

// free finds an id that is not in use. Ids are random, so that one from before a restart is not taken for another.
func (c *cursors) free() uint64 {
	for {
		id := c.rand() >> (64 - idBits)
		if _, taken := c.byID[id]; id != 0 && !taken {
			return id
		}
	}
}

// position is where a cursor points to. The position stays remembered: a client may ask for the same page again.
func (c *cursors) position(space op.Space, cursor uint64) op.Position {
	slot := uint16(cursor & (1<<slotBits - 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[cursor>>slotBits]; ok {
		if r := e.Value.(*remembered); r.space == space && r.at.Slot == slot {
			c.used.MoveToFront(e)
			return r.at
		}
	}
	return op.Position{Slot: slot}
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

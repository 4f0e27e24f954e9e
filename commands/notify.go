package commands

import (
	"strings"
	"sync/atomic"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/pubsub"
)

// Keyspace notifications, as in Redis: off unless the setting notify-keyspace-events says which. They are told by the node that
// leads a key's partition when it has applied the change, to subscribers on every node, at most once.

// eventClasses are the letters of the setting; the bit of a class is its place.
const eventClasses = "g$lshzxetdnKEm"

const allClasses = "g$lshzxetd" // what A stands for

// notifications is which events are told; 0: none.
type notifications struct{ classes atomic.Uint32 }

func class(letter byte) uint32 { return 1 << strings.IndexByte(eventClasses, letter) }

// parseEvents reads the setting notify-keyspace-events.
func parseEvents(text string) (classes uint32, ok bool) {
	for i := range len(text) {
		switch c := text[i]; {
		case c == 'A':
			for j := range len(allClasses) {
				classes |= class(allClasses[j])
			}
		case strings.IndexByte(eventClasses, c) < 0:
			return 0, false
		default:
			classes |= class(c)
		}
	}
	return classes, true
}

// eventsText is the setting as CONFIG GET shows it.
func eventsText(classes uint32) string {
	text := ""
	for i := range len(eventClasses) {
		if classes&(1<<i) != 0 {
			text += eventClasses[i : i+1]
		}
	}
	return strings.Replace(text, allClasses, "A", 1)
}

// Changed is told of what was applied in partitions that this node leads, and tells who listens. It does not wait.
func (h *Handler) Changed(changes []mvcc.Change) {
	classes := h.events.classes.Load()
	if classes&(class('K')|class('E')) == 0 {
		return
	}
	for i := range changes {
		c := &changes[i]
		if c.Name.Space != op.SpaceKey {
			continue
		}
		if c.Cause == op.KindHashDelete && c.Record.Deleted {
			h.notify(classes, 'h', "hdel", c.Name.Key)
		}
		event, letter := eventOf(c)
		if !c.WasLive && !c.Record.Deleted {
			h.notify(classes, 'n', "new", c.Name.Key)
		}
		h.notify(classes, letter, event, c.Name.Key)
		if c.Cause == op.KindSet && c.Record.ExpireAt != 0 && !c.Record.Deleted {
			h.notify(classes, 'g', "expire", c.Name.Key)
		}
	}
}

// eventOf names what became of a key, and the class it belongs to.
func eventOf(c *mvcc.Change) (event string, letter byte) {
	switch {
	case c.Record.Deleted && c.Cause == op.KindSweep:
		return "expired", 'x'
	case c.Record.Deleted:
		return "del", 'g'
	case c.SameRev && c.Record.ExpireAt == 0:
		return "persist", 'g'
	case c.SameRev:
		return "expire", 'g'
	}
	switch c.Cause {
	case op.KindIncr:
		return "incrby", '$'
	case op.KindIncrFloat:
		return "incrbyfloat", '$'
	case op.KindAppend:
		return "append", '$'
	case op.KindSetRange:
		return "setrange", '$'
	case op.KindHashDelete:
		return "hdel", 'h'
	case op.KindHashIncr:
		return "hincrby", 'h'
	case op.KindHashIncrFloat:
		return "hincrbyfloat", 'h'
	}
	if c.Record.Type == mvcc.TypeHash {
		return "hset", 'h'
	}
	return "set", '$'
}

func (h *Handler) notify(classes uint32, letter byte, event string, key []byte) {
	if classes&class(letter) == 0 {
		return
	}
	if classes&class('K') != 0 {
		h.hub.Publish(pubsub.Message{Channel: append([]byte("__keyspace@0__:"), key...), Payload: []byte(event)})
	}
	if classes&class('E') != 0 {
		h.hub.Publish(pubsub.Message{Channel: []byte("__keyevent@0__:" + event), Payload: append([]byte(nil), key...)})
	}
}

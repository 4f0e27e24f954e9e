package pubsub

import (
	"slices"
	"sync"
	"sync/atomic"

	"kahuna/glob"
)

// Kind is a name space of subscriptions.
type Kind uint8

const (
	Channel Kind = iota // SUBSCRIBE
	Pattern             // PSUBSCRIBE: a glob over channels
	Shard               // SSUBSCRIBE: channels apart from the others; patterns don't reach them
	kinds
)

// Message is what is published. Its slices are not changed after it was handed over.
type Message struct {
	Shard   bool
	Channel []byte
	Payload []byte
}

func (m *Message) kind() Kind {
	if m.Shard {
		return Shard
	}
	return Channel
}

// Deliver gives a message to a subscriber. The pattern is the one that matched, nil when the channel itself is subscribed to.
// It must not wait, and not call into the hub.
type Deliver func(m *Message, pattern []byte)

type set map[*Subscriber]struct{}

// Hub is the subscriptions of one node. It is safe for concurrent use.
type Hub struct {
	forward func(Message)
	listens atomic.Int64 // subscriptions in all; Publish is nearly free at 0

	mu      sync.RWMutex // guards what follows, and is held while messages are delivered
	members [kinds]map[string]set
}

// New makes a hub. The function forward hands a message to all other nodes, and must not wait; nil when there are none.
func New(forward func(Message)) *Hub {
	h := &Hub{forward: forward}
	for k := range h.members {
		h.members[k] = map[string]set{}
	}
	return h
}

// Publish delivers a message here and hands it to the other nodes. It returns how many times it was delivered here.
func (h *Hub) Publish(m Message) int {
	n := h.Local(m)
	if h.forward != nil {
		h.forward(m)
	}
	return n
}

// Local delivers a message to the subscribers of this node and returns how many times. It is where messages from other nodes
// come in.
func (h *Hub) Local(m Message) int {
	return h.each(&m, func(s *Subscriber, pattern []byte) { s.deliver(&m, pattern) })
}

// Receivers is how many times a message would be delivered here.
func (h *Hub) Receivers(m Message) int { return h.each(&m, func(*Subscriber, []byte) {}) }

// each calls fn for all subscriptions that a message reaches, and counts them.
func (h *Hub) each(m *Message, fn func(s *Subscriber, pattern []byte)) (n int) {
	if h.listens.Load() == 0 {
		return 0
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.members[m.kind()][string(m.Channel)] {
		fn(s, nil)
		n++
	}
	if m.Shard {
		return n
	}
	for name, members := range h.members[Pattern] {
		pattern := []byte(name)
		if !glob.Match(pattern, m.Channel) {
			continue
		}
		for s := range members {
			fn(s, pattern)
			n++
		}
	}
	return n
}

// Listening tells whether anybody here is subscribed to anything. A message published at the same moment may be missed.
func (h *Hub) Listening() bool { return h.listens.Load() > 0 }

// Names are the channels, patterns or shard channels that somebody is subscribed to, in order, of those that match a glob; an
// empty one matches all.
func (h *Hub) Names(k Kind, match []byte) []string {
	h.mu.RLock()
	names := make([]string, 0, len(h.members[k]))
	for name := range h.members[k] {
		names = append(names, name)
	}
	h.mu.RUnlock()
	names = slices.DeleteFunc(names, func(name string) bool { return len(match) > 0 && !glob.Match(match, []byte(name)) })
	slices.Sort(names)
	return names
}

// Members is how many are subscribed to exactly this name.
func (h *Hub) Members(k Kind, name []byte) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.members[k][string(name)])
}

// Count is how many different names of a kind are subscribed to.
func (h *Hub) Count(k Kind) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.members[k])
}

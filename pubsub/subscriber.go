package pubsub

import (
	"slices"
)

// Subscriber is one client's subscriptions. Its methods belong to one goroutine at a time. Close it.
type Subscriber struct {
	hub     *Hub
	deliver Deliver
	names   [kinds]map[string]struct{}
}

// Subscriber makes a subscriber without any subscription yet.
func (h *Hub) Subscriber(deliver Deliver) *Subscriber {
	s := &Subscriber{hub: h, deliver: deliver}
	for k := range s.names {
		s.names[k] = map[string]struct{}{}
	}
	return s
}

// Subscribe begins a subscription; one that there is already stays as it is.
func (s *Subscriber) Subscribe(k Kind, name []byte) {
	if s.Has(k, name) {
		return
	}
	n := string(name)
	s.names[k][n] = struct{}{}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	members := h.members[k][n]
	if members == nil {
		members = set{}
		h.members[k][n] = members
	}
	members[s] = struct{}{}
	h.listens.Add(1)
}

// Unsubscribe ends a subscription. Nothing is delivered for it once this has returned.
func (s *Subscriber) Unsubscribe(k Kind, name []byte) {
	if !s.Has(k, name) {
		return
	}
	n := string(name)
	delete(s.names[k], n)
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	members := h.members[k][n]
	if delete(members, s); len(members) == 0 {
		delete(h.members[k], n)
	}
	h.listens.Add(-1)
}

// Has tells whether there is such a subscription.
func (s *Subscriber) Has(k Kind, name []byte) bool {
	_, ok := s.names[k][string(name)]
	return ok
}

// Names are the subscriptions of a kind, in order.
func (s *Subscriber) Names(k Kind) []string {
	names := make([]string, 0, len(s.names[k]))
	for n := range s.names[k] {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Count is how many subscriptions of a kind there are.
func (s *Subscriber) Count(k Kind) int { return len(s.names[k]) }

// Close ends all subscriptions. It may be called again.
func (s *Subscriber) Close() {
	for k := range s.names {
		for n := range s.names[k] {
			s.Unsubscribe(Kind(k), []byte(n))
		}
	}
}

package commands

import (
	"context"
	"fmt"
	"strings"

	"kahuna/op"
	"kahuna/pubsub"
	"kahuna/resp"
)

// The part of a session that listens to channels. Messages reach the client through Conn.Push: in RESP3 beside the replies, in
// RESP2 instead of them, which is why a subscribed client may then say little else.

// subscribe begins a subscription.
func (s *Session) subscribe(kind pubsub.Kind, name []byte) error {
	if s.sub == nil {
		s.sub = s.h.hub.Subscriber(s.deliver)
	}
	limit := s.h.limits.Subscriptions
	if !s.sub.Has(kind, name) && s.allSubscriptions() >= limit {
		return userError(fmt.Sprintf("ERR too many subscriptions (limit %d)", limit))
	}
	s.sub.Subscribe(kind, name)
	s.subs[kind].Store(int32(s.sub.Count(kind)))
	return nil
}

// unsubscribe ends a subscription. Messages that came before are sent before the reply that confirms it.
func (s *Session) unsubscribe(kind pubsub.Kind, name []byte) {
	if s.sub == nil {
		return
	}
	s.sub.Unsubscribe(kind, name)
	s.subs[kind].Store(int32(s.sub.Count(kind)))
	if s.conn.Collect != nil {
		s.conn.Collect()
	}
}

func (s *Session) subscriptions(kind pubsub.Kind) (names [][]byte) {
	if s.sub == nil {
		return nil
	}
	for _, n := range s.sub.Names(kind) {
		names = append(names, []byte(n))
	}
	return names
}

// subscribed is the number that a confirmation tells: channels and patterns together, shard channels apart.
func (s *Session) subscribed(kind pubsub.Kind) int {
	switch {
	case s.sub == nil:
		return 0
	case kind == pubsub.Shard:
		return s.sub.Count(kind)
	}
	return s.sub.Count(pubsub.Channel) + s.sub.Count(pubsub.Pattern)
}

// Listening tells whether messages may come at any time: the client may be silent as long as it likes. Only the connection's
// goroutine may call it.
func (s *Session) Listening() bool {
	return s.monitors || s.sub != nil && s.allSubscriptions() > 0
}

func (s *Session) allSubscriptions() int {
	return s.sub.Count(pubsub.Channel) + s.sub.Count(pubsub.Pattern) + s.sub.Count(pubsub.Shard)
}

// dropSubscriptions ends all subscriptions without replies.
func (s *Session) dropSubscriptions() {
	if s.sub == nil {
		return
	}
	s.sub.Close()
	for k := range s.subs {
		s.subs[k].Store(0)
	}
}

// deliver hands a message to the client. It runs on the publisher's goroutine.
func (s *Session) deliver(m *pubsub.Message, pattern []byte) {
	if s.conn.Push == nil {
		return
	}
	heard := m.Channel
	if pattern != nil {
		heard = pattern
	}
	if !s.mayHear(heard, pattern != nil) { // its rights were taken away: it is to notice that
		s.cut()
		return
	}
	s.conn.Push(func(w *resp.Writer) {
		switch {
		case pattern != nil:
			w.Push(4)
			w.BulkString("pmessage")
			w.Bulk(pattern)
		case m.Shard:
			w.Push(3)
			w.BulkString("smessage")
		default:
			w.Push(3)
			w.BulkString("message")
		}
		w.Bulk(m.Channel)
		w.Bulk(m.Payload)
	})
}

// listensInRESP2 tells whether the client is subscribed and can't tell replies from messages.
func (s *Session) listensInRESP2(w *resp.Writer) bool {
	return s.sub != nil && w.Proto() == resp.RESP2 && s.allSubscriptions() > 0
}

// mayWhileListening tells whether such a client may execute a command.
func (c *Command) mayWhileListening() bool {
	switch c.Name {
	case "ping", "quit", "reset":
		return true
	}
	return strings.HasSuffix(c.Name, "subscribe")
}

func onlyListensText(row *Command) string {
	return "ERR Can't execute '" + row.fullName() + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
}

// transact runs fn as a transaction. What it publishes is sent once it has taken effect.
func (s *Session) transact(ctx context.Context, watched []op.Seen, fn func(tx Doer) error) (bool, error) {
	done, err := s.h.backend.Transact(ctx, watched, func(tx Doer) error {
		s.outbox = nil
		return fn(tx)
	})
	if done && err == nil {
		s.publishAll()
	}
	s.outbox = nil
	return done, err
}

// publishAll sends what a transaction has published that has taken effect now.
func (s *Session) publishAll() {
	for _, m := range s.outbox {
		s.h.hub.Publish(m)
	}
	s.outbox = nil
}

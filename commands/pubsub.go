package commands

import (
	"context"
	"fmt"

	"kahuna/pubsub"
)

const (
	pubsubFlags        = "pubsub noscript loading stale no_multi"
	subscribeSummary   = "Listens to channels. Messages come at most once, as long as the connection lasts."
	pubsubChannelCount = "O(N) where N is the number of channels"
)

func pubsubRows() []Command {
	rows := []Command{
		{Name: "subscribe", Arity: -2, Flags: pubsubFlags, Syntax: "channel [channel ...]", Since: "2.0.0", Summary: subscribeSummary, parse: parseSubscribe(pubsub.Channel)},
		{Name: "psubscribe", Arity: -2, Flags: pubsubFlags, Syntax: "pattern [pattern ...]", Since: "2.0.0", Summary: "Listens to all channels whose names match patterns.", parse: parseSubscribe(pubsub.Pattern)},
		{Name: "ssubscribe", Arity: -2, Flags: pubsubFlags, Syntax: "shardchannel [shardchannel ...]", Since: "7.0.0", Summary: "Listens to shard channels, which are apart from the others and not bound to a node here.", parse: parseSubscribe(pubsub.Shard)},
		{Name: "unsubscribe", Arity: -1, Flags: pubsubFlags, Syntax: "[channel [channel ...]]", Since: "2.0.0", Summary: "Stops listening to channels, or to all of them.", parse: parseUnsubscribe(pubsub.Channel)},
		{Name: "punsubscribe", Arity: -1, Flags: pubsubFlags, Syntax: "[pattern [pattern ...]]", Since: "2.0.0", Summary: "Stops listening to patterns, or to all of them.", parse: parseUnsubscribe(pubsub.Pattern)},
		{Name: "sunsubscribe", Arity: -1, Flags: pubsubFlags, Syntax: "[shardchannel [shardchannel ...]]", Since: "7.0.0", Summary: "Stops listening to shard channels, or to all of them.", parse: parseUnsubscribe(pubsub.Shard)},
		{Name: "publish", Arity: 3, Flags: "pubsub loading stale fast", Syntax: "channel message", Since: "2.0.0", Complexity: "O(N+M) where N is the number of listeners and M that of patterns",
			Summary: "Sends a message to all who listen, on every node; the reply counts those on this node. In MULTI and in scripts it is sent once that has taken effect.", parse: parsePublish(false)},
		{Name: "spublish", Arity: 3, Flags: "pubsub loading stale fast", Syntax: "shardchannel message", Since: "7.0.0", Complexity: "O(N) where N is the number of listeners", Summary: "As PUBLISH, to a shard channel.", parse: parsePublish(true)},
		{Name: "pubsub", Arity: -2, Flags: "pubsub loading stale", Since: "2.8.0", Summary: "Who listens to what, on this node.", Complexity: "Depends on subcommand.", Sub: []Command{
			{Name: "channels", Arity: -2, Flags: "pubsub loading stale", Syntax: "[pattern]", Since: "2.8.0", Complexity: pubsubChannelCount, Summary: "The channels that somebody listens to.", parse: parsePubsubChannels(pubsub.Channel)},
			{Name: "numsub", Arity: -2, Flags: "pubsub loading stale", Syntax: "[channel [channel ...]]", Since: "2.8.0", Complexity: pubsubChannelCount, Summary: "How many listen to each channel, patterns not counted.", parse: parsePubsubNumsub(pubsub.Channel)},
			{Name: "numpat", Arity: 2, Flags: "pubsub loading stale", Since: "2.8.0", Complexity: "O(1)", Summary: "How many different patterns are listened to.", parse: parsePubsubNumpat},
			{Name: "shardchannels", Arity: -2, Flags: "pubsub loading stale", Syntax: "[pattern]", Since: "7.0.0", Complexity: pubsubChannelCount, Summary: "The shard channels that somebody listens to.", parse: parsePubsubChannels(pubsub.Shard)},
			{Name: "shardnumsub", Arity: -2, Flags: "pubsub loading stale", Syntax: "[shardchannel [shardchannel ...]]", Since: "7.0.0", Complexity: pubsubChannelCount, Summary: "How many listen to each shard channel.", parse: parsePubsubNumsub(pubsub.Shard)},
			{Name: "help", Arity: 2, Flags: "loading stale", Categories: "slow", Since: "6.2.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("pubsub")},
		}},
	}
	return grouped("pubsub", "pubsub", rows)
}

// parseSubscribe makes a request of its own step, so that what is pipelined behind it is judged by the new subscriptions.
func parseSubscribe(kind pubsub.Kind) func(p *parser) request {
	return func(p *parser) request {
		names := p.channels()
		return request{run: func(_ context.Context, c *call) error {
			for _, name := range names {
				if err := c.s.subscribe(kind, name); err != nil {
					return err
				}
				c.confirm(kind, "subscribe", name)
			}
			return nil
		}}
	}
}

func parseUnsubscribe(kind pubsub.Kind) func(p *parser) request {
	return func(p *parser) request {
		names := p.channels()
		all := len(names) == 0
		return request{run: func(_ context.Context, c *call) error {
			if all {
				names = c.s.subscriptions(kind)
			}
			for _, name := range names {
				c.s.unsubscribe(kind, name)
				c.confirm(kind, "unsubscribe", name)
			}
			if len(names) == 0 {
				c.confirm(kind, "unsubscribe", nil)
			}
			return nil
		}}
	}
}

// channels takes all arguments that are left. A channel may be empty, as in Redis.
func (p *parser) channels() [][]byte {
	all := p.words()
	for _, a := range all {
		p.checkChannel(a)
	}
	return all
}

func (p *parser) checkChannel(a []byte) {
	if len(a) > p.h.limits.NameBytes {
		p.fail("ERR " + tooLarge("channel", p.h.limits.NameBytes))
	}
}

// confirm writes one reply about one channel; nil for "none".
func (c *call) confirm(kind pubsub.Kind, verb string, name []byte) {
	c.w.Push(3)
	c.w.BulkString([...]string{"", "p", "s"}[kind] + verb)
	if name == nil {
		c.w.Null()
	} else {
		c.w.Bulk(name)
	}
	c.w.Int(int64(c.s.subscribed(kind)))
}

func parsePublish(shard bool) func(p *parser) request {
	return func(p *parser) request {
		m := pubsub.Message{Shard: shard, Channel: p.next(), Payload: p.value()}
		p.checkChannel(m.Channel)
		return request{local: func(c *call) { c.publish(m) }}
	}
}

// publish sends a message, or has it sent once the transaction around it has taken effect. It answers how many get it here.
func (c *call) publish(m pubsub.Message) {
	if !c.inTxn {
		c.w.Int(int64(c.s.h.hub.Publish(m)))
		return
	}
	if !c.s.hold(m) {
		c.w.Error("ERR " + tooLarge("transaction's messages", c.s.h.limits.QueuedBytes))
		return
	}
	c.w.Int(int64(c.s.h.hub.Receivers(m)))
}

// hold keeps a message until the transaction has taken effect; false when that would be too many bytes.
func (s *Session) hold(m pubsub.Message) bool {
	if len(s.outbox) == 0 {
		s.held = 0
	}
	bytes := heldBytes(&m)
	if s.held+bytes > s.h.limits.QueuedBytes {
		return false
	}
	s.held += bytes
	s.outbox = append(s.outbox, m)
	return true
}

// takeBack drops the messages that a step has published, down to n.
func (s *Session) takeBack(n int) {
	for i := n; i < len(s.outbox); i++ {
		s.held -= heldBytes(&s.outbox[i])
	}
	clear(s.outbox[n:])
	s.outbox = s.outbox[:n]
}

func heldBytes(m *pubsub.Message) int { return 64 + len(m.Channel) + len(m.Payload) }

func parsePubsubChannels(kind pubsub.Kind) func(p *parser) request {
	return func(p *parser) request {
		var pattern []byte
		if p.more() {
			pattern = p.next()
		}
		p.noMore("pubsub")
		return request{local: func(c *call) {
			names := c.s.h.hub.Names(kind, pattern)
			c.w.Array(len(names))
			for _, n := range names {
				c.w.BulkString(n)
			}
		}}
	}
}

// noMore refuses arguments that the arity of a subcommand lets through.
func (p *parser) noMore(container string) {
	if p.more() {
		p.fail(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.", p.row.Name, upper(container)))
	}
}

func parsePubsubNumsub(kind pubsub.Kind) func(p *parser) request {
	return func(p *parser) request {
		names := p.words()
		return request{local: func(c *call) {
			c.w.Array(2 * len(names)) // in RESP3 too, as Redis does
			for _, n := range names {
				c.w.Bulk(n)
				c.w.Int(int64(c.s.h.hub.Members(kind, n)))
			}
		}}
	}
}

func parsePubsubNumpat(*parser) request {
	return request{local: func(c *call) { c.w.Int(int64(c.s.h.hub.Count(pubsub.Pattern))) }}
}

package commands

import (
	"context"
	"fmt"

	"kahuna/cluster"
	"kahuna/op"
)

// History keeps the past for those who ask for it. *cluster.History is it.
type History interface {
	// Hold keeps the history at and after a timestamp, 0 for now, for some milliseconds.
	Hold(ctx context.Context, at op.Timestamp, ttlMilli int64) (cluster.Hold, error)
	// Renew makes a hold last for some milliseconds from now; Release ends it. They are false when there is none.
	Renew(ctx context.Context, id op.Timestamp, ttlMilli int64) (bool, error)
	Release(ctx context.Context, id op.Timestamp) (bool, error)
	// Holds lists them, and gives a present timestamp.
	Holds(ctx context.Context) ([]cluster.Hold, op.Timestamp, error)
}

func snapshotRows() []Command {
	const flags = "noscript no_multi"
	sub := []Command{
		{Name: "hold", Arity: -3, Syntax: "[ASOF time] ttl-milliseconds", parse: parseHold,
			Summary: "Keeps the history from now on, or from a time that is past, for a time: the id of the hold, and the timestamp to read ASOF."},
		{Name: "renew", Arity: 4, Syntax: "id ttl-milliseconds", parse: parseRenew,
			Summary: "Makes a hold last for a time from now: 1, or 0 if it has ended."},
		{Name: "release", Arity: 3, Syntax: "id", Summary: "Ends a hold: 1, or 0 if there was none.", parse: parseRelease},
		{Name: "list", Arity: 2, Summary: "The holds: a map of id, timestamp and ttl-ms each.", Complexity: "O(N) where N is the number of holds", parse: parseHolds},
		{Name: "help", Arity: 2, Summary: "The subcommands.", parse: parseHelp("snapshot")},
	}
	for i := range sub {
		sub[i].Flags = flags
		if sub[i].Complexity == "" {
			sub[i].Complexity = "O(N) where N is the number of holds"
		}
	}
	return grouped("transactions", "transaction", []Command{{Name: "snapshot", Arity: -2, Flags: flags, Complexity: "Depends on subcommand.",
		Summary: "Holds on the history, so that long reads ASOF one timestamp find all of it.", Sub: sub}})
}

func parseHold(p *parser) request {
	at := asof{}
	if p.is("ASOF") {
		at = p.asof()
	}
	ttl := p.holdTTL()
	p.end()
	return request{run: func(ctx context.Context, c *call) (err error) {
		from := op.Timestamp(0)
		if at.set {
			if from, err = c.s.h.resolveAsOf(ctx, at); err != nil {
				return err
			}
		}
		hold, err := c.s.h.history.Hold(ctx, from, ttl)
		if err != nil {
			return err
		}
		c.w.Array(2)
		c.w.Uint(uint64(hold.ID))
		c.w.Uint(uint64(hold.At))
		return nil
	}}
}

func parseRenew(p *parser) request {
	id := p.holdID()
	ttl := p.holdTTL()
	return request{run: func(ctx context.Context, c *call) error {
		return c.flag(c.s.h.history.Renew(ctx, id, ttl))
	}}
}

func parseRelease(p *parser) request {
	id := p.holdID()
	return request{run: func(ctx context.Context, c *call) error {
		return c.flag(c.s.h.history.Release(ctx, id))
	}}
}

// flag writes 1 or 0.
func (c *call) flag(yes bool, err error) error {
	switch {
	case err != nil:
		return err
	case yes:
		c.w.Int(1)
	default:
		c.w.Int(0)
	}
	return nil
}

func parseHolds(*parser) request {
	return request{run: func(ctx context.Context, c *call) error {
		holds, now, err := c.s.h.history.Holds(ctx)
		if err != nil {
			return err
		}
		c.w.Array(len(holds))
		for _, hold := range holds {
			c.w.Map(3)
			c.w.BulkString("id")
			c.w.Uint(uint64(hold.ID))
			c.w.BulkString("timestamp")
			c.w.Uint(uint64(hold.At))
			c.w.BulkString("ttl-ms")
			c.w.Int(max(0, hold.Until.UnixMilli()-now.UnixMilli()))
		}
		return nil
	}}
}

func (p *parser) holdID() op.Timestamp { return op.Timestamp(max(p.int(), 0)) }

// holdTTL takes how long a hold lasts.
func (p *parser) holdTTL() int64 {
	ttl := p.expiry(op.ExpiryIn, milli, p.next()).Milli
	if most := p.h.limits.HoldTTLMilli; ttl > most {
		p.fail(fmt.Sprintf("ERR hold too long (limit %d milliseconds); renew it in time", most))
	}
	return ttl
}

package commands

import (
	"context"
	"fmt"

	"kahuna/cluster"
	"kahuna/op"
)

func keyspaceRows() []Command {
	return grouped("generic", "keyspace", []Command{
		{Name: "keys", Arity: 2, Flags: "readonly dangerous", Syntax: "pattern", Since: "1.0.0", Complexity: "O(N) with N being the number of keys", Summary: "The names of all keys that match, at one point in time. Prefer SCAN.", parse: parseKeys},
		{Name: "randomkey", Arity: 1, Flags: "readonly", Since: "1.0.0", Summary: "The name of some key, or nil if there is none.", parse: parseRandomKey},
		{Name: "dbsize", Arity: 1, Flags: "readonly fast", Since: "1.0.0", Complexity: "O(N) with N being the number of keys", Summary: "How many keys there are.", parse: parseDBSize},
		{Name: "flushdb", Arity: -1, Flags: "write dangerous", Syntax: "[ASYNC | SYNC]", Since: "1.0.0", Complexity: "O(N) with N being the number of keys", Summary: "As FLUSHALL.", parse: parseFlush},
		{Name: "flushall", Arity: -1, Flags: "write dangerous", Syntax: "[ASYNC | SYNC]", Since: "1.0.0", Complexity: "O(N) with N being the number of keys",
			Summary: "Deletes all keys; locks and sequences stay. It goes page by page: other clients may see it half done. Keys written after it began stay.", parse: parseFlush},
	})
}

func parseKeys(p *parser) request {
	o := op.Scan{Space: op.SpaceKey, Match: p.next(), Limit: uint32(p.h.limits.PageItems), MaxBytes: uint32(p.h.limits.PageBytes)}
	return request{run: func(ctx context.Context, c *call) error {
		at, err := c.snapshot(ctx)
		if err != nil {
			return err
		}
		var found [][]byte
		limit, size := c.s.h.limits.ReplyBytes, 0
		err = at.each(ctx, o, func(items []op.Item) error {
			for i := range items {
				found = append(found, items[i].Key)
				if size += len(items[i].Key) + 32; size > limit {
					return userError("ERR " + tooLarge("reply", limit) + ", use SCAN")
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		c.w.Array(len(found))
		for _, k := range found {
			c.w.Bulk(k)
		}
		return nil
	}}
}

// parseRandomKey takes a name near a random slot: fair enough for those who look at samples, and one page of work.
func parseRandomKey(*parser) request {
	return request{run: func(ctx context.Context, c *call) error {
		slot := uint16(c.s.h.rand() % op.Slots)
		for _, from := range []op.Position{{Slot: slot}, {}} {
			r, err := c.one(ctx, &op.Scan{Space: op.SpaceKey, From: from, Limit: 16})
			if err != nil {
				return err
			}
			if n := len(r.Items); n > 0 {
				c.w.Bulk(r.Items[c.s.h.rand()%uint64(n)].Key)
				return nil
			}
		}
		c.w.Null()
		return nil
	}}
}

func parseDBSize(*parser) request {
	return request{run: func(ctx context.Context, c *call) error {
		r, err := c.one(ctx, &op.Count{Space: op.SpaceKey})
		if err == nil {
			c.w.Int(r.Int)
		}
		return err
	}}
}

func parseFlush(p *parser) request {
	if !p.is("ASYNC") {
		p.is("SYNC")
	}
	p.end()
	return request{run: func(ctx context.Context, c *call) error {
		flush := (*call).flushPages
		if c.inTxn {
			flush = (*call).flushInTxn
		}
		if err := flush(c, ctx); err != nil {
			return err
		}
		c.w.SimpleString("OK")
		return nil
	}}
}

// flushPageItems bounds one log entry of FLUSHALL.
const flushPageItems = 512

// flushPages deletes what is older than the moment it begins.
func (c *call) flushPages(ctx context.Context) error {
	now, err := c.s.h.backend.Timestamps(ctx, 1)
	if err != nil {
		return err
	}
	from, deleted := op.Position{}, int64(0)
	for {
		r, err := c.one(ctx, &op.DeleteRange{Space: op.SpaceKey, From: from, UpTo: now, Limit: flushPageItems})
		switch {
		case err != nil && deleted > 0: // whose text may say that nothing was changed
			return fmt.Errorf("%w: it was interrupted after %d keys were deleted, the others are still there; repeat it", cluster.ErrUncertain, deleted)
		case err != nil || r.Next == nil:
			return err
		}
		from, deleted = *r.Next, deleted+r.Int
	}
}

// flushInTxn deletes every key one by one: inside MULTI it takes effect at one point, within the limits of a transaction.
func (c *call) flushInTxn(ctx context.Context) error {
	var deletes []op.Op
	err := c.each(ctx, op.Scan{Space: op.SpaceKey, Limit: flushPageItems}, func(items []op.Item) error {
		for i := range items {
			deletes = append(deletes, &op.Delete{Key: items[i].Key})
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.all(ctx, deletes)
	return err
}

package commands

import (
	"bytes"
	"context"
	"slices"

	"kahuna/mvcc"
	"kahuna/op"
)

const scanComplexity = "O(1) for every call. O(N) for a complete iteration"

// Counts of SCAN: without COUNT, and how many names more are read to reach the end of a slot, where a cursor needs no
// memory.
const (
	scanItems = 10
	scanExtra = 100
)

func scanRows() []Command {
	return grouped("generic", "keyspace", []Command{
		{Name: "scan", Arity: -2, Flags: "readonly", Syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]", Since: "2.8.0", Complexity: scanComplexity,
			Summary: "The names of keys, page by page: the next cursor (0 after the last page), and names. A name may come twice; none that is there all the time is missed.", parse: parseScan(op.SpaceKey)},
	})
}

// parseScan makes SCAN, LOCKSCAN and SEQSCAN.
func parseScan(space op.Space) func(p *parser) request {
	return func(p *parser) request {
		cursor, ok := parseCursor(p.next())
		if !ok {
			p.fail(errCursor)
		}
		o, kind := op.Scan{Space: space, Limit: scanItems, MaxBytes: uint32(p.h.limits.PageBytes)}, ""
		for p.more() {
			switch {
			case p.is("MATCH"):
				o.Match = p.next()
			case p.is("COUNT"):
				o.Limit = p.scanCount()
			case space == op.SpaceKey && p.is("TYPE"):
				kind = lower(p.next())
			default:
				p.fail(errSyntax)
			}
		}
		return request{run: func(ctx context.Context, c *call) error {
			if kind != "" && kind != typeName(mvcc.TypeString) && kind != typeName(mvcc.TypeHash) {
				c.writeScan(0, nil)
				return nil
			}
			return c.scan(ctx, o, cursor, kind)
		}}
	}
}

func (p *parser) scanCount() uint32 {
	n := p.int()
	if n < 1 {
		p.fail(errSyntax)
	}
	return uint32(min(n, int64(p.h.limits.PageItems)))
}

// scan writes one page. When it ends inside a slot, the rest of that slot is read too if it is short, so that most cursors
// are just the number of a slot. With a kind, only names whose values are of that type are shown.
func (c *call) scan(ctx context.Context, o op.Scan, cursor uint64, kind string) error {
	o.From = c.s.h.cursors.position(o.Space, cursor)
	first := o
	r, err := c.one(ctx, &first)
	if err != nil {
		return err
	}
	items, next := r.Items, r.Next
	if next != nil && len(next.Name) > 0 {
		rest := o
		rest.From, rest.To, rest.Limit = *next, slotAfter(next.Slot), scanExtra
		if r, err = c.one(ctx, &rest); err != nil {
			return err
		}
		items = append(items, r.Items...)
		if next = r.Next; next == nil && rest.To.Slot != 0 {
			next = &rest.To
		}
	}
	if kind != "" {
		items = slices.DeleteFunc(items, func(it op.Item) bool { return typeName(mvcc.Type(it.Type)) != kind })
	}
	c.writeScan(c.s.h.cursors.cursor(o.Space, next), items)
	return nil
}

// slotAfter is where a slot ends; the zero Position after the last slot, which as a bound means the end.
func slotAfter(slot uint16) op.Position {
	if slot >= op.Slots-1 {
		return op.Position{}
	}
	return op.Position{Slot: slot + 1}
}

func (c *call) writeScan(cursor uint64, items []op.Item) {
	c.w.Array(2)
	c.w.BulkString(utoa(cursor))
	c.w.Array(len(items))
	for i := range items {
		c.w.Bulk(items[i].Key)
	}
}

// each calls fn for every page of the names of a space that match, in the order of slots, in one snapshot.
func (c *call) each(ctx context.Context, o op.Scan, fn func(items []op.Item) error) error {
	for {
		page := o
		r, err := c.one(ctx, &page)
		if err != nil {
			return err
		}
		if err := fn(r.Items); err != nil || r.Next == nil {
			return err
		}
		if r.Next.Slot < o.From.Slot || r.Next.Slot == o.From.Slot && bytes.Compare(r.Next.Name, o.From.Name) <= 0 && len(r.Items) == 0 {
			return userError("ERR the scan does not advance")
		}
		o.From = *r.Next
	}
}

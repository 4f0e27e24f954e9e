package commands

import (
	"bytes"
	"context"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

// pageItems is how many items a page of KPREFIX or KRANGE has without LIMIT.
const pageItems = 1000

func parseKPrefix(p *parser) request {
	o := &op.Scan{Space: op.SpaceKey, ByName: true, Prefix: p.anyName()}
	o.Start = o.Prefix
	return p.page(o, true)
}

func parseKRange(p *parser) request {
	return p.page(&op.Scan{Space: op.SpaceKey, ByName: true, Start: p.anyName(), End: p.anyName()}, false)
}

// anyName takes a bound, which may be empty.
func (p *parser) anyName() []byte {
	a := p.next()
	if len(a) > 0 {
		p.checkName(a)
	}
	return a
}

func (p *parser) page(o *op.Scan, prefix bool) request {
	at, limit, after := asof{}, false, []byte(nil)
	o.Values, o.Limit, o.MaxBytes = true, pageItems, uint32(p.h.limits.PageBytes)
	for p.more() {
		switch {
		case prefix && after == nil && p.is("AFTER"):
			after = p.name()
		case !limit && p.is("LIMIT"):
			limit, o.Limit = true, uint32(p.positive(int64(p.h.limits.PageItems)))
		case !at.set && p.is("ASOF"):
			at = p.asof()
		case o.Values && p.is("KEYSONLY"):
			o.Values = false
		default:
			p.fail(errSyntax)
		}
	}
	if after != nil && bytes.Compare(after, o.Start) >= 0 {
		o.Start, o.After = after, true
	}
	return request{run: func(ctx context.Context, c *call) error { return c.page(ctx, *o, at) }}
}

// page writes one page in the order of names, from one snapshot over all partitions.
func (c *call) page(ctx context.Context, o op.Scan, at asof) (err error) {
	from := c
	if at.set {
		from, _, err = c.past(ctx, at)
	} else {
		from, err = c.snapshot(ctx)
	}
	if err != nil {
		return err
	}
	items, more, err := from.byName(ctx, o)
	if err != nil {
		return err
	}
	c.w.Array(2)
	if more {
		c.w.Bulk(items[len(items)-1].Key)
	} else {
		c.w.Null()
	}
	c.w.Array(len(items))
	for i := range items {
		if err := writeItem(c.w, &items[i], o.Values); err != nil {
			return err
		}
	}
	return nil
}

// byName reads a page, again from where it got to as long as it has no item and is not the last.
func (c *call) byName(ctx context.Context, o op.Scan) ([]op.Item, bool, error) {
	for {
		step := o
		r, err := c.one(ctx, &step)
		if err != nil {
			return nil, false, err
		}
		if len(r.Items) > 0 || r.Next == nil {
			return r.Items, r.Next != nil, nil
		}
		// A second page that begins where the first did would never end.
		o.After = o.After || bytes.Equal(o.Start, r.Next.Name)
		o.Start = r.Next.Name
	}
}

func writeItem(w *resp.Writer, it *op.Item, value bool) error {
	if !value {
		w.Bulk(it.Key)
		return nil
	}
	w.Array(3)
	w.Bulk(it.Key)
	err := writeTyped(w, mvcc.Type(it.Type), it.Value)
	w.Uint(it.Rev)
	return err
}

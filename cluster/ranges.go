package cluster

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"kahuna/op"
)

func isRangeOp(o op.Op) bool {
	switch o.(type) {
	case *op.Scan, *op.Count, *op.DeleteRange:
		return true
	}
	return false
}

// overRange runs an operation on a range, part by part, and puts the results together.
func (r *Router) overRange(ctx context.Context, at op.Timestamp, o op.Op, wait bool) op.Outcome {
	switch o := o.(type) {
	case *op.Scan:
		if o.ByName {
			return r.scanByName(ctx, at, o, wait)
		}
		return r.scan(ctx, at, o, wait)
	case *op.Count:
		return r.count(ctx, at, o, wait)
	default:
		return r.deleteRange(ctx, o.(*op.DeleteRange), wait)
	}
}

// part sends an operation on a part of a range to the partition that owns it. When that one has given some of it away
// meanwhile, the part is cut anew by the caller.
func (r *Router) part(ctx context.Context, at op.Timestamp, o op.Op, wait bool) op.Outcome {
	var out [1]op.Outcome
	t := task{r: r, ctx: ctx, at: at, ops: []op.Op{o}, out: out[:], wait: wait}
	t.run()
	return out[0]
}

func (r *Router) scan(ctx context.Context, at op.Timestamp, o *op.Scan, wait bool) (all op.Outcome) {
	all.Done = true
	size := 0
	for _, p := range r.State().Parts(o.From, o.To) {
		if len(all.Items) >= int(o.Limit) || o.MaxBytes > 0 && size >= int(o.MaxBytes) {
			next := p.From
			all.Next = &next
			return all
		}
		s := *o
		s.From, s.To, s.Limit = p.From, p.To, o.Limit-uint32(len(all.Items))
		if o.MaxBytes > 0 {
			s.MaxBytes = o.MaxBytes - uint32(size)
		}
		out := r.part(ctx, at, &s, wait)
		if out.Err != nil || out.Status != op.OK {
			return out
		}
		for i := range out.Items {
			size += len(out.Items[i].Key) + len(out.Items[i].Value)
		}
		all.Items = append(all.Items, out.Items...)
		if out.Next != nil {
			all.Next = out.Next
			return all
		}
	}
	return all
}

// scanByName takes a page from every partition and keeps the smallest names of all.
func (r *Router) scanByName(ctx context.Context, at op.Timestamp, o *op.Scan, wait bool) (all op.Outcome) {
	all.Done = true
	more := false
	var end []byte // names above this one may be missing
	for _, p := range r.State().Parts(o.From, o.To) {
		s := *o
		s.From, s.To = p.From, p.To
		out := r.part(ctx, at, &s, wait)
		if out.Err != nil || out.Status != op.OK {
			return out
		}
		if out.Next != nil && (!more || bytes.Compare(out.Next.Name, end) < 0) {
			more, end = true, out.Next.Name
		}
		all.Items = append(all.Items, out.Items...)
	}
	slices.SortFunc(all.Items, func(a, b op.Item) int { return bytes.Compare(a.Key, b.Key) })
	return cutPage(all, o, more, end)
}

func cutPage(all op.Outcome, o *op.Scan, more bool, end []byte) op.Outcome {
	size := 0
	for i := range all.Items {
		full := i == int(o.Limit) || o.MaxBytes > 0 && i > 0 && size >= int(o.MaxBytes)
		if full || more && bytes.Compare(all.Items[i].Key, end) > 0 {
			all.Items, more = all.Items[:i], true
			break
		}
		size += len(all.Items[i].Key) + len(all.Items[i].Value)
	}
	if more && len(all.Items) > 0 {
		all.Next = &op.Position{Name: all.Items[len(all.Items)-1].Key}
	}
	return all
}

func (r *Router) count(ctx context.Context, at op.Timestamp, o *op.Count, wait bool) (all op.Outcome) {
	for _, p := range r.State().Parts(o.From, o.To) {
		out := r.part(ctx, at, &op.Count{Space: o.Space, From: p.From, To: p.To}, wait)
		if out.Err != nil || out.Status != op.OK {
			return out
		}
		all.Int += out.Int
	}
	return all
}

func (r *Router) deleteRange(ctx context.Context, o *op.DeleteRange, wait bool) (all op.Outcome) {
	all.Done = true
	for _, p := range r.State().Parts(o.From, o.To) {
		if all.Int >= int64(o.Limit) {
			next := p.From
			all.Next = &next
			return all
		}
		d := *o
		d.From, d.To, d.Limit = p.From, p.To, o.Limit-uint32(all.Int)
		out := r.part(ctx, 0, &d, wait)
		if out.Err != nil && !errors.Is(out.Err, ErrUncertain) && all.Int > 0 {
			// The error says that nothing was changed, which is true of this part only: it is for who goes on from here.
			next := p.From
			all.Next = &next
			return all
		}
		if out.Err != nil || out.Status != op.OK {
			return out
		}
		all.Int += out.Int
		if out.Next != nil {
			all.Next = out.Next
			return all
		}
	}
	return all
}

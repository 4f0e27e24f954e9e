package cluster

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"kahuna/fsm"
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
// meanwhile, it ends with ErrParted, and the part is cut anew by the caller.
func (r *Router) part(ctx context.Context, at op.Timestamp, o op.Op, wait bool) op.Outcome {
	var out [1]op.Outcome
	t := task{r: r, ctx: ctx, at: at, ops: []op.Op{o}, out: out[:], wait: wait}
	t.run()
	return out[0]
}

// inParts runs fn for each part of a range that lies in one partition, in order, until it wants no more. A part that fn ends with
// ErrParted is cut anew.
func (r *Router) inParts(ctx context.Context, from, to op.Position, fn func(from, to op.Position) (out op.Outcome, more bool)) (last op.Outcome) {
	for more := true; more; {
		p := r.State().Parts(from, to)[0]
		if last, more = fn(from, p.To); errors.Is(last.Err, ErrParted) && ctx.Err() == nil {
			more = true
			continue
		}
		from = p.To
		more = more && !fsm.IsEnd(from) && fsm.Compare(from, to) != 0
	}
	return last
}

func (r *Router) scan(ctx context.Context, at op.Timestamp, o *op.Scan, wait bool) (all op.Outcome) {
	all.Done = true
	size := 0
	failed := r.inParts(ctx, o.From, o.To, func(from, to op.Position) (out op.Outcome, more bool) {
		if len(all.Items) >= int(o.Limit) || o.MaxBytes > 0 && size >= int(o.MaxBytes) {
			all.Next = &from
			return out, false
		}
		s := *o
		s.From, s.To, s.Limit = from, to, o.Limit-uint32(len(all.Items))
		if o.MaxBytes > 0 {
			s.MaxBytes = o.MaxBytes - uint32(size)
		}
		if out = r.part(ctx, at, &s, wait); !ok(&out) {
			return out, false
		}
		for i := range out.Items {
			size += len(out.Items[i].Key) + len(out.Items[i].Value)
		}
		all.Items, all.Next = append(all.Items, out.Items...), out.Next
		return out, out.Next == nil
	})
	return orFailed(all, failed)
}

func ok(out *op.Outcome) bool { return out.Err == nil && out.Status == op.OK }

// orFailed is what the parts have come to together, or the end of the part that failed.
func orFailed(all, last op.Outcome) op.Outcome {
	if !ok(&last) {
		return last
	}
	return all
}

// scanByName takes a page from every partition and keeps the smallest names of all.
func (r *Router) scanByName(ctx context.Context, at op.Timestamp, o *op.Scan, wait bool) (all op.Outcome) {
	all.Done = true
	more := false
	var end []byte // names above this one may be missing
	failed := r.inParts(ctx, o.From, o.To, func(from, to op.Position) (op.Outcome, bool) {
		s := *o
		s.From, s.To = from, to
		out := r.part(ctx, at, &s, wait)
		if !ok(&out) {
			return out, false
		}
		if out.Next != nil && (!more || bytes.Compare(out.Next.Name, end) < 0) {
			more, end = true, out.Next.Name
		}
		all.Items = append(all.Items, out.Items...)
		return out, true
	})
	if !ok(&failed) {
		return failed
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
	failed := r.inParts(ctx, o.From, o.To, func(from, to op.Position) (op.Outcome, bool) {
		out := r.part(ctx, at, &op.Count{Space: o.Space, From: from, To: to}, wait)
		if !ok(&out) {
			return out, false
		}
		all.Int += out.Int
		return out, true
	})
	return orFailed(all, failed)
}

func (r *Router) deleteRange(ctx context.Context, o *op.DeleteRange, wait bool) (all op.Outcome) {
	all.Done = true
	failed := r.inParts(ctx, o.From, o.To, func(from, to op.Position) (out op.Outcome, more bool) {
		if all.Int >= int64(o.Limit) {
			all.Next = &from
			return out, false
		}
		d := *o
		d.From, d.To, d.Limit = from, to, o.Limit-uint32(all.Int)
		out = r.part(ctx, 0, &d, wait)
		if out.Err != nil && !errors.Is(out.Err, ErrUncertain) && !errors.Is(out.Err, ErrParted) && all.Int > 0 {
			// The error says that nothing was changed, which is true of this part only: it is for who goes on from here.
			all.Next = &from
			return op.Outcome{}, false
		}
		if !ok(&out) {
			return out, false
		}
		all.Int, all.Next = all.Int+out.Int, out.Next
		return out, out.Next == nil
	})
	return orFailed(all, failed)
}

package commands

import (
	"context"
	"time"

	"kahuna/op"
	"kahuna/resp"
)

// answer is what the reply of a request is written from.
type answer struct {
	results []op.Outcome // of its operations, all with Status OK
	now     op.Timestamp // a present timestamp; only for requests with clock set
}

// first is the result of a request's only operation.
func (a answer) first() *op.Outcome { return &a.results[0] }

// replyFunc writes one reply.
type replyFunc func(w *resp.Writer, a answer)

// request is a parsed command. Exactly one of err, reply, changes, local and run is set.
type request struct {
	err   string        // the error its arguments earned
	ops   []op.Op       // with reply: more than one take effect at one point
	reply replyFunc     // writes the reply from the results of ops
	clock bool          // reply needs the present time if a result has an expiry
	wait  time.Duration // ops is one LockAcquire, which waits for so long; inside a transaction it does not
	// changes is a KCHANGES, which stands alone: it is in no transaction and in no batch.
	changes *changesWanted
	local   func(c *call)
	run     func(ctx context.Context, c *call) error
}

// one is the request for a single operation.
func one(o op.Op, reply replyFunc) request { return request{ops: []op.Op{o}, reply: reply} }

// plain tells whether the request can be answered from the results of operations that run in one log entry with others. What
// goes over a range or through a key's history can't.
func (r *request) plain() bool {
	for _, o := range r.ops {
		switch o := o.(type) {
		case *op.History, *op.Version, *op.Scan, *op.Count, *op.DeleteRange:
			return false
		case *op.Get:
			if o.AtRev > 0 {
				return false
			}
		case *op.Look:
			if o.AtRev > 0 {
				return false
			}
		}
	}
	return r.run == nil
}

func (r *request) readOnly() bool {
	for _, o := range r.ops {
		if !o.ReadOnly() {
			return false
		}
	}
	return true
}

// write writes the reply of a plain request, given the outcomes of its operations.
func (r *request) write(c *call, outcomes []op.Outcome, now op.Timestamp) {
	switch {
	case r.err != "":
		c.w.Error(r.err)
	case r.local != nil:
		r.local(c)
	default:
		if err := c.s.h.limits.firstError(r.ops, outcomes); err != nil {
			c.w.Error(errorText(err))
			return
		}
		r.reply(c.w, answer{results: outcomes, now: now})
	}
}

// firstError is the error of the first operation that has one.
func (l *Limits) firstError(ops []op.Op, outcomes []op.Outcome) error {
	for i := range outcomes {
		if err := outcomes[i].Err; err != nil {
			return err
		}
		if s := outcomes[i].Status; s != op.OK {
			return l.statusError(s, ops[i])
		}
	}
	return nil
}

// call is the surroundings a request is executed in.
type call struct {
	s     *Session
	w     *resp.Writer
	d     Doer // where operations go: the partitions, or the transaction around this
	inTxn bool
}

// one runs a single operation.
func (c *call) one(ctx context.Context, o op.Op) (*op.Result, error) {
	out := c.d.Do(ctx, []op.Op{o})
	if err := c.s.h.limits.firstError([]op.Op{o}, out); err != nil {
		return nil, err
	}
	return &out[0].Result, nil
}

// all runs operations and takes the first error for the error of all. It belongs in a transaction, or to reads.
func (c *call) all(ctx context.Context, ops []op.Op) ([]op.Outcome, error) {
	var out []op.Outcome
	replyBytes := 0
	for from := 0; from < len(ops); from += c.s.h.limits.BatchOps {
		part := ops[from:min(from+c.s.h.limits.BatchOps, len(ops))]
		got := c.d.Do(ctx, part)
		if err := c.s.h.limits.firstError(part, got); err != nil {
			return nil, err
		}
		for i := range got {
			replyBytes += len(got[i].Value)
		}
		if replyBytes > c.s.h.limits.ReplyBytes {
			return nil, userError("ERR " + tooLarge("reply", c.s.h.limits.ReplyBytes))
		}
		out = append(out, got...)
	}
	return out, nil
}

// transact runs fn as a transaction, or as a part of the one around it. fn may run more than once; it leaves what it found
// in variables and writes no reply.
func (c *call) transact(ctx context.Context, fn func(tx *call) error) error {
	if c.inTxn {
		return fn(c)
	}
	_, err := c.s.transact(ctx, nil, func(d Doer) error {
		return fn(&call{s: c.s, w: c.w, d: d, inTxn: true})
	})
	return err
}

// snapshot gives a call whose reads all see one point in time: that of the transaction around it, or now.
func (c *call) snapshot(ctx context.Context) (*call, error) {
	if c.inTxn {
		return c, nil
	}
	d, _, err := c.s.h.backend.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	return &call{s: c.s, w: c.w, d: d}, nil
}

// perform executes any request. On an error that is not a userError, what was written is to be taken back by the caller.
func (c *call) perform(ctx context.Context, r *request) error {
	switch {
	case r.err != "":
		return userError(r.err)
	case r.local != nil:
		r.local(c)
		return nil
	case r.run != nil:
		c.s.renew()
		return r.run(ctx, c)
	}
	out, err := c.atomically(ctx, r)
	if err != nil {
		return err
	}
	now, err := c.s.nowFor(ctx, r, out)
	if err != nil {
		return err
	}
	r.reply(c.w, answer{results: out, now: now})
	return nil
}

// atomically runs the operations of one request so that they take effect at one point.
func (c *call) atomically(ctx context.Context, r *request) ([]op.Outcome, error) {
	if c.inTxn || len(r.ops) == 1 {
		return c.all(ctx, r.ops)
	}
	if r.readOnly() {
		if out, ok := c.byReplica(ctx, r.ops); ok {
			return out, nil
		}
		c.s.renew()
		at, err := c.snapshot(ctx)
		if err != nil {
			return nil, err
		}
		return at.all(ctx, r.ops)
	}
	c.s.renew()
	results, _, err := c.s.h.backend.Atomic(ctx, r.ops, nil)
	if err != nil {
		return nil, err
	}
	out := outcomes(results)
	return out, c.s.h.limits.firstError(r.ops, out)
}

func outcomes(results []op.Result) []op.Outcome {
	out := make([]op.Outcome, len(results))
	for i := range results {
		out[i].Result = results[i]
	}
	return out
}

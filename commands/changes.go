package commands

import (
	"context"
	"fmt"
	"time"

	"kahuna/cluster"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

// Feed tells what has changed, in order. *cluster.Node is what stands behind it.
type Feed interface {
	// Changes gives the oldest changes above a timestamp, and as TS the one to go on from.
	Changes(ctx context.Context, o *op.Changes) op.Outcome
	// AwaitChanges tells then of the next ones, or of none when the time of ctx is over: once, from any goroutine. When ctx is cancelled it
	// is told a cluster.ErrTryAgain. It does not wait itself.
	AwaitChanges(ctx context.Context, o *op.Changes, then func(op.Outcome))
}

func changeRows() []Command {
	return grouped("keys", "keyspace", []Command{
		{Name: "kchanges", Arity: -2, Flags: "readonly blocking noscript no_multi", Syntax: "prefix [SINCE timestamp] [BLOCK milliseconds] [COUNT count] [LOCKS]",
			Complexity: "O(N) where N is the number of keys with the prefix", parse: parseKChanges,
			Summary: "What happened to the keys that begin with a prefix after a time (without SINCE: from now on), in order: the timestamp to go on SINCE, and timestamp, key, revision and value each. BLOCK waits for the next change. A page never ends inside one transaction. A deletion has no value (nil); a version that was not kept (NOREV) has no fourth part. LOCKS: locks instead of keys."},
	})
}

// changesWanted is a KCHANGES.
type changesWanted struct {
	ask   op.Changes
	since asof
	block time.Duration
}

func parseKChanges(p *parser) request {
	w := &changesWanted{ask: op.Changes{Space: op.SpaceKey, Prefix: p.anyName(), Limit: pageItems, MaxBytes: uint32(p.h.limits.PageBytes)}}
	block, count := false, false
	for p.more() {
		switch {
		case !w.since.set && p.is("SINCE"):
			w.since = p.asof()
		case !block && p.is("BLOCK"):
			block, w.block = true, p.blockFor()
		case !count && p.is("COUNT"):
			count, w.ask.Limit = true, uint32(p.positive(int64(p.h.limits.PageItems)))
		case w.ask.Space == op.SpaceKey && p.is("LOCKS"):
			w.ask.Space = op.SpaceLock
		default:
			p.fail(errSyntax)
		}
	}
	return request{changes: w}
}

// blockFor takes the argument of BLOCK. 0 is as long as may be, as with XREAD.
func (p *parser) blockFor() time.Duration {
	ms := p.int()
	if ms < 0 {
		p.fail(errTimeoutMinus)
	}
	most := p.h.limits.LockWaitMilli
	if ms > most {
		p.fail("ERR wait too long (limit " + itoa(most) + " milliseconds)")
	}
	if ms <= 0 {
		ms = most
	}
	return time.Duration(ms) * time.Millisecond
}

// tellChanges runs a KCHANGES. One that finds nothing and is to wait lets what was pipelined before it be answered first.
func (s *Session) tellChanges(x *execution, w *changesWanted) {
	s.flush(x)
	ask := w.ask
	since, err := s.h.resolveAsOf(x.ctx, w.since)
	ask.Since = since
	out := op.Outcome{Err: err}
	if err == nil {
		out = s.h.feed.Changes(x.ctx, &ask)
	}
	if w.block > 0 && out.Err == nil && out.Status == op.OK && len(out.Items) == 0 {
		ask.Since = out.TS
		s.awaitChanges(x, ask, w.block)
		return
	}
	replyChanges(x, &ask, &out)
	s.took(x, x.args, 0)
	s.send(x)
}

func (s *Session) awaitChanges(x *execution, ask op.Changes, d time.Duration) {
	s.block(x, d, func(ctx context.Context, then func(op.Outcome)) { s.h.feed.AwaitChanges(ctx, &ask, then) }, func(x *execution, out op.Outcome) {
		if out.Err == nil && out.TS == 0 { // as if its time were over
			out.TS = ask.Since
		}
		replyChanges(x, &ask, &out)
		x.began = s.h.now() // the time that it waited is not the command's
		s.took(x, x.args, 0)
	})
}

func replyChanges(x *execution, ask *op.Changes, out *op.Outcome) {
	if err := changesError(out, ask.Since); err != nil {
		x.w.Error(errorText(err))
	} else {
		writeChanges(x.w, ask.Space, out)
	}
}

func changesError(out *op.Outcome, since op.Timestamp) error {
	switch {
	case out.Err != nil:
		return out.Err
	case out.Status == op.Collected:
		return userError(fmt.Sprintf("ERR what changed after %d was collected: SINCE is too long ago. Read what there is now, and go on from there", since))
	case out.Status != op.OK:
		return userError(fmt.Sprintf("ERR the changes ended with status %d, which this version does not know", out.Status))
	}
	return nil
}

func writeChanges(w *resp.Writer, space op.Space, out *op.Outcome) {
	orError(w, func() error {
		w.Array(2)
		w.Uint(uint64(out.TS))
		w.Array(len(out.Items))
		for i := range out.Items {
			if err := writeChange(w, space, &out.Items[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeChange(w *resp.Writer, space op.Space, it *op.Item) error {
	parts := 4
	if it.Lost {
		parts = 3
	}
	w.Array(parts)
	w.Uint(uint64(it.TS))
	w.Bulk(it.Key)
	w.Uint(it.Rev)
	switch {
	case it.Lost:
	case it.Deleted:
		w.Null()
	case space == op.SpaceLock:
		l, err := op.DecodeLock(it.Value)
		if err != nil {
			return fmt.Errorf("%w: lock '%s' can't be read", cluster.ErrFault, shown(it.Key, 128))
		}
		writeLock(w, it.Key, &l, 0)
	default:
		return writeTyped(w, mvcc.Type(it.Type), it.Value)
	}
	return nil
}

package commands

import (
	"context"
	"fmt"
	"math"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

func keyRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, 1, 1, "RW access update",
		Command{Name: "kset", Arity: -3, Flags: "write denyoom fast", parse: parseKSet,
			Syntax:  "key value [NX | XX | IFEQ comparison-value | IFREV revision] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] [NOREV]",
			Summary: "Sets a value: the new revision, or nil when the condition did not hold. A NOREV version is not kept once it is replaced."})...)
	add(keyed(1, 1, 1, "RO access",
		Command{Name: "kget", Arity: -2, Flags: "readonly fast", Syntax: "key [REV revision | ASOF time] [META]", parse: parseKGet,
			Summary: "A value, now or as it was (a hash as with HGETALL); with META a map of value, revision, timestamp and ttl-ms."},
		Command{Name: "khistory", Arity: -2, Flags: "readonly", Syntax: "key [COUNT count]", Complexity: "O(N) where N is the number of versions", parse: parseKHistory,
			Summary: "The versions of a key, newest first: revision, timestamp and value each. The value of a deletion is nil; a version that was not kept (NOREV) has no third part."},
		Command{Name: "kttl", Arity: 2, Flags: "readonly fast", Syntax: "key", Summary: "As PTTL.", parse: parseTTL(milli)},
		Command{Name: "kexists", Arity: -2, Flags: "readonly fast", Syntax: "key [ASOF time]", Summary: "1 if a key exists, else 0.", parse: parseKExists},
	)...)
	add(keyed(1, 1, 1, "RM delete",
		Command{Name: "kdel", Arity: -2, Flags: "write fast", Syntax: "key [IFEQ comparison-value | IFREV revision]", Summary: "Deletes a key: 1 or 0. A deletion is a revision too.", parse: parseKDel})...)
	add(keyed(1, 1, 1, "RW update",
		Command{Name: "kexpire", Arity: -3, Flags: "write fast", Syntax: "key milliseconds [NX | XX | GT | LT]", Summary: "As PEXPIRE.", parse: parseExpire(op.ExpiryIn, milli)},
		Command{Name: "kpersist", Arity: 2, Flags: "write fast", Syntax: "key", Summary: "As PERSIST.", parse: parsePersist},
	)...)
	add(
		Command{Name: "kprefix", Arity: -2, Flags: "readonly", Syntax: "prefix [AFTER key] [LIMIT count] [ASOF time] [KEYSONLY]", Complexity: pageComplexity, parse: parseKPrefix,
			Summary: "A page of the keys that begin with a prefix, in order: the key to go on AFTER (or nil), and key, value and revision each."},
		Command{Name: "krange", Arity: -3, Flags: "readonly", Syntax: "start end [LIMIT count] [ASOF time] [KEYSONLY]", Complexity: pageComplexity, parse: parseKRange,
			Summary: "A page of the keys from start up to, not including, end (an empty one: no bound), in order; the reply is that of KPREFIX. Go on from the key it names with a zero byte added."},
	)
	return grouped("keys", "keyspace", rows)
}

const pageComplexity = "O(N log(N)) where N is the number of keys in the range"

func parseKGet(p *parser) request {
	o, meta, at := &op.Look{Key: p.name(), Values: true}, false, asof{}
	for p.more() {
		switch {
		case !meta && p.is("META"):
			meta = true
		case o.AtRev == 0 && !at.set && p.is("REV"):
			o.AtRev = uint64(p.positive(math.MaxInt64))
		case o.AtRev == 0 && !at.set && p.is("ASOF"):
			at = p.asof()
		default:
			p.fail(errSyntax)
		}
	}
	r := one(o, replyTyped)
	if meta {
		r.reply, r.clock = replyMeta, true
	}
	return p.asOf(at, r)
}

// asOf makes a request for reads one for reads in the past.
func (p *parser) asOf(at asof, r request) request {
	if !at.set || p.err != "" {
		return r
	}
	return request{run: func(ctx context.Context, c *call) error {
		past, ts, err := c.past(ctx, at)
		if err != nil {
			return err
		}
		out, err := past.all(ctx, r.ops)
		if err == nil {
			r.reply(c.w, answer{results: out, now: ts})
		}
		return err
	}}
}

// past gives a call whose reads see the state at a time that is past. Inside a transaction too: the past does not change.
func (c *call) past(ctx context.Context, at asof) (*call, op.Timestamp, error) {
	ts, err := c.s.h.resolveAsOf(ctx, at)
	if err != nil {
		return nil, 0, err
	}
	d, ts, err := c.s.h.backend.Snapshot(ctx, ts)
	if err != nil {
		return nil, 0, err
	}
	return &call{s: c.s, w: c.w, d: d}, ts, nil
}

// replyTyped writes a value of any type.
func replyTyped(w *resp.Writer, a answer) {
	r := a.first()
	if !r.Found {
		w.Null()
		return
	}
	orError(w, func() error { return writeTyped(w, mvcc.Type(r.Int), r.Value) })
}

func replyMeta(w *resp.Writer, a answer) {
	if !a.first().Found {
		w.Null()
		return
	}
	orError(w, func() error { return writeMeta(w, a) })
}

func writeMeta(w *resp.Writer, a answer) error {
	r := a.first()
	w.Map(4)
	w.BulkString("value")
	if err := writeTyped(w, mvcc.Type(r.Int), r.Value); err != nil {
		return err
	}
	w.BulkString("revision")
	w.Uint(r.Rev)
	w.BulkString("timestamp")
	w.Uint(uint64(r.TS))
	w.BulkString("ttl-ms")
	w.Int(remaining(r.ExpireAt, a.now))
	return nil
}

func parseKExists(p *parser) request {
	o := &op.Look{Key: p.name()}
	at := asof{}
	if p.is("ASOF") {
		at = p.asof()
	}
	p.end()
	return p.asOf(at, one(o, replyFoundCount))
}

func parseKDel(p *parser) request {
	o := &op.Delete{Key: p.name()}
	switch {
	case !p.more():
		return one(o, replyDone)
	case p.is("IFEQ"):
		o.Cond, o.CondValue = op.IfEqual, p.value()
	case p.is("IFREV"):
		o.Cond, o.CondRev = op.IfRev, uint64(p.int())
		if int64(o.CondRev) < 0 {
			p.fail(errNotInteger)
		}
	default:
		p.fail(errSyntax)
	}
	p.end()
	return one(o, replyDone)
}

// parseKHistory asks for one version more than the limit, so that a history that is longer is an error and not cut short in
// silence; with COUNT the client has said how many it wants.
func parseKHistory(p *parser) request {
	key, limit := p.name(), int64(p.h.limits.HistoryItems)
	count := int64(0)
	if p.is("COUNT") {
		count = p.positive(limit)
	}
	p.end()
	ask := count
	if count == 0 {
		ask = limit + 1
	}
	return one(&op.History{Key: key, Limit: uint32(ask)}, func(w *resp.Writer, a answer) {
		items := a.first().Items
		if count == 0 && int64(len(items)) > limit {
			w.Error(fmt.Sprintf("ERR the key has more than %d versions (use COUNT)", limit))
			return
		}
		orError(w, func() error { return writeVersions(w, items) })
	})
}

func writeVersions(w *resp.Writer, items []op.Item) error {
	w.Array(len(items))
	for i := range items {
		if err := writeVersion(w, &items[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeVersion(w *resp.Writer, it *op.Item) error {
	parts := 3
	if it.Lost {
		parts = 2
	}
	w.Array(parts)
	w.Uint(it.Rev)
	w.Uint(uint64(it.TS))
	switch {
	case it.Lost:
	case it.Deleted:
		w.Null()
	default:
		return writeTyped(w, mvcc.Type(it.Type), it.Value)
	}
	return nil
}

package commands

import (
	"context"

	"kahuna/op"
	"kahuna/resp"
)

func stringRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, 1, 1, "RO access",
		Command{Name: "get", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "1.0.0", Summary: "The value of a key, or nil.", parse: parseGet},
		Command{Name: "getrange", Arity: 4, Flags: "readonly", Syntax: "key start end", Since: "2.4.0", Complexity: "O(N) where N is the length of the returned string", Summary: "A part of a value. Negative positions count from its end.", parse: parseGetRange},
		Command{Name: "substr", Arity: 4, Flags: "readonly", Syntax: "key start end", Since: "1.0.0", Complexity: "O(N) where N is the length of the returned string", Summary: "As GETRANGE.", parse: parseGetRange},
	)...)
	add(keyed(1, 1, 1, "RO",
		Command{Name: "strlen", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "2.2.0", Summary: "The length of a value in bytes, 0 if there is none.", parse: parseStrlen})...)
	add(keyed(1, 2, 1, "RO access",
		Command{Name: "lcs", Arity: -3, Flags: "readonly", Syntax: "key key [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", Since: "7.0.0", Complexity: "O(N*M) where N and M are the lengths of the strings",
			Summary: "The longest common subsequence of two values; with LEN its length, with IDX where it lies in both.", parse: parseLCS})...)
	add(keyed(1, -1, 1, "RO access",
		Command{Name: "mget", Arity: -2, Flags: "readonly fast", Syntax: "key [key ...]", Since: "1.0.0", Complexity: "O(N) where N is the number of keys", Summary: "The values of keys, all at one point in time.", parse: parseMGet})...)
	add(keyed(1, 1, 1, "RW access update",
		Command{Name: "set", Arity: -3, Flags: "write denyoom", Since: "1.0.0", parse: parseSet,
			Syntax:  "key value [NX | XX | IFEQ comparison-value | IFNE comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
			Summary: "Sets a value. OK, or nil when the condition did not hold; with GET the old value."},
		Command{Name: "getset", Arity: 3, Flags: "write denyoom fast", Syntax: "key value", Since: "1.0.0", Summary: "Sets a value and gives the old one.", parse: parseGetSet},
		Command{Name: "getex", Arity: -2, Flags: "write fast", Syntax: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]", Since: "6.2.0",
			Summary: "The value of a key, whose expiry is set or removed.", parse: parseGetEx},
	)...)
	add(keyed(1, 1, 1, "RW access delete",
		Command{Name: "getdel", Arity: 2, Flags: "write fast", Syntax: "key", Since: "6.2.0", Summary: "Deletes a key and gives its value.", parse: parseGetDel})...)
	add(keyed(1, 1, 1, "OW insert",
		Command{Name: "setnx", Arity: 3, Flags: "write denyoom fast", Syntax: "key value", Since: "1.0.0", Summary: "Sets a value if the key does not exist: 1 or 0.", parse: parseSetNX})...)
	add(keyed(1, 1, 1, "OW update",
		Command{Name: "setex", Arity: 4, Flags: "write denyoom", Syntax: "key seconds value", Since: "2.0.0", Summary: "Sets a value that expires.", parse: parseSetEx(second)},
		Command{Name: "psetex", Arity: 4, Flags: "write denyoom", Syntax: "key milliseconds value", Since: "2.6.0", Summary: "Sets a value that expires.", parse: parseSetEx(milli)},
	)...)
	add(keyed(1, -1, 2, "OW update",
		Command{Name: "mset", Arity: -3, Flags: "write denyoom", Syntax: "key value [key value ...]", Since: "1.0.1", Complexity: "O(N) where N is the number of keys", Summary: "Sets keys, all at one point in time.", parse: parseMSet})...)
	add(keyed(1, -1, 2, "OW insert",
		Command{Name: "msetnx", Arity: -3, Flags: "write denyoom", Syntax: "key value [key value ...]", Since: "1.0.1", Complexity: "O(N) where N is the number of keys", Summary: "Sets keys if none of them exists: 1 or 0.", parse: parseMSetNX})...)
	add(keyed(1, 1, 1, "RW insert",
		Command{Name: "append", Arity: 3, Flags: "write denyoom fast", Syntax: "key value", Since: "2.0.0", Summary: "Appends to a value, and gives its new length.", parse: parseAppend})...)
	add(keyed(1, 1, 1, "RW update",
		Command{Name: "setrange", Arity: 4, Flags: "write denyoom", Syntax: "key offset value", Since: "2.2.0", Summary: "Overwrites a part of a value, and gives its new length.", parse: parseSetRange})...)
	return grouped("strings", "string", rows)
}

// grouped gives rows their group, those without an ACL category the one named, and the usual complexity.
func grouped(group, category string, rows []Command) []Command {
	for i := range rows {
		rows[i].Group = group
		if rows[i].Categories == "" {
			rows[i].Categories = category
		}
		if rows[i].Complexity == "" {
			rows[i].Complexity = "O(1)"
		}
	}
	return rows
}

func parseGet(p *parser) request { return one(&op.Get{Key: p.name()}, replyValue) }

func parseStrlen(p *parser) request {
	return one(&op.Get{Key: p.name()}, func(w *resp.Writer, a answer) { w.Int(int64(len(a.first().Value))) })
}

func parseGetRange(p *parser) request {
	key, start, end := p.name(), p.int(), p.int()
	return one(&op.Get{Key: key}, func(w *resp.Writer, a answer) {
		w.Bulk(subrange(a.first().Value, start, end))
	})
}

// subrange is the part from start to end, both included, counted from the end when negative.
func subrange(v []byte, start, end int64) []byte {
	n := int64(len(v))
	if start < 0 && end < 0 && start > end {
		return nil
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	if end = min(end, n-1); start > end {
		return nil
	}
	return v[start : end+1]
}

func parseMGet(p *parser) request {
	r := request{reply: replyStrings}
	for _, k := range p.names() {
		r.ops = append(r.ops, &op.Look{Key: k, Values: true})
	}
	return r
}

func parseGetSet(p *parser) request {
	return one(&op.Set{Key: p.name(), Value: p.value(), WantOld: true}, replyValue)
}

func parseGetDel(p *parser) request {
	return one(&op.Delete{Key: p.name(), WantOld: true}, replyValue)
}

func parseSetNX(p *parser) request {
	return one(&op.Set{Key: p.name(), Value: p.value(), Cond: op.IfNone}, replyDone)
}

func parseSetEx(unit int64) func(p *parser) request {
	return func(p *parser) request {
		key := p.name()
		expiry := p.expiry(op.ExpiryIn, unit, p.next())
		return one(&op.Set{Key: key, Value: p.value(), Expiry: expiry}, replyOK)
	}
}

func parseGetEx(p *parser) request {
	key := p.name()
	var later func() op.Expiry
	persist := false
	for p.more() {
		switch f, ok := p.expiryOption(); {
		case ok && later == nil && !persist:
			later = f
		case !ok && later == nil && p.is("PERSIST"):
			persist = true
		default:
			p.fail(errSyntax)
		}
	}
	switch {
	case p.err != "":
		return request{}
	case later != nil:
		return one(&op.Expire{Key: key, Expiry: later(), WantOld: true}, replyValue)
	case persist:
		return one(&op.Expire{Key: key, Expiry: op.Expiry{Mode: op.ExpiryClear}, WantOld: true}, replyValue)
	}
	return one(&op.Get{Key: key}, replyValue)
}

// pairs takes key value pairs to the end.
func (p *parser) pairs(cond op.Cond) []op.Op {
	if len(p.args)%2 != 0 {
		p.arity()
		return nil
	}
	ops := make([]op.Op, 0, len(p.args)/2)
	for p.more() {
		ops = append(ops, &op.Set{Key: p.name(), Value: p.value(), Cond: cond})
	}
	return ops
}

func parseMSet(p *parser) request {
	return request{ops: p.pairs(op.Always), reply: replyOK}
}

// parseMSetNX looks first: the condition is about all keys together.
func parseMSetNX(p *parser) request {
	sets := p.pairs(op.Always)
	return request{run: func(ctx context.Context, c *call) error {
		set := false
		err := c.transact(ctx, func(tx *call) (err error) {
			set, err = tx.setIfNone(ctx, sets)
			return err
		})
		if err == nil {
			writeFlag(c.w, set)
		}
		return err
	}}
}

func (c *call) setIfNone(ctx context.Context, sets []op.Op) (bool, error) {
	looks := make([]op.Op, len(sets))
	for i, o := range sets {
		looks[i] = &op.Look{Key: o.Target().Key}
	}
	found, err := c.all(ctx, looks)
	if err != nil {
		return false, err
	}
	for i := range found {
		if found[i].Found {
			return false, nil
		}
	}
	_, err = c.all(ctx, sets)
	return err == nil, err
}

func parseAppend(p *parser) request {
	return one(&op.AppendTo{Key: p.name(), Value: p.value(), MaxBytes: uint64(p.h.limits.ValueBytes)}, replyInt)
}

func parseSetRange(p *parser) request {
	key, offset, value := p.name(), p.int(), p.next()
	limit := p.h.limits.ValueBytes
	switch {
	case offset < 0:
		p.fail(errOffset)
	case len(value) == 0:
		return one(&op.Get{Key: key}, func(w *resp.Writer, a answer) { w.Int(int64(len(a.first().Value))) })
	case offset > int64(limit) || int(offset)+len(value) > limit:
		p.fail("ERR string exceeds maximum allowed size: " + tooLarge("value", limit))
	}
	return one(&op.SetRange{Key: key, Offset: uint64(offset), Value: value, MaxBytes: uint64(limit)}, replyInt)
}

package commands

import (
	"context"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/resp"
)

func genericRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, -1, 1, "RM delete",
		Command{Name: "del", Arity: -2, Flags: "write", Syntax: "key [key ...]", Since: "1.0.0", Complexity: "O(N) where N is the number of keys", Summary: "Deletes keys at one point in time, and gives how many there were.", parse: parseDel},
		Command{Name: "unlink", Arity: -2, Flags: "write fast", Syntax: "key [key ...]", Since: "4.0.0", Complexity: "O(N) where N is the number of keys", Summary: "As DEL.", parse: parseDel},
	)...)
	add(keyed(1, 1, 1, "RM delete",
		Command{Name: "delex", Arity: -2, Flags: "write fast", Syntax: "key [IFEQ comparison-value | IFNE comparison-value]", Since: "8.4.0", Summary: "Deletes a key if its value is, or is not, the one given: 1 or 0.", parse: parseDelEx})...)
	add(keyed(1, -1, 1, "RO",
		Command{Name: "exists", Arity: -2, Flags: "readonly fast", Syntax: "key [key ...]", Since: "1.0.0", Complexity: "O(N) where N is the number of keys", Summary: "How many of the keys exist. A key named twice counts twice.", parse: parseExists},
		Command{Name: "touch", Arity: -2, Flags: "readonly fast", Syntax: "key [key ...]", Since: "3.2.1", Complexity: "O(N) where N is the number of keys", Summary: "As EXISTS.", parse: parseExists},
	)...)
	add(keyed(1, 1, 1, "RO",
		Command{Name: "type", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "1.0.0", Summary: "string, hash, or none if there is no such key.", parse: parseType})...)
	add(keyed(1, 2, 1, "RW access delete; OW update",
		Command{Name: "rename", Arity: 3, Flags: "write", Syntax: "key newkey", Since: "1.0.0", Summary: "Gives a key another name; what had that name is replaced.", parse: parseRename(true)},
	)...)
	add(keyed(1, 2, 1, "RW access delete; OW insert",
		Command{Name: "renamenx", Arity: 3, Flags: "write fast", Syntax: "key newkey", Since: "1.0.0", Summary: "Gives a key another name if that is free: 1 or 0.", parse: parseRename(false)},
	)...)
	add(keyed(1, 2, 1, "RO access; OW update",
		Command{Name: "copy", Arity: -3, Flags: "write denyoom", Syntax: "source destination [DB destination-db] [REPLACE]", Since: "6.2.0", Summary: "Copies a key with its expiry: 1, or 0 if there is none or the destination exists.", parse: parseCopy})...)
	return grouped("generic", "keyspace", rows)
}

func parseDel(p *parser) request {
	r := request{reply: replyDoneCount}
	for _, k := range p.names() {
		r.ops = append(r.ops, &op.Delete{Key: k})
	}
	return r
}

func parseDelEx(p *parser) request {
	d := &op.Delete{Key: p.name()}
	switch {
	case !p.more():
		return one(d, replyDone)
	case p.is("IFEQ"):
		d.Cond, d.CondValue = op.IfEqual, p.value()
	case p.is("IFNE"):
		d.Cond, d.CondValue = op.IfOther, p.value()
	default:
		p.fail(errSyntax)
	}
	p.end()
	return one(d, replyDone)
}

// parseExists looks at the keys. An op.Version would be cheaper, but is about what was there before a transaction's
// own writes.
func parseExists(p *parser) request {
	r := request{reply: replyFoundCount}
	for _, k := range p.names() {
		r.ops = append(r.ops, &op.Look{Key: k})
	}
	return r
}

func parseType(p *parser) request {
	return one(&op.Look{Key: p.name()}, func(w *resp.Writer, a answer) {
		if r := a.first(); r.Found {
			w.SimpleString(typeName(mvcc.Type(r.Int)))
			return
		}
		w.SimpleString("none")
	})
}

func parseRename(replace bool) func(p *parser) request {
	return func(p *parser) request {
		m := transfer{from: p.name(), to: p.name(), replace: replace, remove: true}
		return request{run: func(ctx context.Context, c *call) error {
			moved, found, err := m.run(ctx, c)
			switch {
			case err != nil:
				return err
			case !found:
				return userError(errNoSuchKey)
			case replace:
				c.w.SimpleString("OK")
			default:
				writeFlag(c.w, moved)
			}
			return nil
		}}
	}
}

func parseCopy(p *parser) request {
	m := transfer{from: p.name(), to: p.name()}
	for p.more() {
		switch {
		case p.is("REPLACE"):
			m.replace = true
		case p.is("DB"):
			if p.int() != 0 {
				p.fail(errDBIndex)
			}
		default:
			p.fail(errSyntax)
		}
	}
	if string(m.from) == string(m.to) {
		p.fail(errSameObject)
	}
	return request{run: func(ctx context.Context, c *call) error {
		moved, _, err := m.run(ctx, c)
		if err == nil {
			writeFlag(c.w, moved)
		}
		return err
	}}
}

// transfer copies a key, or moves it, with its expiry. Its history stays where it is.
type transfer struct {
	from, to        []byte
	replace, remove bool
}

func (m *transfer) run(ctx context.Context, c *call) (moved, found bool, err error) {
	err = c.transact(ctx, func(tx *call) (err error) {
		moved, found, err = m.step(ctx, tx)
		return err
	})
	return moved, found, err
}

func (m *transfer) step(ctx context.Context, tx *call) (moved, found bool, err error) {
	src, err := tx.one(ctx, &op.Look{Key: m.from, Values: true})
	if err != nil || !src.Found {
		return false, false, err
	}
	if string(m.from) == string(m.to) {
		return m.replace, true, nil
	}
	set := &op.Put{Key: m.to, Type: byte(src.Int), Value: src.Value, IfNone: !m.replace}
	if src.ExpireAt != 0 {
		set.Expiry = op.Expiry{Mode: op.ExpiryAt, Milli: src.ExpireAt.UnixMilli()}
	}
	done, err := tx.one(ctx, set)
	if err != nil || !done.Done || !m.remove {
		return err == nil && done.Done, true, err
	}
	_, err = tx.one(ctx, &op.Delete{Key: m.from})
	return err == nil, true, err
}

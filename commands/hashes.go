package commands

import (
	"bytes"
	"math"

	"kahuna/op"
	"kahuna/resp"
)

const hashComplexity = "O(N) where N is the size of the hash"

func hashRows() []Command {
	rows := []Command{}
	add := func(access string, more ...Command) { rows = append(rows, keyed(1, 1, 1, access, more...)...) }
	add("RW update",
		Command{Name: "hset", Arity: -4, Flags: "write denyoom fast", Syntax: "key field value [field value ...]", Since: "2.0.0", Summary: "Sets fields of a hash, and gives how many are new.", parse: parseHSet(replyInt)},
		Command{Name: "hmset", Arity: -4, Flags: "write denyoom fast", Syntax: "key field value [field value ...]", Since: "2.0.0", Summary: "As HSET, and answers OK.", parse: parseHSet(replyOK)})
	add("RW insert",
		Command{Name: "hsetnx", Arity: 4, Flags: "write denyoom fast", Syntax: "key field value", Since: "2.0.0", Summary: "Sets a field if the hash does not have it: 1 or 0.", parse: parseHSetNX})
	add("RW access update",
		Command{Name: "hincrby", Arity: 4, Flags: "write denyoom fast", Syntax: "key field increment", Since: "2.0.0", Summary: "Adds to the integer that a field holds.", parse: parseHIncrBy},
		Command{Name: "hincrbyfloat", Arity: 4, Flags: "write denyoom fast", Syntax: "key field increment", Since: "2.6.0", Summary: "Adds to the number that a field holds.", parse: parseHIncrByFloat})
	add("RW delete",
		Command{Name: "hdel", Arity: -3, Flags: "write fast", Syntax: "key field [field ...]", Since: "2.0.0", Summary: "Deletes fields, and gives how many there were. With the last one the key goes.", parse: parseHDel})
	add("RO access",
		Command{Name: "hget", Arity: 3, Flags: "readonly fast", Syntax: "key field", Since: "2.0.0", Summary: "The value of a field, or nil.", parse: parseHGet},
		Command{Name: "hmget", Arity: -3, Flags: "readonly fast", Syntax: "key field [field ...]", Since: "2.0.0", Summary: "The values of fields, nil for those that there are not.", parse: parseHMGet},
		Command{Name: "hgetall", Arity: 2, Flags: "readonly", Syntax: "key", Since: "2.0.0", Summary: "All fields with their values, as a map, in the order in which they were first set.", parse: parseWhole(writeMap)},
		Command{Name: "hkeys", Arity: 2, Flags: "readonly", Syntax: "key", Since: "2.0.0", Summary: "The names of all fields.", parse: parseWhole(writeNames)},
		Command{Name: "hvals", Arity: 2, Flags: "readonly", Syntax: "key", Since: "2.0.0", Summary: "The values of all fields.", parse: parseWhole(writeValues)},
		Command{Name: "hscan", Arity: -3, Flags: "readonly", Syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]", Since: "2.8.0", Summary: "Fields with their values. One call gives all of them, whatever its COUNT.", parse: parseHScan},
		Command{Name: "hrandfield", Arity: -2, Flags: "readonly", Syntax: "key [count [WITHVALUES]]", Since: "6.2.0", Summary: "Some field, or with a count so many different ones; of a negative count the same ones may come again.", parse: parseHRandField})
	add("RO",
		Command{Name: "hexists", Arity: 3, Flags: "readonly fast", Syntax: "key field", Since: "2.0.0", Summary: "1 if a hash has a field, else 0.", parse: parseHExists},
		Command{Name: "hlen", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "2.0.0", Summary: "How many fields a hash has.", parse: parseHLen},
		Command{Name: "hstrlen", Arity: 3, Flags: "readonly fast", Syntax: "key field", Since: "3.2.0", Summary: "The length of the value of a field in bytes, 0 if there is none.", parse: parseHStrlen})
	for i := range rows {
		rows[i].Complexity = hashComplexity
	}
	return grouped("hash", "hash", rows)
}

func (p *parser) valueLimit() uint64 { return uint64(p.h.limits.ValueBytes) }

// inHash bounds what is given for one hash together.
func (p *parser) inHash(bytes int) {
	if bytes > p.h.limits.ValueBytes {
		p.fail("ERR " + tooLarge("value", p.h.limits.ValueBytes))
	}
}

func parseHSet(reply replyFunc) func(p *parser) request {
	return func(p *parser) request {
		if len(p.args)%2 == 0 {
			p.arity()
			return request{}
		}
		o := &op.HashSet{Key: p.name(), MaxBytes: p.valueLimit()}
		o.Fields = make([]op.Field, 0, len(p.args)/2)
		size := 0
		for p.more() {
			f := op.Field{Name: p.next(), Value: p.next()}
			size += len(f.Name) + len(f.Value)
			o.Fields = append(o.Fields, f)
		}
		p.inHash(size)
		return one(o, reply)
	}
}

func parseHSetNX(p *parser) request {
	o := &op.HashSet{Key: p.name(), Fields: []op.Field{{Name: p.next(), Value: p.next()}}, IfNone: true, MaxBytes: p.valueLimit()}
	p.inHash(len(o.Fields[0].Name) + len(o.Fields[0].Value))
	return one(o, replyDone)
}

func parseHIncrBy(p *parser) request {
	o := &op.HashIncr{Key: p.name(), Field: p.next(), Delta: p.int(), MaxBytes: p.valueLimit()}
	p.inHash(len(o.Field))
	return one(o, replyInt)
}

func parseHIncrByFloat(p *parser) request {
	o := &op.HashIncrFloat{Key: p.name(), Field: p.next(), MaxBytes: p.valueLimit()}
	p.inHash(len(o.Field))
	by, ok := parseFloat(p.next())
	switch {
	case math.IsInf(by, 0):
		p.fail(errNotFinite)
	case !ok:
		p.fail(errNotFloat)
	}
	o.Delta = by
	return one(o, func(w *resp.Writer, a answer) { w.Bulk(a.first().Value) })
}

func parseHDel(p *parser) request {
	return one(&op.HashDelete{Key: p.name(), Fields: p.words()}, replyInt)
}

// field is a request for one field of a hash, whose Item is what is answered from.
func (p *parser) field(reply func(w *resp.Writer, it *op.Item)) request {
	o := &op.HashGet{Key: p.name(), Fields: p.words(), MaxBytes: p.valueLimit()}
	return one(o, func(w *resp.Writer, a answer) { reply(w, &a.first().Items[0]) })
}

func parseHGet(p *parser) request { return p.field(writeField) }

func writeField(w *resp.Writer, it *op.Item) {
	if it.Deleted {
		w.Null()
		return
	}
	w.Bulk(it.Value)
}

func parseHExists(p *parser) request {
	return p.field(func(w *resp.Writer, it *op.Item) { writeFlag(w, !it.Deleted) })
}

func parseHStrlen(p *parser) request {
	return p.field(func(w *resp.Writer, it *op.Item) { w.Int(int64(len(it.Value))) })
}

func parseHMGet(p *parser) request {
	o := &op.HashGet{Key: p.name(), Fields: p.words(), MaxBytes: p.valueLimit()}
	return one(o, func(w *resp.Writer, a answer) {
		items := a.first().Items
		w.Array(len(items))
		for i := range items {
			writeField(w, &items[i])
		}
	})
}

func parseHLen(p *parser) request {
	return one(&op.HashGet{Key: p.name()}, replyInt)
}

// parseWhole answers from a whole hash.
func parseWhole(write func(w *resp.Writer, hash []byte) error) func(p *parser) request {
	return func(p *parser) request { return p.whole(p.name(), write) }
}

func (p *parser) whole(key []byte, write func(w *resp.Writer, hash []byte) error) request {
	return one(&op.HashGet{Key: key, Whole: true}, func(w *resp.Writer, a answer) {
		orError(w, func() error { return write(w, a.first().Value) })
	})
}

func parseHScan(p *parser) request {
	key := p.name()
	cursor, _ := bytes.CutPrefix(p.next(), []byte("-")) // Redis reads it as strtoul does
	if _, ok := parseCursor(cursor); !ok {
		p.fail(errCursor)
	}
	s := fieldScan{values: true}
	for p.more() {
		switch {
		case p.is("MATCH"):
			s.match = p.next()
		case p.is("COUNT"):
			p.scanCount()
		case p.is("NOVALUES"):
			s.values = false
		default:
			p.fail(errSyntax)
		}
	}
	return p.whole(key, s.write)
}

func parseHRandField(p *parser) request {
	r := randomFields{rand: p.h.rand, bytesMax: p.h.limits.ReplyBytes}
	key := p.name()
	if !p.more() {
		return p.whole(key, r.writeOne)
	}
	r.count = p.int()
	if p.more() {
		r.values = p.is("WITHVALUES")
		p.end()
	}
	switch {
	case r.count == math.MinInt64:
		p.fail(errOutOfRange + ", value must between -9223372036854775807 and 9223372036854775807")
	case r.outOfRange():
		p.fail(errOutOfRange)
	}
	return p.whole(key, r.write)
}

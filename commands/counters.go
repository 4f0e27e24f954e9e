package commands

import (
	"math"

	"kahuna/op"
	"kahuna/resp"
)

func counterRows() []Command {
	const flags = "write denyoom fast"
	return grouped("strings", "string", keyed(1, 1, 1, "RW access update",
		Command{Name: "incr", Arity: 2, Flags: flags, Syntax: "key", Since: "1.0.0", Summary: "Adds 1 to the integer that a key holds.", parse: parseIncr(1)},
		Command{Name: "decr", Arity: 2, Flags: flags, Syntax: "key", Since: "1.0.0", Summary: "Takes 1 from the integer that a key holds.", parse: parseIncr(-1)},
		Command{Name: "incrby", Arity: 3, Flags: flags, Syntax: "key increment", Since: "1.0.0", Summary: "Adds to the integer that a key holds.", parse: parseIncrBy},
		Command{Name: "decrby", Arity: 3, Flags: flags, Syntax: "key decrement", Since: "1.0.0", Summary: "Takes from the integer that a key holds.", parse: parseDecrBy},
		Command{Name: "incrbyfloat", Arity: 3, Flags: flags, Syntax: "key increment", Since: "2.6.0", Summary: "Adds to the number that a key holds.", parse: parseIncrByFloat},
	))
}

func parseIncr(delta int64) func(p *parser) request {
	return func(p *parser) request { return one(&op.Incr{Key: p.name(), Delta: delta}, replyInt) }
}

func parseIncrBy(p *parser) request {
	return one(&op.Incr{Key: p.name(), Delta: p.int()}, replyInt)
}

func parseDecrBy(p *parser) request {
	key, by := p.name(), p.int()
	if by == math.MinInt64 {
		p.fail(errDecrement)
	}
	return one(&op.Incr{Key: key, Delta: -by}, replyInt)
}

func parseIncrByFloat(p *parser) request {
	key := p.name()
	by, ok := parseFloat(p.next())
	if !ok {
		p.fail(errNotFloat)
	}
	return one(&op.IncrFloat{Key: key, Delta: by}, func(w *resp.Writer, a answer) { w.Bulk(a.first().Value) })
}

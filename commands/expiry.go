package commands

import (
	"kahuna/op"
	"kahuna/resp"
)

func expiryRows() []Command {
	const cond = " [NX | XX | GT | LT]"
	set := keyed(1, 1, 1, "RW update",
		Command{Name: "expire", Arity: -3, Flags: "write fast", Syntax: "key seconds" + cond, Since: "1.0.0", Summary: "Makes a key expire.", parse: parseExpire(op.ExpiryIn, second)},
		Command{Name: "pexpire", Arity: -3, Flags: "write fast", Syntax: "key milliseconds" + cond, Since: "2.6.0", Summary: "Makes a key expire.", parse: parseExpire(op.ExpiryIn, milli)},
		Command{Name: "expireat", Arity: -3, Flags: "write fast", Syntax: "key unix-time-seconds" + cond, Since: "1.2.0", Summary: "Makes a key expire at a time.", parse: parseExpire(op.ExpiryAt, second)},
		Command{Name: "pexpireat", Arity: -3, Flags: "write fast", Syntax: "key unix-time-milliseconds" + cond, Since: "2.6.0", Summary: "Makes a key expire at a time.", parse: parseExpire(op.ExpiryAt, milli)},
		Command{Name: "persist", Arity: 2, Flags: "write fast", Syntax: "key", Since: "2.2.0", Summary: "Removes the expiry of a key.", parse: parsePersist},
	)
	get := keyed(1, 1, 1, "RO access",
		Command{Name: "ttl", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "1.0.0", Summary: "Seconds until a key expires; -1 without an expiry, -2 without a key.", parse: parseTTL(second)},
		Command{Name: "pttl", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "2.6.0", Summary: "Milliseconds until a key expires; -1 without an expiry, -2 without a key.", parse: parseTTL(milli)},
		Command{Name: "expiretime", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "7.0.0", Summary: "When a key expires, in Unix time.", parse: parseExpireTime(second)},
		Command{Name: "pexpiretime", Arity: 2, Flags: "readonly fast", Syntax: "key", Since: "7.0.0", Summary: "When a key expires, in Unix time in milliseconds.", parse: parseExpireTime(milli)},
	)
	return grouped("generic", "keyspace", append(set, get...))
}

func parseExpire(mode op.ExpiryMode, unit int64) func(p *parser) request {
	return func(p *parser) request {
		key, raw := p.name(), p.next()
		conds := p.expireConds()
		v := p.toInt(raw)
		return one(&op.Expire{Key: key, Expiry: p.expiryAny(mode, unit, v), Conds: conds}, replyDone)
	}
}

// expireConds takes the conditions of EXPIRE to the end, with Redis's texts for those that exclude each other.
func (p *parser) expireConds() (conds op.ExpireCond) {
	for p.more() {
		switch {
		case p.is("NX"):
			conds |= op.ExpireNone
		case p.is("XX"):
			conds |= op.ExpireAny
		case p.is("GT"):
			conds |= op.ExpireLater
		case p.is("LT"):
			conds |= op.ExpireSooner
		default:
			p.fail("ERR Unsupported option " + shown(p.next(), 128))
		}
	}
	const both = op.ExpireLater | op.ExpireSooner
	switch {
	case conds&op.ExpireNone != 0 && conds != op.ExpireNone:
		p.fail(errExpireNX)
	case conds&both == both:
		p.fail(errExpireGTLT)
	}
	return conds
}

func parsePersist(p *parser) request {
	return one(&op.Expire{Key: p.name(), Expiry: op.Expiry{Mode: op.ExpiryClear}}, replyDone)
}

func parseTTL(unit int64) func(p *parser) request {
	return func(p *parser) request {
		r := one(&op.Look{Key: p.name()}, func(w *resp.Writer, a answer) {
			writeTTL(w, &a.first().Result, remaining(a.first().ExpireAt, a.now), unit)
		})
		r.clock = true
		return r
	}
}

func parseExpireTime(unit int64) func(p *parser) request {
	return func(p *parser) request {
		return one(&op.Look{Key: p.name()}, func(w *resp.Writer, a answer) {
			writeTTL(w, &a.first().Result, a.first().ExpireAt.UnixMilli(), unit)
		})
	}
}

// writeTTL rounds to the unit as Redis does.
func writeTTL(w *resp.Writer, r *op.Result, ms, unit int64) {
	switch {
	case !r.Found:
		w.Int(-2)
	case r.ExpireAt == 0:
		w.Int(-1)
	default:
		w.Int((ms + unit/2) / unit)
	}
}

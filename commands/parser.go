package commands

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"kahuna/op"
)

// parser walks over the arguments of one command. The first error sticks; what the methods return after it means nothing.
type parser struct {
	h    *Handler
	s    *Session
	row  *Command
	args [][]byte // what is still to be read, the command's name left out
	err  string
}

func (p *parser) fail(text string) {
	if p.err == "" {
		p.err = text
	}
}

func (p *parser) more() bool { return len(p.args) > 0 && p.err == "" }

// next takes an argument; none left is a syntax error.
func (p *parser) next() []byte {
	if len(p.args) == 0 {
		p.fail(errSyntax)
		return nil
	}
	a := p.args[0]
	p.args = p.args[1:]
	return a
}

// is takes the next argument if it is the given word, in any case.
func (p *parser) is(word string) bool {
	if len(p.args) == 0 || !equalFold(p.args[0], word) {
		return false
	}
	p.args = p.args[1:]
	return true
}

// end says that no argument may be left.
func (p *parser) end() {
	if p.more() {
		p.fail(errSyntax)
	}
}

// name takes a key, or the name of a lock, a sequence, or an owner.
func (p *parser) name() []byte {
	a := p.next()
	p.checkName(a)
	return a
}

func (p *parser) checkName(a []byte) {
	switch {
	case len(a) == 0:
		p.fail(errNameEmpty)
	case len(a) > p.h.limits.NameBytes:
		p.fail("ERR " + tooLarge("name", p.h.limits.NameBytes))
	}
}

func (p *parser) value() []byte {
	a := p.next()
	if len(a) > p.h.limits.ValueBytes {
		p.fail("ERR " + tooLarge("value", p.h.limits.ValueBytes))
	}
	return a
}

func (p *parser) int() int64 { return p.toInt(p.next()) }

func (p *parser) toInt(a []byte) int64 {
	v, ok := parseInt(a)
	if !ok {
		p.fail(errNotInteger)
	}
	return v
}

// positive takes an integer from 1 to limit.
func (p *parser) positive(limit int64) int64 {
	v := p.int()
	if v < 1 || v > limit {
		p.fail(errNotPositive)
	}
	return v
}

// Units of an expiry, in milliseconds.
const (
	milli  = 1
	second = 1000
)

// expiry makes an expiry of an argument as SET does: it must be positive, and the time it stands for must not overflow.
func (p *parser) expiry(mode op.ExpiryMode, unit int64, a []byte) op.Expiry {
	v := p.toInt(a)
	if v <= 0 {
		p.failExpire()
	}
	return p.expiryAny(mode, unit, v)
}

// expiryAny allows a time in the past, as EXPIRE does.
func (p *parser) expiryAny(mode op.ExpiryMode, unit, v int64) op.Expiry {
	if v > math.MaxInt64/unit || v < math.MinInt64/unit {
		p.failExpire()
		return op.Expiry{}
	}
	v *= unit
	if mode == op.ExpiryIn && v > math.MaxInt64-p.h.now().UnixMilli() {
		p.failExpire()
	}
	return op.Expiry{Mode: mode, Milli: v}
}

func (p *parser) failExpire() {
	p.fail("ERR invalid expire time in '" + p.row.fullName() + "' command")
}

// expiryOption takes EX, PX, EXAT or PXAT with its argument, and says whether it was one. The argument is judged later by
// the function it returns, for Redis reports a wrong syntax before a wrong number.
func (p *parser) expiryOption() (later func() op.Expiry, ok bool) {
	mode, unit := op.ExpiryIn, int64(second)
	switch {
	case p.is("EX"):
	case p.is("PX"):
		unit = milli
	case p.is("EXAT"):
		mode = op.ExpiryAt
	case p.is("PXAT"):
		mode, unit = op.ExpiryAt, milli
	default:
		return nil, false
	}
	a := p.next()
	return func() op.Expiry { return p.expiry(mode, unit, a) }, true
}

// ttl takes the length of a lease in milliseconds.
func (p *parser) ttl() int64 {
	ttl := p.expiry(op.ExpiryIn, milli, p.next()).Milli
	if most := p.h.limits.LockTTLMilli; ttl > most {
		p.fail("ERR lease too long (limit " + strconv.FormatInt(most, 10) + " milliseconds)")
	}
	return ttl
}

// asof is a time in the past as a client gives it.
type asof struct {
	set       bool
	beforeNow int64        // milliseconds before now, when it was negative
	at        op.Timestamp // else this
}

// unixMilliBelow is where an ASOF stops being Unix time in milliseconds (until the year 2527) and is a timestamp.
const unixMilliBelow = 1 << 44

// asof takes the argument of ASOF.
func (p *parser) asof() asof {
	v := p.int()
	switch {
	case v < 0:
		return asof{set: true, beforeNow: v}
	case v < unixMilliBelow:
		return asof{set: true, at: max(op.FromUnixMilli(v), 1)}
	}
	return asof{set: true, at: op.Timestamp(v)}
}

// arity is the error for a number of arguments that the row's arity could not rule out.
func (p *parser) arity() { p.fail(wrongArity(p.row.fullName())) }

// words are the arguments that are left.
func (p *parser) words() [][]byte {
	a := p.args
	p.args = nil
	return a
}

// names takes all arguments that are left as names.
func (p *parser) names() [][]byte {
	all := p.words()
	for _, a := range all {
		p.checkName(a)
	}
	return all
}

// equalFold compares with an upper case word of ASCII letters, digits and dashes.
func equalFold(a []byte, word string) bool {
	if len(a) != len(word) {
		return false
	}
	for i, c := range a {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func upper(s string) string { return strings.ToUpper(s) }

func lower(a []byte) string { return string(bytes.ToLower(a)) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

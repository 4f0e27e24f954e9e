package commands

import (
	"kahuna/op"
	"kahuna/resp"
)

// setDialect is what SET and KSET do not share.
type setDialect struct {
	get    bool // SET: GET, IFNE
	revs   bool // KSET: IFREV, NOREV
	answer replyFunc
}

// setOptions collects the options of SET and KSET into an op.Set. later judges the expiry once the syntax is known to be right.
type setOptions struct {
	set       *op.Set
	cond      bool
	expiry    bool
	later     func() op.Expiry
	laterRev  []byte
	answerOld bool
}

func parseSet(p *parser) request { return p.set(setDialect{get: true, answer: replyOKOrNil}) }

func parseKSet(p *parser) request { return p.set(setDialect{revs: true, answer: replyRevOrNil}) }

func (p *parser) set(d setDialect) request {
	o := setOptions{set: &op.Set{Key: p.name(), Value: p.value()}}
	for p.more() {
		if !p.setCondition(&o, d) && !p.setExpiry(&o) && !p.setFlag(&o, d) {
			p.fail(errSyntax)
		}
	}
	if o.laterRev != nil {
		o.set.Cond = op.IfRev
		rev := p.toInt(o.laterRev)
		if rev < 0 {
			p.fail(errNotInteger)
		}
		o.set.CondRev = uint64(rev)
	}
	if o.later != nil && p.err == "" {
		o.set.Expiry = o.later()
	}
	if o.answerOld {
		o.set.WantOld = true
		return one(o.set, replyOld)
	}
	return one(o.set, d.answer)
}

// replyOld is the answer to SET with GET: the old value, whether or not it was set.
func replyOld(w *resp.Writer, a answer) { writeValue(w, &a.first().Result) }

func (p *parser) setCondition(o *setOptions, d setDialect) bool {
	cond := op.Always
	switch {
	case p.is("NX"):
		cond = op.IfNone
	case p.is("XX"):
		cond = op.IfAny
	case p.is("IFEQ"):
		cond, o.set.CondValue = op.IfEqual, p.value()
	case d.get && p.is("IFNE"):
		cond, o.set.CondValue = op.IfOther, p.value()
	case d.revs && p.is("IFREV"):
		cond, o.laterRev = op.IfRev, p.next()
	default:
		return false
	}
	if o.cond && o.set.Cond != cond {
		p.fail(errSyntax)
	}
	o.cond, o.set.Cond = true, cond
	return true
}

func (p *parser) setExpiry(o *setOptions) bool {
	later, ok := p.expiryOption()
	if !ok {
		if !p.is("KEEPTTL") {
			return false
		}
		later = func() op.Expiry { return op.Expiry{Mode: op.ExpiryKeep} }
	}
	if o.expiry {
		p.fail(errSyntax)
	}
	o.expiry, o.later = true, later
	return true
}

func (p *parser) setFlag(o *setOptions, d setDialect) bool {
	switch {
	case d.get && p.is("GET"):
		o.answerOld = true
	case d.revs && p.is("NOREV"):
		o.set.NoRev = true
	default:
		return false
	}
	return true
}

package commands

import (
	"kahuna/op"
	"kahuna/resp"
)

func lockRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, 1, 1, "RW access update",
		Command{Name: "lock", Arity: -4, Flags: "write denyoom fast", Syntax: "name owner ttl-milliseconds [WAIT wait-milliseconds] [SHARED | PERMITS count]", parse: parseLock,
			Summary: "Takes a lock for a time: the fencing token, or nil if another owner has it. The same owner gets the same token again. WAIT, SHARED and PERMITS are refused by this version."},
		Command{Name: "unlock", Arity: 3, Flags: "write fast", Syntax: "name owner", Summary: "Gives a lock back: 1, or 0 if that owner does not hold it.", parse: parseUnlock},
		Command{Name: "lockextend", Arity: 4, Flags: "write fast", Syntax: "name owner ttl-milliseconds", Summary: "Makes a lease last for a time from now: the token, or nil if that owner does not hold the lock.", parse: parseLockExtend},
		Command{Name: "lockbreak", Arity: -2, Flags: "write admin", Syntax: "name [owner]", Summary: "For operators: puts one holder of a lock out, or all, and gives how many. The next token is larger.", parse: parseLockBreak},
	)...)
	add(keyed(1, 1, 1, "RO access",
		Command{Name: "lockinfo", Arity: -2, Flags: "readonly fast", Syntax: "name [ASOF time]", Summary: "Who holds a lock: a map of name, mode, permits, holders and waiting; nil if it is free. ASOF is refused by this version.", parse: parseLockInfo})...)
	add(Command{Name: "lockscan", Arity: -2, Flags: "readonly", Syntax: "cursor [MATCH pattern] [COUNT count]", Complexity: scanComplexity,
		Summary: "The names of held locks, page by page, as SCAN.", parse: parseScan(op.SpaceLock)})
	for i := range rows {
		rows[i].KeySpace = op.SpaceLock
	}
	return grouped("locks", "lock", rows)
}

func parseLock(p *parser) request {
	o := &op.LockAcquire{Name: p.name(), Owner: p.name(), TTLMilli: p.ttl()}
	wait, mode := false, ""
	for p.more() {
		switch {
		case !wait && p.is("WAIT"):
			wait = true
			if p.int() < 0 {
				p.fail(errTimeoutMinus)
			}
		case mode == "" && p.is("SHARED"):
			mode, o.Shared = "SHARED", true
		case mode == "" && p.is("PERMITS"):
			mode, o.Permits = "PERMITS", uint32(p.positive(permitsMax))
		default:
			p.fail(errSyntax)
		}
	}
	switch {
	case wait:
		p.fail(unsupported("WAIT"))
	case mode != "":
		p.fail(unsupported(mode))
	}
	return one(o, replyIntOrNil)
}

// permitsMax is the largest semaphore.
const permitsMax = 1 << 20

func parseUnlock(p *parser) request {
	return one(&op.LockRelease{Name: p.name(), Owner: p.name()}, replyDone)
}

func parseLockExtend(p *parser) request {
	return one(&op.LockExtend{Name: p.name(), Owner: p.name(), TTLMilli: p.ttl()}, replyIntOrNil)
}

func parseLockBreak(p *parser) request {
	o := &op.LockBreak{Name: p.name(), AnyOwner: true}
	if p.more() {
		o.Owner, o.AnyOwner = p.name(), false
	}
	p.end()
	return one(o, replyInt)
}

func parseLockInfo(p *parser) request {
	name := p.name()
	if p.more() {
		if !p.is("ASOF") {
			p.fail(errSyntax)
		}
		p.asof()
		p.end()
		p.fail(unsupported("ASOF of a lock"))
	}
	return one(&op.LockInfo{Name: name}, func(w *resp.Writer, a answer) {
		if !a.first().Found || a.first().Lock == nil {
			w.Null()
			return
		}
		writeLock(w, name, a.first().Lock)
	})
}

func writeLock(w *resp.Writer, name []byte, l *op.LockState) {
	mode, permits := "exclusive", max(l.Permits, 1)
	switch {
	case l.Shared:
		mode, permits = "shared", 0
	case l.Permits > 1:
		mode = "permits"
	}
	w.Map(5)
	w.BulkString("name")
	w.Bulk(name)
	w.BulkString("mode")
	w.BulkString(mode)
	w.BulkString("permits")
	w.Int(int64(permits))
	w.BulkString("holders")
	w.Array(len(l.Holds))
	for i := range l.Holds {
		writeHold(w, &l.Holds[i])
	}
	w.BulkString("waiting")
	w.Int(0)
}

func writeHold(w *resp.Writer, h *op.Hold) {
	w.Map(3)
	w.BulkString("owner")
	w.Bulk(h.Owner)
	w.BulkString("token")
	w.Uint(uint64(h.Token))
	w.BulkString("ttl-ms")
	w.Int(h.TTLMilli)
}

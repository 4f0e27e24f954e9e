package commands

import (
	"fmt"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/resp"
)

func lockRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, 1, 1, "RW access update",
		Command{Name: "lock", Arity: -4, Flags: "write denyoom blocking fast", Syntax: "name owner ttl-milliseconds [WAIT wait-milliseconds] [SHARED | PERMITS count]", parse: parseLock,
			Summary: "Takes a lock for a time: the fencing token, or nil if another owner has it. The same owner gets the same token again. WAIT queues for it, first come first served. SHARED: many readers or one owner. PERMITS: so many owners; all name the same number."},
		Command{Name: "unlock", Arity: 3, Flags: "write fast", Syntax: "name owner", Summary: "Gives a lock back: 1, or 0 if that owner does not hold it.", parse: parseUnlock},
		Command{Name: "lockextend", Arity: 4, Flags: "write fast", Syntax: "name owner ttl-milliseconds", Summary: "Makes a lease last for a time from now: the token, or nil if that owner does not hold the lock.", parse: parseLockExtend},
		Command{Name: "lockbreak", Arity: -2, Flags: "write admin", Syntax: "name [owner]", Summary: "For operators: puts one holder of a lock out, or all, and gives how many. The next token is larger.", parse: parseLockBreak},
	)...)
	add(keyed(1, 1, 1, "RO access",
		Command{Name: "lockinfo", Arity: -2, Flags: "readonly fast", Syntax: "name [ASOF time]", Summary: "Who holds a lock: a map of name, mode, permits, holders and waiting; nil if it is free. ASOF tells who held it then.", parse: parseLockInfo})...)
	add(Command{Name: "lockscan", Arity: -2, Flags: "readonly", Syntax: "cursor [MATCH pattern] [COUNT count]", Complexity: scanComplexity,
		Summary: "The names of held locks, page by page, as SCAN.", parse: parseScan(op.SpaceLock)})
	for i := range rows {
		rows[i].KeySpace = op.SpaceLock
	}
	return grouped("locks", "lock", rows)
}

func parseLock(p *parser) request {
	o := &op.LockAcquire{Name: p.name(), Owner: p.name(), TTLMilli: p.ttl()}
	wait, mode := int64(-1), false
	for p.more() {
		switch {
		case wait < 0 && p.is("WAIT"):
			wait = p.waitMilli()
		case !mode && p.is("SHARED"):
			mode, o.Shared = true, true
		case !mode && p.is("PERMITS"):
			mode, o.Permits = true, uint32(p.positive(permitsMax))
		default:
			p.fail(errSyntax)
		}
	}
	r := one(o, replyIntOrNil)
	r.wait = time.Duration(max(wait, 0)) * time.Millisecond
	return r
}

// waitMilli takes the argument of WAIT. 0 is not to wait.
func (p *parser) waitMilli() int64 {
	wait := p.int()
	if wait < 0 {
		p.fail(errTimeoutMinus)
	}
	if most := p.h.limits.LockWaitMilli; wait > most {
		p.fail("ERR wait too long (limit " + itoa(most) + " milliseconds)")
	}
	return max(wait, 0)
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
	name, at := p.name(), asof{}
	if p.more() {
		if !p.is("ASOF") {
			p.fail(errSyntax)
		}
		at = p.asof()
		p.end()
	}
	if at.set {
		return p.asOf(at, one(&op.Version{Name: op.Lock(name), Full: true}, replyLockThen(name)))
	}
	return one(&op.LockInfo{Name: name}, func(w *resp.Writer, a answer) {
		if !a.first().Found || a.first().Lock == nil {
			w.Null()
			return
		}
		writeLock(w, name, a.first().Lock, a.first().Int)
	})
}

// replyLockThen writes a lock as it was at a time. What was left of its leases then is known by the cluster's clock only, which
// is not what ended them.
func replyLockThen(name []byte) replyFunc {
	return func(w *resp.Writer, a answer) {
		if !a.first().Found {
			w.Null()
			return
		}
		l, err := op.DecodeLock(a.first().Value)
		if err != nil {
			w.Error(errorText(fmt.Errorf("%w: lock '%s' can't be read", cluster.ErrFault, shown(name, 128))))
			return
		}
		for i := range l.Holds {
			h := &l.Holds[i]
			h.TTLMilli = max(0, h.TTLMilli-(a.now.UnixMilli()-h.Granted.UnixMilli()))
		}
		writeLock(w, name, &l, 0)
	}
}

func writeLock(w *resp.Writer, name []byte, l *op.LockState, waiting int64) {
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
	w.Int(waiting)
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

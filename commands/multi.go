package commands

import (
	"context"
	"fmt"

	"kahuna/acl"
	"kahuna/op"
)

// queue is what was said since MULTI.
type queue struct {
	requests []request
	lines    []queued  // of the requests
	user     *acl.User // whose rights they were judged by
	bytes    int       // of the arguments
	broken   bool      // a command could not be queued: EXEC answers EXECABORT
}

// enqueue puts a command in the queue of MULTI. An error in its arguments is its own element of EXEC's reply.
func (s *Session) enqueue(x *execution, row *Command, r request) {
	l, q := &s.h.limits, s.multi
	for _, a := range x.args {
		q.bytes += len(a)
	}
	switch {
	case len(q.requests) >= l.QueuedCommands:
		s.refuse(x, fmt.Sprintf("ERR too many commands in MULTI (limit %d)", l.QueuedCommands))
	case q.bytes > l.QueuedBytes:
		s.refuse(x, "ERR "+tooLarge("MULTI", l.QueuedBytes))
	default:
		q.requests = append(q.requests, r)
		q.lines = append(q.lines, queued{row, x.args})
		s.queued.Store(int32(len(q.requests)))
		s.add(x, queuedReply)
	}
}

var queuedReply = request{local: func(c *call) { c.w.SimpleString("QUEUED") }}

// refuse drops what was queued, for EXEC will not run it any more.
func (s *Session) refuse(x *execution, text string) {
	s.multi.broken = true
	s.multi.requests, s.multi.lines = nil, nil
	s.add(x, request{err: text})
}

func (s *Session) dropTransaction() {
	s.multi, s.watched = nil, nil
	s.queued.Store(-1)
	s.watches.Store(0)
}

func directMulti(s *Session, x *execution) {
	if s.multi != nil {
		x.w.Error(errNestedMulti)
		return
	}
	if s.txn != nil {
		x.w.Error(errMultiInBegin)
		return
	}
	s.multi = &queue{user: s.entry.Load().User()}
	s.queued.Store(0)
	x.w.SimpleString("OK")
}

func directDiscard(s *Session, x *execution) {
	if s.multi == nil && s.txn != nil {
		x.w.Error(errNoMultiDrop + ", use ROLLBACK")
		return
	}
	if s.multi == nil {
		x.w.Error(errNoMultiDrop)
		return
	}
	s.dropTransaction()
	x.w.SimpleString("OK")
}

func directWatch(s *Session, x *execution) {
	if s.multi != nil {
		x.w.Error(errWatchInMulti)
		return
	}
	if s.txn != nil {
		x.w.Error(errWatchInBegin)
		return
	}
	if err := s.watch(x.ctx, x.args[1:]); err != nil {
		x.w.Error(errorText(err))
		return
	}
	x.w.SimpleString("OK")
}

// watch remembers the versions of keys. Of a key that is watched already the older version counts.
func (s *Session) watch(ctx context.Context, keys [][]byte) error {
	known := map[string]bool{}
	for _, w := range s.watched {
		known[string(w.Name.Key)] = true
	}
	var ops []op.Op
	p := parser{h: s.h}
	for _, k := range keys {
		if p.checkName(k); p.err != "" {
			return userError(p.err)
		}
		if !known[string(k)] {
			known[string(k)] = true
			ops = append(ops, &op.Version{Name: op.Key(k)})
		}
	}
	if n := s.h.limits.Watches; len(s.watched)+len(ops) > n {
		return userError(fmt.Sprintf("ERR too many watched keys (limit %d)", n))
	}
	out, err := (&call{s: s, d: s.h.backend}).all(ctx, ops)
	if err != nil {
		return err
	}
	for i := range out {
		s.watched = append(s.watched, op.Seen{Name: ops[i].Target(), TS: out[i].TS, Live: out[i].Found})
	}
	return nil
}

func directExec(s *Session, x *execution) {
	q, watched := s.multi, s.watched
	if q == nil {
		x.w.Error(errNoMultiExec)
		return
	}
	s.dropTransaction()
	if q.broken {
		x.w.Error(errExecAbort)
		return
	}
	mark, proto := x.w.Len(), x.w.Proto()
	done, err := s.exec(x, q, watched)
	switch {
	case err != nil:
		x.w.Truncate(mark)
		x.w.SetProto(proto)
		x.w.Error(errorText(err))
	case !done:
		x.w.Truncate(mark)
		x.w.NullArray()
	}
}

// exec writes the array of replies, or tells why there is none.
func (s *Session) exec(x *execution, q *queue, watched []op.Seen) (done bool, err error) {
	all := request{}
	plain := true
	for i := range q.requests {
		q.requests[i] = s.recheck(q, i)
		plain = plain && q.requests[i].plain()
		all.ops = append(all.ops, q.requests[i].ops...)
	}
	if !plain || len(all.ops) == 0 && len(watched) > 0 {
		return s.execSteps(x, q, watched)
	}
	out, done, err := s.execOps(x.ctx, &all, watched)
	if err != nil || !done {
		return done, err
	}
	x.w.Array(len(q.requests))
	s.replyAll(x.ctx, &call{s: s, w: x.w, d: s.h.backend}, q.requests, out)
	return true, nil
}

// execOps runs all operations of a transaction at one point. When all are reads, one snapshot is that point.
func (s *Session) execOps(ctx context.Context, all *request, watched []op.Seen) (out []op.Outcome, done bool, err error) {
	if len(watched) > 0 || !all.readOnly() {
		results, done, err := s.h.backend.Atomic(ctx, all.ops, watched)
		return outcomes(results), done, err
	}
	if len(all.ops) == 0 {
		return nil, true, nil
	}
	at, _, err := s.h.backend.Snapshot(ctx, 0)
	if err != nil {
		return nil, false, err
	}
	out = at.Do(ctx, all.ops)
	for i := range out {
		if out[i].Err != nil {
			return nil, false, out[i].Err
		}
	}
	return out, true, nil
}

// execSteps runs requests of several steps in one transaction. When it is run again, so is the writing of replies.
func (s *Session) execSteps(x *execution, q *queue, watched []op.Seen) (bool, error) {
	mark, proto := x.w.Len(), x.w.Proto()
	return s.transact(x.ctx, watched, func(tx Doer) error {
		x.w.Truncate(mark)
		x.w.SetProto(proto)
		x.w.Array(len(q.requests))
		c := &call{s: s, w: x.w, d: tx, inTxn: true}
		for i := range q.requests {
			r := s.recheck(q, i) // an AUTH before it may have changed the user
			if err := c.element(x.ctx, &r); err != nil {
				return err
			}
		}
		return nil
	})
}

// element executes one request of a transaction; an error that is its own becomes its element of the reply.
func (c *call) element(ctx context.Context, r *request) error {
	mark := c.w.Len()
	err := c.perform(ctx, r)
	if user, ok := err.(userError); ok {
		c.w.Truncate(mark)
		c.w.Error(string(user))
		return nil
	}
	return err
}

func transactionRows() []Command {
	const flags, group = "noscript loading stale fast allow_busy", "transactions"
	rows := []Command{
		{Name: "multi", Arity: 1, Flags: flags, Summary: "Starts a transaction: the commands up to EXEC are queued. They may be about keys, locks and sequences anywhere.",
			Since: "1.2.0", Complexity: "O(1)", direct: directMulti},
		{Name: "exec", Arity: 1, Flags: "noscript loading stale skip_slowlog", Since: "1.2.0", Complexity: "Depends on commands in the transaction", direct: directExec,
			Summary: "Executes all that was queued at one point in time, or nothing: nil when a watched key changed."},
		{Name: "discard", Arity: 1, Flags: flags, Summary: "Drops a transaction.", Since: "2.0.0", Complexity: "O(N), when N is the number of queued commands", direct: directDiscard},
		{Name: "unwatch", Arity: 1, Flags: flags, Summary: "Forgets all watched keys.", Since: "2.2.0", Complexity: "O(1)", parse: parseUnwatch},
	}
	rows = append(rows, keyed(1, -1, 1, "RO", Command{Name: "watch", Arity: -2, Flags: flags, Since: "2.2.0", Complexity: "O(1) for every key.",
		Syntax: "key [key ...]", Summary: "Watches keys: EXEC does nothing when one of them changed. (One that is not there, and is made, deleted and collected after history-retention-ms before EXEC, counts as unchanged.)", direct: directWatch})...)
	for i := range rows {
		rows[i].Group, rows[i].Categories = group, "transaction"
	}
	return rows
}

// parseUnwatch is no direct command: inside MULTI it is queued, and then has nothing left to do.
func parseUnwatch(*parser) request {
	return request{local: func(c *call) {
		c.s.watched = nil
		c.w.SimpleString("OK")
	}}
}

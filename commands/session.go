package commands

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/acl"
	"kahuna/cluster"
	"kahuna/op"
	"kahuna/pubsub"
	"kahuna/resp"
)

// Session is the state of one connection. Serve and Close belong to the connection's goroutine; what other sessions see of it
// (CLIENT LIST) is guarded.
type Session struct {
	h     *Handler
	conn  Conn
	since time.Time

	entry      atomic.Pointer[acl.Entry] // the place of its user
	known      bool                      // it may be that user: it said the password, or needs none
	dismissing atomic.Bool               // it is deleting users: its own connection is not to be cut off
	wasCut     atomic.Bool               // its connection was closed from outside, and is about to end

	multi    *queue                  // nil outside MULTI
	watched  []op.Seen               // keys only, each once
	txn      Txn                     // nil outside BEGIN
	replicas *cluster.ReplicaSession // nil unless READONLY was said
	closing  bool                    // the connection ends after the replies so far

	batch     batch
	suspended *blocked // the command that waits, until Resume

	sub      *pubsub.Subscriber // nil until the first subscription
	subs     [3]atomic.Int32    // subscriptions by kind
	outbox   []pubsub.Message   // published by the transaction that runs
	held     int                // bytes of those
	monitors bool               // in MONITOR
	mute     *mute              // nil unless CLIENT REPLY said OFF or SKIP

	seen    atomic.Int64 // Unix milliseconds of the last command
	command atomic.Pointer[Command]
	proto   atomic.Int32
	queued  atomic.Int32 // commands in MULTI; -1 outside
	watches atomic.Int32
	waits   atomic.Pointer[blocked] // the command that waits; nil: none does
	mu      sync.Mutex              // guards the names
	name    string
	libName string
	libVer  string
}

// execution is one Serve under way.
type execution struct {
	ctx   context.Context
	w     *resp.Writer
	args  [][]byte  // of the command that is being looked at
	began time.Time // when what is executed next began
}

// Request is a command as it arrived.
type Request struct {
	Args    [][]byte // the name and the arguments
	Refused string   // instead of Args: the error for a command that was thrown away, because it was too large
}

// Serve executes commands that arrived together, in order, and writes exactly one reply for each, up to a QUIT. The
// arguments are the session's from then on, the slice cmds is not. It returns false when the connection is to be closed
// after the replies are sent.
func (s *Session) Serve(ctx context.Context, cmds []Request, w *resp.Writer) bool {
	x := &execution{ctx: ctx, w: w, began: s.h.now()}
	w.OnError(s.h.noteError)
	s.seen.Store(x.began.UnixMilli())
	return s.serve(x, cmds)
}

// serve executes commands up to a QUIT, or one that blocks and is resumed later.
func (s *Session) serve(x *execution, cmds []Request) bool {
	for i := range cmds {
		if s.closing {
			break
		}
		x.args = cmds[i].Args
		switch {
		case s.mute != nil:
			s.mute.serve(s, x, cmds[i].Refused)
		case len(x.args) > 0:
			s.accept(x)
		default:
			s.reject(x, cmds[i].Refused)
		}
		if s.suspended != nil {
			s.suspended.rest = slices.Clone(cmds[i+1:])
			return true
		}
	}
	s.flush(x)
	s.proto.Store(int32(x.w.Proto()))
	s.watches.Store(int32(len(s.watched)))
	return !s.closing
}

// Close ends the session. What was queued, watched or written since BEGIN is dropped; nothing of it has taken effect.
func (s *Session) Close() {
	s.dropTransaction()
	s.rollback()
	s.dropSubscriptions()
	s.leaveMonitor()
	s.h.forget(s)
}

// accept takes one command: to the batch, to the queue of MULTI, or executes it.
func (s *Session) accept(x *execution) {
	row, skip, err := s.h.table.resolve(x.args)
	if err != "" {
		s.reject(x, err)
		return
	}
	s.command.Store(row)
	if s.holdBack(x, row) {
		return
	}
	if denied := s.admit(row, x.args); denied != "" {
		s.reject(x, denied)
		return
	}
	if s.listensInRESP2(x.w) && !row.mayWhileListening() {
		s.reject(x, onlyListensText(row))
		return
	}
	if s.multi != nil && row.has("no_multi") {
		s.reject(x, errNoMulti)
		return
	}
	if s.txn != nil && row.has("no_multi") {
		s.add(x, request{err: "ERR " + strings.ToUpper(row.fullName()) + " inside BEGIN is not allowed"})
		return
	}
	if s.conn.Cluster {
		if to := s.redirection(row, x.args); to != "" {
			s.reject(x, to)
			return
		}
	}
	if s.h.monitors.n.Load() > 0 {
		s.h.monitors.feed(s, row, x.args)
	}
	if row.direct != nil {
		s.flush(x)
		row.direct(s, x)
		s.renew()
		s.took(x, x.args, 0)
		return
	}
	r := s.parse(row, x.args[skip:])
	if s.multi != nil {
		s.enqueue(x, row, r)
		return
	}
	if s.txn != nil {
		s.inTxn(x, &r)
		s.renew()
		return
	}
	s.add(x, r)
}

// reject answers a command that is none. Inside MULTI it breaks the transaction; an EXEC with arguments ends it.
func (s *Session) reject(x *execution, err string) {
	if err == "" {
		err = errSyntax
	}
	if s.multi != nil {
		s.multi.broken = true
	}
	if len(x.args) > 0 && equalFold(x.args[0], "EXEC") {
		s.flush(x)
		s.dropTransaction()
		err = "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(err, "ERR ")
	}
	s.add(x, request{err: err})
}

func (s *Session) parse(row *Command, args [][]byte) request {
	p := parser{h: s.h, s: s, row: row, args: args}
	r := row.parse(&p)
	if p.err != "" {
		return request{err: p.err}
	}
	return r
}

// batch is requests that wait to be executed in one call of the Backend.
type batch struct {
	requests []request
	first    [][]byte // the command line of the first of them
	ops      []op.Op
	reads    int // of ops: what they return may be as large as a value each
}

// add executes a request, or lets it wait for those behind it: results are then written in the same order.
func (s *Session) add(x *execution, r request) {
	if r.wait > 0 {
		s.awaitLock(x, &r)
		s.renew()
		return
	}
	if r.changes != nil {
		s.tellChanges(x, r.changes)
		s.renew()
		return
	}
	if r.run != nil || len(r.ops) > 1 {
		s.flush(x)
		s.perform(x, &r)
		return
	}
	b, l := &s.batch, &s.h.limits
	if len(b.requests) == 0 {
		b.first = x.args
	}
	b.requests = append(b.requests, r)
	for _, o := range r.ops {
		b.ops = append(b.ops, o)
		if o.ReadOnly() {
			b.reads++
		}
	}
	if len(b.requests) >= l.BatchOps || b.reads >= l.BatchReads {
		s.flush(x)
	}
}

func (s *Session) perform(x *execution, r *request) {
	mark := x.w.Len()
	c := &call{s: s, w: x.w, d: s.h.backend}
	if err := c.perform(x.ctx, r); err != nil {
		x.w.Truncate(mark)
		x.w.Error(errorText(err))
	}
	s.took(x, x.args, 0)
	s.send(x)
}

// took notes what was executed since it was called last, under its first command and with the number of those behind that.
func (s *Session) took(x *execution, first [][]byte, others int) {
	if s.h.slow.over.Load() < 0 {
		return
	}
	now := s.h.now()
	if took := now.Sub(x.began); took.Microseconds() >= s.h.slow.over.Load() {
		s.h.slow.note(s, first, others, took)
	}
	x.began = now
}

// flush executes the batch and writes its replies.
func (s *Session) flush(x *execution) {
	b := &s.batch
	if len(b.requests) == 0 {
		return
	}
	var out []op.Outcome
	if len(b.ops) > 0 {
		out = s.do(x.ctx, b.ops)
	}
	c := &call{s: s, w: x.w, d: s.h.backend}
	s.replyAll(x.ctx, c, b.requests, out)
	s.took(x, b.first, len(b.requests)-1)
	clear(b.requests)
	clear(b.ops)
	b.requests, b.first, b.ops, b.reads = b.requests[:0], nil, b.ops[:0], 0
	s.send(x)
}

// sendBytes is how many bytes of replies are gathered before those of a long pipeline are sent on the way.
const sendBytes = 1 << 20

// send lets replies go while more are to come, so that a pipeline of large values takes bounded memory. It is called only
// between replies. An error needs no handling: the context has ended then.
func (s *Session) send(x *execution) {
	if x.w.Len() >= sendBytes && s.conn.Flush != nil && s.mute == nil {
		_ = s.conn.Flush()
	}
}

// replyAll writes the replies of plain requests, whose operations have the outcomes out, one after the other.
func (s *Session) replyAll(ctx context.Context, c *call, requests []request, out []op.Outcome) {
	var now op.Timestamp
	for i := range requests {
		r := &requests[i]
		mine := out[:len(r.ops)]
		out = out[len(r.ops):]
		if now == 0 {
			var err error
			if now, err = s.nowFor(ctx, r, mine); err != nil {
				c.w.Error(errorText(err))
				continue
			}
		}
		r.write(c, mine, now)
	}
}

// nowFor asks for the present time if the reply of a request needs it, else it is 0.
func (s *Session) nowFor(ctx context.Context, r *request, out []op.Outcome) (op.Timestamp, error) {
	if !r.clock {
		return 0, nil
	}
	for i := range out {
		if out[i].ExpireAt != 0 {
			return s.h.backend.Timestamps(ctx, 1)
		}
	}
	return 0, nil
}

package commands

import (
	"context"
	"math"
	"time"

	"kahuna/op"
	"kahuna/resp"
	"kahuna/txn/coord"
)

// Txn is an interactive transaction.
type Txn interface {
	// Snapshot is the timestamp that BEGIN answers.
	Snapshot() op.Timestamp
	// Step runs fn on the transaction, once. When fn ends with an error, what it did is taken back and the transaction goes on,
	// unless the error says that it was rolled back.
	Step(ctx context.Context, fn func(d Doer) error) error
	// Commit ends it, with effect at the timestamp that it returns. After an error other than cluster.ErrUncertain there is none.
	Commit(ctx context.Context) (op.Timestamp, error)
	// Rollback ends it without effect, and does nothing when it has ended. It never waits.
	Rollback()
}

func beginRows() []Command {
	const flags = "noscript loading stale fast"
	rows := []Command{
		{Name: "begin", Arity: -1, Flags: flags, Syntax: "[OPTIMISTIC | PESSIMISTIC] [READONLY [ASOF time]] [TIMEOUT milliseconds]", direct: directBegin,
			Summary: "Starts a transaction in which each command runs at once, on one snapshot and with the transaction's own writes: the snapshot's timestamp. OPTIMISTIC locks nothing, and COMMIT tells of conflicts; PESSIMISTIC locks what is read and written, and others wait."},
		{Name: "commit", Arity: 1, Flags: flags, Summary: "Makes all that was written since BEGIN take effect at one point in time: the commit timestamp. After any error the transaction is over, without effect unless the error is UNCERTAIN.", Complexity: "O(N) where N is the number of names read and written", direct: directCommit},
		{Name: "rollback", Arity: 1, Flags: flags, Summary: "Drops all that was written since BEGIN.", direct: directRollback},
		{Name: "txnstatus", Arity: 2, Flags: "readonly fast", Syntax: "start-timestamp", parse: parseTxnStatus,
			Summary: "What became of the transaction whose BEGIN answered that timestamp: committed and when, aborted, pending, or unknown when it is too long ago."},
	}
	for i := range rows {
		rows[i].Group, rows[i].Categories = "transactions", "transaction"
		if rows[i].Complexity == "" {
			rows[i].Complexity = "O(1)"
		}
	}
	return rows
}

func directBegin(s *Session, x *execution) {
	switch {
	case s.multi != nil:
		s.multi.broken = true
		x.w.Error(errBeginInMulti)
		return
	case s.txn != nil:
		x.w.Error(errNestedBegin)
		return
	}
	p := parser{h: s.h, s: s, args: x.args[1:]}
	o, at := p.beginOptions()
	if p.err != "" {
		x.w.Error(p.err)
		return
	}
	txn, err := s.begin(x.ctx, o, at)
	if err != nil {
		x.w.Error(errorText(err))
		return
	}
	s.txn = txn
	x.w.Uint(uint64(txn.Snapshot()))
}

func (s *Session) begin(ctx context.Context, o coord.BeginOptions, at asof) (txn Txn, err error) {
	if at.set {
		if o.AsOf, err = s.h.resolveAsOf(ctx, at); err != nil {
			return nil, err
		}
	}
	return s.h.backend.Begin(ctx, o)
}

func (p *parser) beginOptions() (o coord.BeginOptions, at asof) {
	mode := false
	for p.more() {
		switch {
		case !mode && p.is("OPTIMISTIC"):
			mode = true
		case !mode && p.is("PESSIMISTIC"):
			mode, o.Pessimistic = true, true
		case !o.ReadOnly && p.is("READONLY"):
			if o.ReadOnly = true; p.is("ASOF") {
				at = p.asof()
			}
		case o.Timeout == 0 && p.is("TIMEOUT"):
			o.Timeout = time.Duration(p.positive(math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		default:
			p.fail(errSyntax)
		}
	}
	return o, at
}

func directCommit(s *Session, x *execution) {
	txn := s.endTxn(x, errNoBeginCommit)
	if txn == nil {
		return
	}
	at, err := txn.Commit(x.ctx)
	if err != nil {
		s.outbox = nil
		x.w.Error(errorText(err))
		return
	}
	s.publishAll()
	x.w.Uint(uint64(at))
}

func directRollback(s *Session, x *execution) {
	if txn := s.endTxn(x, errNoRollback); txn != nil {
		txn.Rollback()
		s.outbox = nil
		x.w.SimpleString("OK")
	}
}

// endTxn gives the transaction that a command ends; nil, with the error written, when there is none.
func (s *Session) endTxn(x *execution, none string) Txn {
	txn := s.txn
	if s.txn = nil; txn == nil {
		if s.multi != nil {
			s.multi.broken = true
		}
		x.w.Error(none)
	}
	return txn
}

// rollback drops the transaction of BEGIN, if there is one.
func (s *Session) rollback() {
	if s.txn != nil {
		s.txn.Rollback()
		s.txn, s.outbox = nil, nil
	}
}

// inTxn executes a request in the transaction of BEGIN.
func (s *Session) inTxn(x *execution, r *request) {
	s.flush(x)
	mark, proto, sent := x.w.Len(), x.w.Proto(), len(s.outbox)
	err := s.step(x, r)
	if err != nil {
		s.takeBack(sent)
		x.w.Truncate(mark)
		x.w.SetProto(proto)
		x.w.Error(errorText(err))
	}
	s.send(x)
}

func (s *Session) step(x *execution, r *request) error {
	if r.err != "" || r.local != nil {
		return (&call{s: s, w: x.w, d: s.h.backend, inTxn: true}).perform(x.ctx, r)
	}
	return s.txn.Step(x.ctx, func(d Doer) error {
		return (&call{s: s, w: x.w, d: d, inTxn: true}).perform(x.ctx, r)
	})
}

func parseTxnStatus(p *parser) request {
	start := op.Timestamp(p.positive(int64(op.MaxTimestamp)))
	return request{run: func(ctx context.Context, c *call) error {
		status, err := c.s.h.backend.TxnStatus(ctx, start)
		if err == nil {
			writeTxnStatus(c.w, status)
		}
		return err
	}}
}

func writeTxnStatus(w *resp.Writer, status coord.Status) {
	w.Array(2)
	switch status.State {
	case op.TxnCommitted:
		w.BulkString("committed")
		w.Uint(uint64(status.At))
		return
	case op.TxnAborted:
		w.BulkString("aborted")
	case op.TxnPending:
		w.BulkString("pending")
	default:
		w.BulkString("unknown")
	}
	w.Null()
}

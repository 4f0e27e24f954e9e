package coord

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

var errTooLarge = cluster.ErrTooLarge

// commit makes the transaction's writes happen at one timestamp, which it returns, or none of them. What only read happens at S,
// which lies between the call and the answer.
func (t *tx) commit(ctx context.Context) (op.Timestamp, error) {
	var writes []op.Write
	var reads []op.Seen
	for _, n := range t.order {
		if n.written {
			writes = append(writes, n.write())
		} else {
			reads = append(reads, n.seen)
		}
	}
	if len(writes) == 0 {
		return t.snap, nil
	}
	p := &commit{t: t, ctx: ctx, home: writes[0].Name, writes: writes, reads: reads}
	if t.home != nil {
		p.home = *t.home
	}
	if err := t.confirmLocks(ctx); err != nil {
		return 0, err
	}
	at, err := p.prepare()
	if err != nil {
		p.abandon()
		return 0, err
	}
	return at, p.decide(at)
}

// commit is one two-phase commit under way.
type commit struct {
	t      *tx
	ctx    context.Context
	home   op.Name
	writes []op.Write
	reads  []op.Seen
}

// prepare lays the intents, takes the commit timestamp and checks the reads. An error leaves intents behind, to be abandoned.
func (p *commit) prepare() (at op.Timestamp, err error) {
	if err := p.prewrite(); err != nil {
		return 0, err
	}
	if at, err = p.t.c.router.Now(p.ctx, 1); err != nil {
		return 0, err
	}
	if p.t.expired(at) {
		return 0, ErrConflict
	}
	return at, p.check(at)
}

// prewrite lays the intents of all partitions, the home's with the record. It is one operation for each partition.
func (p *commit) prewrite() error {
	t := p.t
	deadline, err := p.deadline()
	if err != nil {
		return err
	}
	home := t.c.router.Partition(p.home)
	byPart := group(p.writes, func(w op.Write) uint32 { return t.c.router.Partition(w.Name) })
	at := slices.IndexFunc(byPart, func(ws []op.Write) bool { return t.c.router.Partition(ws[0].Name) == home })
	if at < 0 {
		at, byPart = 0, slices.Insert(byPart, 0, nil)
	}
	ops := make([]op.Op, len(byPart))
	for i, ws := range byPart {
		o := op.Prewrite{Txn: t.start, Home: p.home, Writes: ws}
		if i == at {
			o.AtHome, o.Deadline, o.Names = true, deadline, p.names()
		}
		if n := op.Size(&o); n > t.c.o.BytesMax {
			return fmt.Errorf("%w: the transaction is too large (%d bytes in one partition, limit %d bytes)", errTooLarge, n, t.c.o.BytesMax)
		}
		ops[i] = t.prewriteOp(o)
	}
	t.prewritten = true
	return ended(t.c.router.Try(p.ctx, ops))
}

func (t *tx) prewriteOp(o op.Prewrite) op.Op {
	if t.snap != t.start {
		return &op.PrewriteSince{Prewrite: o, Snapshot: t.snap}
	}
	return &o
}

// deadline is until when the decision has to be made: counted from the start, unless much of that time is gone already. That of an
// interactive transaction is never later than Status and those who remove old records count on, however late its COMMIT comes.
func (p *commit) deadline() (op.Timestamp, error) {
	from, patience := p.t.start, p.t.c.o.Deadline
	if p.t.home != nil || time.Since(p.t.began) > patience/4 {
		now, err := p.t.c.router.Now(p.ctx, 1)
		if err != nil {
			return 0, err
		}
		from = now
	}
	deadline := from.Add(patience.Milliseconds())
	if p.t.home != nil {
		deadline = min(deadline, p.t.c.lastDeadline(p.t.start))
	}
	return deadline, nil
}

// ended is the error of a step that has to be Done everywhere. An uncertain end of one is not one of the transaction: without
// Decide it can't take effect.
func ended(out []op.Outcome) error {
	for i := range out {
		switch {
		case errors.Is(out[i].Err, cluster.ErrParted):
			return ErrConflict // it is run again, and made anew for the partitions of then
		case errors.Is(out[i].Err, cluster.ErrUncertain):
			return fmt.Errorf("%w: the transaction could not be prepared", cluster.ErrTryAgain)
		case out[i].Err != nil:
			return out[i].Err
		case out[i].Status == op.TooLarge:
			return fmt.Errorf("%w: the transaction is too large: what it writes in one partition does not fit a log entry", errTooLarge)
		case !out[i].Done:
			return ErrConflict
		}
	}
	return nil
}

func (p *commit) names() []op.Name {
	names := make([]op.Name, len(p.writes))
	for i := range p.writes {
		names[i] = p.writes[i].Name
	}
	return names
}

// check verifies at the commit timestamp what was read and not written.
func (p *commit) check(at op.Timestamp) error {
	ops := p.t.checks(p.reads, at)
	if len(ops) == 0 {
		return nil
	}
	return ended(p.t.c.router.ReadAt(p.ctx, at, ops, false))
}

// checkReads is how many names one Check is about at most.
const checkReads = 1024

// checks are the operations that verify that what was read, and all ranges scanned, are still as they were.
func (t *tx) checks(reads []op.Seen, at op.Timestamp) (ops []op.Op) {
	for _, part := range group(reads, func(s op.Seen) uint32 { return t.c.router.Partition(s.Name) }) {
		for seen := range slices.Chunk(part, checkReads) {
			ops = append(ops, &op.Check{Txn: t.start, Reads: seen, At: at})
		}
	}
	for _, s := range t.scans {
		for _, cut := range t.cut(s) {
			o := op.Check{Txn: t.start, Scans: []op.ScanSeen{cut}, At: at}
			if t.snap != t.start {
				ops = append(ops, &op.CheckSince{Check: o, Snapshot: t.snap})
			} else {
				ops = append(ops, &o)
			}
		}
	}
	return ops
}

// cut cuts a range at the borders of partitions.
func (t *tx) cut(s op.ScanSeen) (parts []op.ScanSeen) {
	for _, part := range t.c.router.State().Parts(s.From, s.To) {
		s.From, s.To = part.From, part.To
		parts = append(parts, s)
	}
	return parts
}

// decide is the commit point.
func (p *commit) decide(at op.Timestamp) error {
	out := p.t.c.router.Do(p.ctx, []op.Op{&op.Decide{Txn: p.t.start, Home: p.home, At: at}})[0]
	switch {
	case errors.Is(out.Err, cluster.ErrUncertain), out.Err == nil && !out.Done && out.Status != op.Aborted:
		return p.recover()
	case out.Err != nil:
		p.abandon()
		return out.Err
	case out.Status == op.Aborted:
		p.background(func(ctx context.Context) { p.resolve(ctx, false, 0) })
		return ErrConflict
	}
	p.background(func(ctx context.Context) { p.resolve(ctx, true, at) })
	return nil
}

// recover finds out what became of a decision whose end was not seen, by asking the record for the opposite.
func (p *commit) recover() error {
	out := p.t.c.router.Do(p.t.c.ctx, []op.Op{&op.Settle{Txn: p.t.start, Home: p.home, Abort: true}})[0]
	if out.Err != nil {
		return fmt.Errorf("%w: the decision of the transaction was sent to the log but its end was not seen", cluster.ErrUncertain)
	}
	if out.Txn.Status == op.TxnCommitted {
		at := out.Txn.At
		p.background(func(ctx context.Context) { p.resolve(ctx, true, at) })
		return nil
	}
	if out.Txn.Deadline == 0 {
		// The record was there when the decision was sent. Somebody has ended the transaction and removed it since.
		return fmt.Errorf("%w: the transaction has ended, but how was not seen", cluster.ErrUncertain)
	}
	p.background(func(ctx context.Context) { p.resolve(ctx, false, 0) })
	return fmt.Errorf("%w: the transaction was ended as aborted", cluster.ErrTryAgain)
}

// abandon ends a transaction that will not be decided, so that nobody has to wait for its deadline.
func (p *commit) abandon() {
	p.background(func(ctx context.Context) {
		out := p.t.c.router.Do(ctx, []op.Op{&op.Settle{Txn: p.t.start, Home: p.home, Abort: true}})[0]
		if out.Err == nil && out.Txn.Status == op.TxnAborted {
			p.resolve(ctx, false, 0)
		}
	})
}

// resolve ends all intents as the record says, then removes the record.
func (p *commit) resolve(ctx context.Context, committed bool, at op.Timestamp) {
	p.t.c.resolve(ctx, p.t.start, p.home, p.names(), committed, at)
}

func (p *commit) background(f func(ctx context.Context)) { p.t.c.background(f) }

// group puts elements together by partition, each group and the groups in the order of their first elements.
func group[T any](all []T, of func(T) uint32) (groups [][]T) {
	at := map[uint32]int{}
	for _, v := range all {
		id := of(v)
		i, ok := at[id]
		if !ok {
			i = len(groups)
			at[id] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], v)
	}
	return groups
}

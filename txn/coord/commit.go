package coord

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kahuna/cluster"
	"kahuna/op"
)

var errTooLarge = cluster.ErrTooLarge

// commit makes the transaction's writes happen at one timestamp, or none of them.
func (t *tx) commit(ctx context.Context) error {
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
		return nil // what was read is the snapshot at S, which lies between the call and the answer
	}
	if err := t.limits(writes); err != nil {
		return err
	}
	p := &commit{t: t, ctx: ctx, home: writes[0].Name, writes: writes, reads: reads}
	at, err := p.prepare()
	if err != nil {
		p.abandon()
		return err
	}
	return p.decide(at)
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
	byPart := group(p.writes, func(w op.Write) uint32 { return p.t.c.router.Partition(w.Name) })
	ops := make([]op.Op, len(byPart))
	for i, ws := range byPart {
		o := &op.Prewrite{Txn: p.t.start, Home: p.home, Writes: ws}
		if i == 0 { // the home name is the first write
			o.AtHome = true
			o.Deadline = p.t.start.Add(p.t.c.o.Deadline.Milliseconds())
			o.Names = p.names()
		}
		if n := op.Size(o); n > p.t.c.o.BytesMax {
			return fmt.Errorf("%w: the transaction is too large (%d bytes in one partition, limit %d bytes)", errTooLarge, n, p.t.c.o.BytesMax)
		}
		ops[i] = o
	}
	return ended(p.t.c.router.Try(p.ctx, ops))
}

// ended is the error of a step that has to be Done everywhere. An uncertain end of one is not one of the transaction: without
// Decide it can't take effect.
func ended(out []op.Outcome) error {
	for i := range out {
		switch {
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
	var ops []op.Op
	for _, seen := range group(p.reads, func(s op.Seen) uint32 { return p.t.c.router.Partition(s.Name) }) {
		ops = append(ops, &op.Check{Txn: p.t.start, Reads: seen, At: at})
	}
	for _, s := range p.t.scans {
		for _, part := range p.t.c.router.State().Parts(s.From, s.To) {
			cut := s
			cut.From, cut.To = part.From, part.To
			ops = append(ops, &op.Check{Txn: p.t.start, Scans: []op.ScanSeen{cut}, At: at})
		}
	}
	if len(ops) == 0 {
		return nil
	}
	return ended(p.t.c.router.ReadAt(p.ctx, at, ops, false))
}

// decide is the commit point.
func (p *commit) decide(at op.Timestamp) error {
	out := p.t.c.router.Do(p.ctx, []op.Op{&op.Decide{Txn: p.t.start, Home: p.home, At: at}})[0]
	switch {
	case errors.Is(out.Err, cluster.ErrUncertain):
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

// resolveTimeout bounds the work after a transaction's end. What it does not come to is done by whoever meets it.
const resolveTimeout = 30 * time.Second

func (p *commit) background(f func(ctx context.Context)) {
	p.t.c.running.Add(1)
	go func() {
		defer p.t.c.running.Done()
		ctx, cancel := context.WithTimeout(p.t.c.ctx, resolveTimeout)
		defer cancel()
		f(ctx)
	}()
}

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

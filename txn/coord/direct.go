package coord

import (
	"context"
	"errors"
	"fmt"

	"kahuna/cluster"
	"kahuna/op"
)

// direct runs operations that are known beforehand as one transaction over several partitions, each part where its names are. It needs
// no snapshot, nor a check of what was read:
//
//	prepare all parts but the home's, in parallel: each runs on what is current and leaves intents, also where it only read
//	run the home's part, in the same entry as the record that says committed: the commit point, and the entry's time is C
//	resolve the intents, then forget the record, in the background
//
// Between its part's entry and C nobody else writes what a part has seen, and the home's part runs at C, so all of them might have run at
// C. C was taken after all intents were laid, so a reader at a later time meets them or their outcome. Until there is a record, whoever
// meets an intent waits, and then makes one that says aborted, which the home's part does not get past.
func (c *Coordinator) direct(ctx context.Context, ops []op.Op, watches []op.Seen) (results []op.Result, done bool, err error) {
	err = c.retried(ctx, func() error {
		start, err := c.router.Now(ctx, 1)
		if err != nil {
			return err
		}
		d := &direct{c: c, ctx: ctx, start: start, deadline: start.Add(c.o.Deadline.Milliseconds())}
		d.split(ops, watches)
		results, done, err = d.run(len(ops))
		return err
	})
	return results, done, err
}

// known tells whether operations can run where their names are: all are about names, and one writes.
func known(ops []op.Op) bool {
	writes := false
	for _, o := range ops {
		if !onNames(o) {
			return false
		}
		writes = writes || !o.ReadOnly()
	}
	return writes
}

// direct is one attempt.
type direct struct {
	c        *Coordinator
	ctx      context.Context
	start    op.Timestamp // the transaction's id
	deadline op.Timestamp
	parts    []part // that are not at home
	home     part
	names    []op.Name // of intents
	ends     op.Timestamp
}

// part is what a transaction does in one partition: operations, and where their results go.
type part struct {
	id    uint32
	multi op.Multi
	index []int
}

// split divides the operations by partition. Home is the first one that is written in.
func (d *direct) split(ops []op.Op, watches []op.Seen) {
	parts, at := []*part(nil), map[uint32]*part{}
	of := func(n op.Name) *part {
		id := d.c.router.Partition(n)
		if at[id] == nil {
			at[id] = &part{id: id}
			parts = append(parts, at[id])
		}
		return at[id]
	}
	var home *part
	for i, o := range ops {
		p := of(o.Target())
		p.multi.Ops, p.index = append(p.multi.Ops, o), append(p.index, i)
		if home == nil && !o.ReadOnly() {
			home = p
		}
	}
	for _, w := range watches {
		p := of(w.Name)
		p.multi.Watches = append(p.multi.Watches, w)
	}
	for _, p := range parts {
		if p == home {
			d.home = *p
		} else {
			d.parts = append(d.parts, *p)
		}
	}
}

func (d *direct) homeName() op.Name { return d.home.multi.Ops[0].Target() }

// run runs all parts. done is false, and nothing was changed, when a watch does not hold.
func (d *direct) run(count int) (results []op.Result, done bool, err error) {
	results = make([]op.Result, count)
	held, err := d.prepare(results)
	if err != nil || !held {
		d.abandon()
		return nil, false, err
	}
	out := d.c.router.Try(d.ctx, []op.Op{&op.CommitMulti{Multi: d.home.multi, Txn: d.start, Home: d.homeName(),
		Deadline: d.deadline, Ends: d.ends, Names: d.names}})[0]
	if errors.Is(out.Err, cluster.ErrUncertain) {
		return nil, false, d.recover()
	}
	if held, err = verdict(&out); err != nil || !held {
		d.abandon()
		return nil, false, err
	}
	d.home.put(results, out.Sub)
	d.c.background(func(ctx context.Context) { d.c.resolve(ctx, d.start, d.homeName(), d.names, true, out.TS) })
	return results, true, nil
}

// prepare runs the parts that are not at home.
func (d *direct) prepare(results []op.Result) (held bool, err error) {
	ops := make([]op.Op, len(d.parts))
	for i := range d.parts {
		ops[i] = &op.Prepare{Multi: d.parts[i].multi, Txn: d.start, Home: d.homeName()}
	}
	held = true
	for i, out := range d.c.router.Try(d.ctx, ops) {
		if out.Txn != nil {
			d.names = append(d.names, out.Txn.Names...)
		}
		holds, failed := verdict(&out)
		held, err = held && holds, errors.Join(err, failed)
		if out.ExpireAt > 0 && (d.ends == 0 || out.ExpireAt < d.ends) {
			d.ends = out.ExpireAt
		}
		d.parts[i].put(results, out.Sub)
	}
	return held, err
}

func (p *part) put(results, sub []op.Result) {
	for k := range sub {
		results[p.index[k]] = sub[k]
	}
}

// verdict tells whether a part has run; if not, a watch does not hold. Without the home's part no other takes effect, so that the end of
// one was not seen is not uncertain.
func verdict(out *op.Outcome) (held bool, err error) {
	switch {
	case errors.Is(out.Err, cluster.ErrParted):
		return false, ErrConflict // it is run again, in the partitions of then
	case errors.Is(out.Err, cluster.ErrUncertain):
		return false, fmt.Errorf("%w: the transaction could not be prepared", cluster.ErrTryAgain)
	case out.Err != nil:
		return false, out.Err
	case out.Status == op.TooLarge:
		return false, fmt.Errorf("%w: the transaction is too large: what it writes in one partition does not fit a log entry", errTooLarge)
	case out.Status != op.OK:
		return false, ErrConflict
	}
	return out.Done, nil
}

// abandon removes the intents of a transaction whose home's part was not sent or did not run. Nobody will run it, so there needs to
// be no record. An intent that is laid yet is removed by whoever meets it.
func (d *direct) abandon() {
	var names []op.Name
	for _, p := range d.parts {
		names = append(names, p.names()...)
	}
	d.c.background(func(ctx context.Context) { d.c.resolveAll(ctx, d.start, names, false, 0) })
}

func (p *part) names() (names []op.Name) {
	for _, o := range p.multi.Ops {
		names = append(names, o.Target())
	}
	for _, w := range p.multi.Watches {
		names = append(names, w.Name)
	}
	return names
}

// recover finds out what became of a transaction whose home's part was sent and not seen to end, by asking for a record that says aborted.
// That one stays: the home's part may still be on its way.
func (d *direct) recover() error {
	out := d.c.router.Do(d.c.ctx, []op.Op{&op.Settle{Txn: d.start, Home: d.homeName(), Abort: true}})[0]
	if out.Err != nil {
		return fmt.Errorf("%w: the commit of the transaction was sent to the log but its end was not seen", cluster.ErrUncertain)
	}
	committed, at := out.Txn.Status == op.TxnCommitted, out.Txn.At
	if committed {
		d.c.background(func(ctx context.Context) { d.c.resolve(ctx, d.start, d.homeName(), d.names, true, at) })
		return fmt.Errorf("%w: the transaction took effect, but its replies are lost", cluster.ErrUncertain)
	}
	// A record that says committed is not removed by others before its deadline.
	if now, err := d.c.router.Now(d.c.ctx, 1); err != nil || now > d.deadline {
		return fmt.Errorf("%w: the transaction has ended, but how was not seen", cluster.ErrUncertain)
	}
	d.c.background(func(ctx context.Context) { d.c.resolveAll(ctx, d.start, d.names, false, 0) })
	return fmt.Errorf("%w: the transaction was ended as aborted", cluster.ErrTryAgain)
}

package coord

import (
	"context"

	"kahuna/op"
)

// Status is what became of an interactive transaction. State 0 means that it is not known: it is too long ago, or none began then.
type Status struct {
	State op.TxnStatus
	At    op.Timestamp // committed: when
}

// Status tells what became of the interactive transaction that began at start, on any node. What it says is final, unless it is
// pending. A transaction of another node that was rolled back before its COMMIT, or has written nothing, may be pending for as
// long as a transaction may last, and then is aborted.
func (c *Coordinator) Status(ctx context.Context, start op.Timestamp) (Status, error) {
	if s, ok := c.known(start); ok {
		return s, nil
	}
	home := op.TxnHome(start)
	out := c.router.Do(ctx, []op.Op{&op.TxnRead{Txn: start, Home: home}})[0]
	if out.Err != nil {
		return Status{}, out.Err
	}
	now, err := c.router.Now(ctx, 1) // after the record was looked for: if it had been removed by then, it is old by this
	if err != nil {
		return Status{}, err
	}
	if !out.Found {
		return c.withoutRecord(start, now), nil
	}
	if out.Txn.Status == op.TxnPending && now > out.Txn.Deadline {
		if out = c.router.Do(ctx, []op.Op{&op.Settle{Txn: start, Home: home}})[0]; out.Err != nil {
			return Status{}, out.Err
		}
	}
	return Status{out.Txn.Status, out.Txn.At}, nil
}

// withoutRecord judges a transaction that has none by its age.
func (c *Coordinator) withoutRecord(start, now op.Timestamp) Status {
	switch {
	case start == 0 || start > now || now > start.Add(c.o.RecordsKept.Milliseconds()):
		return Status{}
	case now <= c.lastDeadline(start):
		return Status{State: op.TxnPending}
	}
	return Status{State: op.TxnAborted}
}

// lastDeadline is after when an interactive transaction that began at start can't be decided any more, whatever node it is of.
func (c *Coordinator) lastDeadline(start op.Timestamp) op.Timestamp {
	return start.Add((TimeoutLimit + c.o.Deadline).Milliseconds())
}

// ending is how a transaction ended on this node: committed at a timestamp, or rolled back.
type ending struct {
	committed bool
	at        op.Timestamp
}

// recent remembers the endings of the last transactions, the oldest of which makes room for the next.
type recent struct {
	ends  map[op.TxnID]ending
	order []op.TxnID // a ring
	next  int
}

const recentMax = 4096

func (c *Coordinator) remember(start op.TxnID, e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.recent
	if r.ends == nil {
		r.ends = map[op.TxnID]ending{}
	}
	if len(r.order) < recentMax {
		r.order = append(r.order, start)
	} else {
		delete(r.ends, r.order[r.next])
		r.order[r.next] = start
		r.next = (r.next + 1) % recentMax
	}
	r.ends[start] = e
}

// known is the status of a transaction of this node.
func (c *Coordinator) known(start op.TxnID) (Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[start] != nil {
		return Status{State: op.TxnPending}, true
	}
	e, ok := c.recent.ends[start]
	switch {
	case !ok:
		return Status{}, false
	case e.committed:
		return Status{op.TxnCommitted, e.at}, true
	}
	return Status{State: op.TxnAborted}, true
}

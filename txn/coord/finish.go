package coord

import (
	"context"
	"time"

	"kahuna/cluster"
	"kahuna/internal/clock"
	"kahuna/op"
)

// finishInterval is how often transactions are looked for whose coordinators died.
const finishInterval = 5 * time.Second

// finishLeft ends transactions whose coordinators died, so that nothing of them stays, until the Coordinator is closed.
func (c *Coordinator) finishLeft() {
	for clock.Pause(c.ctx, finishInterval) {
		ctx, cancel := context.WithTimeout(c.ctx, resolveTimeout)
		left, err := c.o.Left(ctx)
		cancel()
		if err != nil {
			continue // no clock, or a store that has failed and says so itself
		}
		for _, t := range left {
			c.finish(t)
		}
	}
}

// finish ends one transaction the way its record says, or as aborted when that says nothing.
func (c *Coordinator) finish(t cluster.Transaction) {
	ctx, cancel := context.WithTimeout(c.ctx, resolveTimeout)
	defer cancel()
	out := c.router.Do(ctx, []op.Op{&op.Settle{Txn: t.ID, Home: t.Home}})[0]
	if out.Err != nil || out.Txn.Status == op.TxnPending {
		return
	}
	names := out.Txn.Names // all of them, while t may have been found by a single intent
	if len(names) == 0 {
		names = t.State.Names // there was no record, so it is aborted, whoever meets what else it has left
	}
	c.resolve(ctx, t.ID, t.Home, names, out.Txn.Status == op.TxnCommitted, out.Txn.At)
}

// resolve ends all intents of a transaction as its record says, then removes the record. It goes on while ctx lasts.
func (c *Coordinator) resolve(ctx context.Context, id op.TxnID, home op.Name, names []op.Name, committed bool, at op.Timestamp) {
	if c.resolveAll(ctx, id, names, committed, at) {
		c.router.Do(ctx, []op.Op{&op.Forget{Txn: id, Home: home}})
	}
}

// resolveAll ends all intents of a transaction. It goes on while ctx lasts, and tells whether it got to the end.
func (c *Coordinator) resolveAll(ctx context.Context, id op.TxnID, names []op.Name, committed bool, at op.Timestamp) bool {
	for wait := resolvePause; len(names) > 0; {
		byPart := group(names, c.router.Partition)
		ops := make([]op.Op, len(byPart))
		for i, part := range byPart {
			ops[i] = &op.Resolve{Txn: id, Names: part, Committed: committed, At: at}
		}
		left, ended := unresolved(ops, c.router.Do(ctx, ops))
		switch names = left; {
		case ended:
			wait = resolvePause
		case len(names) > 0 && !clock.Pause(ctx, wait):
			return false
		default:
			wait = min(2*wait, time.Second)
		}
	}
	return true
}

// resolvePause is after how long a resolution that came to nothing is sent again, doubling.
const resolvePause = 20 * time.Millisecond

// unresolved are the names of resolutions that have to be sent again: they did not get there, or were more than one log entry takes, or
// their partition was split meanwhile. ended tells whether any intent was ended.
func unresolved(ops []op.Op, out []op.Outcome) (left []op.Name, ended bool) {
	for i := range out {
		if out[i].Err != nil || !out[i].Done {
			left = append(left, ops[i].(*op.Resolve).Names...)
		}
		ended = ended || out[i].Err == nil && out[i].Int > 0
	}
	return left, ended
}

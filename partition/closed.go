package partition

import (
	"context"
	"errors"
	"time"

	"kahuna/op"
	"kahuna/raftgroup"
)

// Replica reads. A follower answers reads at a closed timestamp: one at or below which its state has everything, and nothing will be
// added. It asks the leader for one now and then, while somebody reads from it; and the entries that it applies bear timestamps that
// rise along the log, so that the last of them is closed too.
//
// Invariants: what is read is the state after some prefix of the log, judged at one timestamp, and both only grow on one replica. No
// entry that is not in that prefix has a timestamp at or below it: the leader raises its floor to it, waits for what is in flight,
// and has its leadership confirmed after that, so that a later leader starts above it. An intent that might commit at or below it
// is not read past (the read goes to the leader, who settles it). How old the answer is, is measured on this node's own
// monotonic clock from before the leader was asked.

// closed is what a replica was told: its state is complete up to at, as soon as it has applied the entry at index.
type closed struct {
	at    op.Timestamp
	index uint64
	asOf  time.Duration // on the monotonic clock: at is above every timestamp that was given out before this moment
}

// CloseAt closes a fresh timestamp on the leader: from now on nothing is written at or below it, and all that was is in the state at
// the index that it returns. The errors are those of Read.
func (r *Replica) CloseAt(ctx context.Context, at op.Timestamp) (index uint64, err error) {
	if r.term.Load() == 0 {
		return 0, ErrNotLeader
	}
	if err := r.floor.raise(ctx, at); err != nil {
		return 0, err
	}
	if err := r.group.ReadIndex(ctx); err != nil {
		if errors.Is(err, raftgroup.ErrNotLeader) || errors.Is(err, raftgroup.ErrNotReady) {
			return 0, ErrNotLeader
		}
		return 0, err
	}
	return r.machine.Applied(), nil
}

// Closed takes over what the leader has answered to a question that was asked at asOf, when this replica has applied so much. An
// error: it had not when ctx ended.
func (r *Replica) Closed(ctx context.Context, at op.Timestamp, index uint64, asOf time.Duration) error {
	if r.machine.Applied() < index {
		if err := r.group.Reached(ctx, index); err != nil {
			return err
		}
	}
	fresh := &closed{at, index, asOf}
	for {
		old := r.closed.Load()
		if old != nil && old.asOf >= asOf || r.closed.CompareAndSwap(old, fresh) {
			return nil
		}
	}
}

// ClosedAsOf is the moment on the monotonic clock as of which this replica's state is known to be complete; false: it is not known.
func (r *Replica) ClosedAsOf() (asOf time.Duration, known bool) {
	if c := r.closed.Load(); c != nil {
		return c.asOf, true
	}
	return 0, false
}

// ReadClosed runs reads on this replica's own state, all at one timestamp, which the clock gave out at since or later. False: they are for the
// leader; none was answered.
func (r *Replica) ReadClosed(since time.Duration, ops []op.Op) (results []op.Result, ok bool) {
	c := r.closed.Load()
	restored, whole := r.machine.Whole()
	state := r.machine.State()
	if c == nil || c.asOf < since || !whole || state.Index < c.index {
		return nil, false
	}
	snap := r.cfg.Store.Snapshot()
	defer snap.Close()
	if again, whole := r.machine.Whole(); !whole || again != restored {
		return nil, false
	}
	at := max(c.at, state.Last)
	results = make([]op.Result, len(ops))
	for i, o := range ops {
		res, err := r.machine.Read(snap, at, o)
		if err != nil || res.Status != op.OK {
			return nil, false
		}
		results[i] = res
	}
	return results, true
}

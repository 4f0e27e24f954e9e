package partition

import (
	"context"
	"errors"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/raftgroup"
	"kahuna/storage"
)

// Read runs read-only operations on one state: the current one for mvcc.Latest, which is linearizable, else the one at a
// timestamp, which must have been given out by the clock before.
func (r *Replica) Read(ctx context.Context, at op.Timestamp, ops []op.Op) ([]op.Result, error) {
	if r.term.Load() == 0 {
		return nil, ErrNotLeader
	}
	all := r.stats.reads.Add(uint64(len(ops)))
	r.meter.sample(all-uint64(len(ops)), all, ops)
	if o, ok := ops[0].(*op.Advise); ok && len(ops) == 1 {
		res, err := r.advise(ctx, o)
		return []op.Result{res}, err
	}
	results, err := r.read(ctx, at, ops)
	if _, ok := ops[0].(*op.Changes); ok && err == nil {
		r.noteRecent(ctx, r.term.Load())
	}
	if !errors.Is(err, mvcc.ErrNeedsTime) {
		return results, err
	}
	if at, err = r.cfg.Stamper.Next(ctx, 1); err != nil {
		return nil, errors.Join(ErrNoClock, err)
	}
	return r.read(ctx, at, ops)
}

func (r *Replica) read(ctx context.Context, at op.Timestamp, ops []op.Op) ([]op.Result, error) {
	restores, term := r.machine.Restores(), r.term.Load()
	if at != mvcc.Latest {
		if err := r.floor.raise(ctx, at); err != nil {
			return nil, err
		}
	}
	if err := r.group.ReadIndex(ctx); err != nil {
		if errors.Is(err, raftgroup.ErrNotLeader) || errors.Is(err, raftgroup.ErrNotReady) {
			return nil, ErrNotLeader
		}
		return nil, err
	}
	if at == mvcc.Latest {
		if results, ok := r.machine.ReadCached(ops); ok {
			for i, o := range ops {
				r.tellLock(o, &results[i])
			}
			return results, nil
		}
	}
	names, recent := r.namesOf(term, ops)
	generation := r.machine.Generation()
	snap := r.cfg.Store.Snapshot()
	defer snap.Close()
	if r.machine.Restores() != restores {
		// The leadership was lost after it was confirmed, and the store may be half of what the new leader has sent.
		return nil, ErrNotLeader
	}
	results := make([]op.Result, len(ops))
	for i, o := range ops {
		res, err := r.readOne(snap, at, o, names, recent)
		if err != nil {
			return nil, err
		}
		r.tellLock(o, &res)
		results[i] = res
	}
	if at == mvcc.Latest {
		return results, r.machine.Warm(generation, snap, ops)
	}
	return results, nil
}

// namesOf are the names that a read of changes, which is always the only one, has to look at. Not recent: all with the prefix, or it is
// another read.
func (r *Replica) namesOf(term uint64, ops []op.Op) (names []op.Name, recent bool) {
	if o, ok := ops[0].(*op.Changes); ok && len(ops) == 1 {
		return r.recentNames(term, o)
	}
	return nil, false
}

func (r *Replica) readOne(snap *storage.Snapshot, at op.Timestamp, o op.Op, names []op.Name, recent bool) (op.Result, error) {
	if c, ok := o.(*op.Changes); ok && recent {
		return r.machine.ReadChanges(snap, at, c, names)
	}
	return r.machine.Read(snap, at, o)
}

// tellLock completes the answer of a LockInfo with what only the leader knows: what is left of the leases, and how many wait.
func (r *Replica) tellLock(o op.Op, res *op.Result) {
	if res.Lock != nil {
		name := o.(*op.LockInfo).Name
		r.leases.remaining(name, res.Lock)
		res.Int = int64(r.waiters.waiting(name))
	}
}

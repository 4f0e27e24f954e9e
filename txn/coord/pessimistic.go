package coord

import (
	"bytes"
	"context"
	"errors"
	"time"

	"kahuna/cluster"
	"kahuna/fsm"
	"kahuna/op"
)

// locks are what a pessimistic transaction has locked: advice in the memory of the partitions' leaders, which makes others wait
// instead of conflict. No safety rests on them: the transaction commits like any other.
//
// A name is locked before it is read, and read as it is then, so that the transaction sees what those left that it has waited for.
// When that is newer than its snapshot, the snapshot moves on to that moment, if all that was read before is still so; else the
// transaction has lost. So all it has seen is always one snapshot.
type locks struct {
	ends   time.Time
	parts  map[uint32]op.Advise // what was first locked in each partition, to find it by
	scans  []op.ScanSeen        // ranges that are locked
	locked int
}

func newLocks(t *tx, timeout time.Duration) *locks {
	return &locks{ends: t.began.Add(timeout + t.c.o.Deadline), parts: map[uint32]op.Advise{}}
}

// Limits of locking.
const (
	adviseWait  = time.Second // how long one request waits for others
	adviseNames = 256         // in one request
	locksMax    = 16384       // of one transaction; it goes on without any for what comes after
)

// lockNames locks names and gives the timestamp to read them at.
func (t *tx) lockNames(ctx context.Context, names []op.Name) (op.Timestamp, error) {
	l := t.locks
	if l == nil || l.locked >= locksMax {
		return t.snap, nil
	}
	for _, part := range group(names, t.c.router.Partition) {
		for len(part) > 0 {
			n := min(len(part), adviseNames)
			if err := t.take(ctx, op.Advise{Names: part[:n]}); err != nil {
				return 0, err
			}
			part = part[n:]
		}
	}
	l.locked += len(names)
	return t.c.router.Now(ctx, 1)
}

// lockRange locks a range, if it is not yet, and moves the snapshot on to the moment when it is.
func (t *tx) lockRange(ctx context.Context, s op.ScanSeen) error {
	l := t.locks
	if l == nil || l.locked >= locksMax || l.covers(&s) {
		return nil
	}
	for _, cut := range t.cut(s) {
		if err := t.take(ctx, op.Advise{Scans: []op.ScanSeen{cut}}); err != nil {
			return err
		}
	}
	l.locked++
	l.scans = append(l.scans, s)
	at, err := t.c.router.Now(ctx, 1)
	if err != nil {
		return err
	}
	return t.moveTo(ctx, at)
}

// covers tells whether a range lies in one that is locked.
func (l *locks) covers(s *op.ScanSeen) bool {
	for i := range l.scans {
		if within := &l.scans[i]; within.Space == s.Space && bytes.HasPrefix(s.Prefix, within.Prefix) &&
			fsm.Compare(s.From, within.From) >= 0 && (fsm.IsEnd(within.To) || !fsm.IsEnd(s.To) && fsm.Compare(s.To, within.To) <= 0) &&
			bytes.Compare(s.Start, within.Start) >= 0 && (len(within.End) == 0 || len(s.End) > 0 && bytes.Compare(s.End, within.End) <= 0) {
			return true
		}
	}
	return false
}

// take asks for locks until it has them. The place in the queue goes by the transaction's start, so to ask again loses nothing.
func (t *tx) take(ctx context.Context, o op.Advise) error {
	o.Txn, o.WaitMilli = t.start, adviseWait.Milliseconds()
	t.placed(o) // first: a lock whose grant is not seen is released too
	for {
		o.TTLMilli = max(time.Until(t.locks.ends).Milliseconds(), 1)
		ask := o
		out := t.c.router.Do(ctx, []op.Op{&ask})[0]
		switch {
		case errors.Is(out.Err, cluster.ErrParted):
			return nil // it goes on without these locks, and may conflict
		case out.Err != nil:
			return out.Err
		case out.Status == op.Conflict:
			return ErrConflict
		case out.Done:
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// placed remembers where something is locked.
func (t *tx) placed(o op.Advise) {
	id := t.partOf(&o)
	if _, ok := t.locks.parts[id]; ok {
		return
	}
	first := op.Advise{Txn: t.start}
	if len(o.Names) > 0 {
		first.Names = o.Names[:1:1]
	} else {
		first.Scans = o.Scans
	}
	t.locks.parts[id] = first
}

func (t *tx) partOf(o *op.Advise) uint32 {
	if len(o.Names) > 0 {
		return t.c.router.Partition(o.Names[0])
	}
	return t.c.router.State().Parts(o.Scans[0].From, o.Scans[0].To)[0].ID
}

// changedSince tells whether a version that was read later than a snapshot may not be what the snapshot has. Something that is not
// there may have expired meanwhile.
func changedSince(out *op.Outcome, snap op.Timestamp) bool {
	return out.TS > snap || !out.Found && out.TS > 0
}

// moveTo moves the snapshot on, if all that was read is still so.
func (t *tx) moveTo(ctx context.Context, at op.Timestamp) error {
	if at <= t.snap {
		return nil
	}
	if t.expired(at) {
		return ErrConflict
	}
	reads := make([]op.Seen, len(t.order))
	for i, n := range t.order {
		reads[i] = n.seen
	}
	if ops := t.checks(reads, at); len(ops) > 0 {
		if err := ended(t.c.router.ReadAt(ctx, at, ops, true)); err != nil {
			return err
		}
	}
	t.snap = at
	return nil
}

// confirmLocks makes the locks the transaction's own until its end. If an older one has taken any, this one gives way. Where they
// were lost with a leader, nothing is known, and the checks of the commit decide.
func (t *tx) confirmLocks(ctx context.Context) error {
	for _, out := range t.adviseAll(ctx, op.AdviseConfirm) {
		if out.Status == op.Conflict {
			return ErrConflict
		}
	}
	return nil
}

// releaseLocks lets others go on, in the background.
func (t *tx) releaseLocks() {
	if t.locks != nil && len(t.locks.parts) > 0 {
		t.c.background(func(ctx context.Context) { t.adviseAll(ctx, op.AdviseRelease) })
	}
}

func (t *tx) adviseAll(ctx context.Context, act op.AdviseAct) []op.Outcome {
	if t.locks == nil {
		return nil
	}
	ops := make([]op.Op, 0, len(t.locks.parts))
	for _, o := range t.locks.parts {
		o.Act, o.TTLMilli = act, max(t.c.o.Deadline.Milliseconds()*2, 1)
		ops = append(ops, &o)
	}
	return t.c.router.Do(ctx, ops)
}

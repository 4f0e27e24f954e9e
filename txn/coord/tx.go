package coord

import (
	"context"
	"time"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
)

// tx is one attempt of a transaction: its snapshot, what it read, and what it will write. It is for one goroutine.
type tx struct {
	c     *Coordinator
	start op.Timestamp // the transaction's id
	snap  op.Timestamp // S, the snapshot's timestamp: start, until a pessimistic transaction moves it on
	began time.Time
	home  *op.Name     // of the record; nil: the first name that is written
	token op.Timestamp // the last one that an operation on a lock or a sequence had; 0: none
	locks *locks       // of a pessimistic transaction; nil: none
	names map[string]*name
	order []*name // as they were first touched
	scans []op.ScanSeen
	ends  op.Timestamp // the earliest expiry of anything that a scan returned; 0: none
	err   error        // of a read that failed; the transaction can't go on

	bytes  int     // about what all this takes in memory
	writes int     // names written
	before []saved // what the present step has changed, oldest first

	prewritten bool // intents may have been laid
}

// name is a name that the transaction has touched.
type name struct {
	id      op.Name
	seen    op.Seen     // the version at S
	record  mvcc.Record // that version, if it is live; else only its revision
	written bool
	next    mvcc.Record // what it becomes
}

// nameBytes is about what a name takes in memory besides its bytes, and a range.
const nameBytes = 256

func (c *Coordinator) begin(ctx context.Context) (*tx, error) {
	start, err := c.router.Now(ctx, 1)
	if err != nil {
		return nil, err
	}
	return &tx{c: c, start: start, snap: start, began: time.Now(), names: map[string]*name{}}, nil
}

// watch tells whether a name still has the version that was watched.
func (t *tx) watch(ctx context.Context, w op.Seen) (bool, error) {
	n, err := t.touch(ctx, w.Name)
	if err != nil {
		return false, err
	}
	return n.seen.TS == w.TS && n.seen.Live == w.Live, nil
}

// Do runs operations on the transaction, one after the other.
func (t *tx) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	out := make([]op.Outcome, len(ops))
	if t.err == nil && len(ops) > 1 {
		t.err = t.touchAll(ctx, targets(ops))
	}
	for i, o := range ops {
		if t.err == nil {
			out[i].Result, out[i].Err = t.one(ctx, o)
			t.err = out[i].Err
		} else {
			out[i].Err = t.err
		}
	}
	return out
}

func (t *tx) one(ctx context.Context, o op.Op) (op.Result, error) {
	switch o := o.(type) {
	case *op.Scan:
		return t.scan(ctx, o)
	case *op.Count:
		return t.count(ctx, o)
	case *op.DeleteRange:
		return t.deleteRange(ctx, o)
	case *op.Version:
		return t.version(ctx, o)
	case *op.Get:
		if o.AtRev > 0 {
			return t.past(ctx, o)
		}
	case *op.Look:
		if o.AtRev > 0 {
			return t.past(ctx, o)
		}
	case *op.History:
		return t.past(ctx, o)
	}
	now, err := t.now(ctx, o)
	if err != nil {
		return op.Result{}, err
	}
	return fsm.RunOn(view{t, ctx, now}, o)
}

// now is the timestamp that an operation has. What hands out tokens or is told apart by its time of making gets a fresh one; who
// reads that again has to come after it. For keys it is only what an expiry is counted from, so the own clock will do.
func (t *tx) now(ctx context.Context, o op.Op) (op.Timestamp, error) {
	sp := o.Target().Space
	switch {
	case sp != op.SpaceLock && sp != op.SpaceSeq:
		return t.start.Add(time.Since(t.began).Milliseconds()), nil
	case o.ReadOnly():
		return max(t.snap, t.token), nil
	}
	now, err := t.c.router.Now(ctx, 1)
	if err == nil {
		t.token = now
	}
	return now, err
}

func (t *tx) version(ctx context.Context, o *op.Version) (op.Result, error) {
	n, err := t.touch(ctx, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	return op.Result{TS: n.seen.TS, Found: n.seen.Live, Rev: n.record.Rev}, nil
}

// past reads the history or an old revision of a key from the snapshot: the transaction's own writes are not revisions yet. That the
// name has been read is noted, for a newer version would change the answer.
func (t *tx) past(ctx context.Context, o op.Op) (op.Result, error) {
	if _, err := t.touch(ctx, o.Target()); err != nil {
		return op.Result{}, err
	}
	return t.read(ctx, o)
}

func (t *tx) read(ctx context.Context, o op.Op) (op.Result, error) {
	out := t.c.router.ReadAt(ctx, t.snap, []op.Op{o}, true)[0]
	return out.Result, out.Err
}

// readRange reads from many names. That a version of one of them is not kept any more says that there is a newer one.
func (t *tx) readRange(ctx context.Context, o op.Op) (op.Result, error) {
	res, err := t.read(ctx, o)
	if err == nil && res.Status == op.Collected {
		err = ErrConflict
	}
	return res, err
}

// view is the transaction's state as an operation sees it.
type view struct {
	t   *tx
	ctx context.Context
	now op.Timestamp
}

// Now is the operation's timestamp: the token of a lock that it takes. Whether something is there is judged at the snapshot's.
func (v view) Now() op.Timestamp { return v.now }

func (v view) Get(id op.Name) (mvcc.Record, bool, error) {
	n, err := v.t.touch(v.ctx, id)
	if err != nil {
		return mvcc.Record{}, false, err
	}
	if n.written {
		if n.next.Deleted {
			return mvcc.Record{Rev: n.next.Rev}, false, nil
		}
		return n.next, true, nil
	}
	return n.record, n.seen.Live, nil
}

func (v view) Put(id op.Name, r mvcc.Record) (mvcc.Record, error) {
	n, err := v.t.touch(v.ctx, id)
	if err != nil {
		return mvcc.Record{}, err
	}
	r.TS, r.Rev, r.Deleted = v.t.start, n.record.Rev+1, false
	return r, v.t.write(n, r)
}

func (v view) PutExpiry(id op.Name, at op.Timestamp) error {
	r, live, err := v.Get(id)
	if err != nil || !live {
		return err
	}
	n, err := v.t.touch(v.ctx, id)
	if err != nil {
		return err
	}
	r.TS, r.ExpireAt = v.t.start, at
	return v.t.write(n, r)
}

func (v view) Delete(id op.Name) (uint64, error) {
	n, err := v.t.touch(v.ctx, id)
	if err != nil {
		return 0, err
	}
	if n.written && n.seen.TS == 0 {
		v.t.unwrite(n)
		return 0, nil
	}
	next := mvcc.Record{TS: v.t.start, Rev: n.record.Rev + 1, Deleted: true, Type: n.record.Type}
	return next.Rev, v.t.write(n, next)
}

// write is what the name's intent says.
func (n *name) write() op.Write {
	return op.Write{Name: n.id, Type: byte(n.next.Type), Value: n.next.Value, Deleted: n.next.Deleted, NoRev: n.next.NoRev,
		ExpireAt: n.next.ExpireAt, KeepRev: n.next.Rev == n.record.Rev}
}

// expired tells whether something that the transaction read ran out before its commit timestamp, and so is not as it was.
func (t *tx) expired(commit op.Timestamp) bool {
	if t.ends > 0 && t.ends <= commit {
		return true
	}
	for _, n := range t.order {
		if n.seen.Live && n.record.ExpireAt > 0 && n.record.ExpireAt <= commit {
			return true
		}
	}
	return false
}

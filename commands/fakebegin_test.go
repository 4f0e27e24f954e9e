package commands

import (
	"context"
	"errors"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/txn/coord"
)

// fakeBegun is an interactive transaction on a copy of the state. It conflicts with any change meanwhile.
type fakeBegun struct {
	f     *fake
	tx    fakeTxn
	was   int // changes
	only  bool
	ended error
}

func (f *fake) Begin(_ context.Context, o coord.BeginOptions) (Txn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.tick()
	at := now
	if o.AsOf != 0 {
		at = o.AsOf
	}
	if at > now {
		return nil, cluster.ErrFuture
	}
	x := &fakeBegun{f: f, tx: fakeTxn{f.state.clone(), f.state, at}, was: f.state.changes, only: o.ReadOnly}
	if f.begun == nil {
		f.begun = map[op.Timestamp]coord.Status{}
	}
	f.begun[at] = coord.Status{State: op.TxnPending}
	return x, f.fail
}

func (f *fake) TxnStatus(_ context.Context, start op.Timestamp) (coord.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun[start], f.fail
}

func (x *fakeBegun) Snapshot() op.Timestamp { return x.tx.ts }

func (x *fakeBegun) Step(_ context.Context, fn func(d Doer) error) error {
	if x.ended != nil {
		return x.ended
	}
	before := x.tx.state.clone()
	err := fn(x)
	if err != nil {
		x.tx.state = before
	}
	return err
}

func (x *fakeBegun) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	for _, o := range ops {
		if x.only && !o.ReadOnly() {
			out := make([]op.Outcome, len(ops))
			for i := range out {
				out[i].Err = coord.ErrReadOnly
			}
			return out
		}
	}
	return x.tx.Do(ctx, ops)
}

func (x *fakeBegun) Commit(context.Context) (op.Timestamp, error) {
	f := x.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.ended != nil {
		return 0, x.ended
	}
	x.ended = errors.New("over")
	if f.state != x.tx.base || f.state.changes != x.was {
		f.begun[x.tx.ts] = coord.Status{State: op.TxnAborted}
		return 0, coord.ErrConflict
	}
	f.state = x.tx.state
	at := f.tick()
	f.begun[x.tx.ts] = coord.Status{State: op.TxnCommitted, At: at}
	return at, nil
}

func (x *fakeBegun) Rollback() {
	if x.ended == nil {
		x.ended = errors.New("over")
		x.f.begun[x.tx.ts] = coord.Status{State: op.TxnAborted}
	}
}

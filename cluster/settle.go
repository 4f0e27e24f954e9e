package cluster

import (
	"context"

	"kahuna/op"
)

// settle ends the intent of a transaction that somebody met, the way its record says. A transaction past its deadline is ended
// as aborted. pending: it has not ended and may go on.
func (r *Router) settle(ctx context.Context, intent *op.Intent) (pending bool, err error) {
	state, err := r.outcomeOf(ctx, intent)
	if err != nil || state.Status == op.TxnPending {
		return err == nil, err
	}
	out := r.Do(ctx, []op.Op{&op.Resolve{Txn: intent.Txn, Names: []op.Name{intent.Name},
		Committed: state.Status == op.TxnCommitted, At: state.At}})
	return false, out[0].Err
}

// outcomeOf reads the record of a transaction, and only where there is none or its deadline has passed asks for its end.
func (r *Router) outcomeOf(ctx context.Context, intent *op.Intent) (*op.TxnState, error) {
	out := r.Do(ctx, []op.Op{&op.TxnRead{Txn: intent.Txn, Home: intent.Home}})[0]
	if out.Err != nil {
		return nil, out.Err
	}
	if out.Found {
		if out.Txn.Status != op.TxnPending {
			return out.Txn, nil
		}
		now, err := r.Now(ctx, 1)
		if err != nil || now <= out.Txn.Deadline {
			return out.Txn, err
		}
	}
	out = r.Do(ctx, []op.Op{&op.Settle{Txn: intent.Txn, Home: intent.Home}})[0]
	return out.Txn, out.Err
}

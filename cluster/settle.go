package cluster

import (
	"context"
	"time"

	"kahuna/op"
)

// settle ends the intent of a transaction that somebody met, the way its record says. A transaction past its deadline is ended
// as aborted. pending: it has not ended and may go on. Else the operation that met it is to look again.
func (t *task) settle(intent *op.Intent) (pending bool, err error) {
	state, err := t.r.record(t.ctx, intent)
	if err != nil {
		return false, err
	}
	if state == nil {
		// A record goes when the last intent is resolved: if this is why it is not there, the intent is not there any more either.
		// It is meant to have no record only when it is met again after that was seen. Else each who comes late would leave a
		// record behind that says aborted.
		if t.alone != intent.Txn {
			t.alone = intent.Txn
			return false, nil
		}
		if pending, err = t.r.young(t.ctx, intent); pending || err != nil {
			return pending, err
		}
		if state, err = t.r.end(t.ctx, intent); err != nil {
			return false, err
		}
	}
	if state.Status == op.TxnPending {
		return true, nil
	}
	return false, t.r.resolve(t.ctx, intent, state)
}

// record reads the record of a transaction, which is ended first if its deadline has passed; nil when there is none.
func (r *Router) record(ctx context.Context, intent *op.Intent) (*op.TxnState, error) {
	out := r.Do(ctx, []op.Op{&op.TxnRead{Txn: intent.Txn, Home: intent.Home}})[0]
	if out.Err != nil || !out.Found {
		return nil, out.Err
	}
	if out.Txn.Status != op.TxnPending {
		return out.Txn, nil
	}
	now, err := r.Now(ctx, 1)
	if err != nil || now <= out.Txn.Deadline {
		return out.Txn, err
	}
	return r.end(ctx, intent)
}

// recordDelay is how long after its start a transaction may still be about to make its record: the intents of some come first.
const recordDelay = 2 * time.Second

// young tells whether a transaction without a record is to be given time to make it.
func (r *Router) young(ctx context.Context, intent *op.Intent) (bool, error) {
	now, err := r.Now(ctx, 1)
	return now <= intent.Txn.Add(recordDelay.Milliseconds()), err
}

// end asks for the end of a transaction that has no record, or whose deadline has passed.
func (r *Router) end(ctx context.Context, intent *op.Intent) (*op.TxnState, error) {
	out := r.Do(ctx, []op.Op{&op.Settle{Txn: intent.Txn, Home: intent.Home}})[0]
	return out.Txn, out.Err
}

// resolve ends the intent that was met, and with it those on other names of its partition that the record tells of.
func (r *Router) resolve(ctx context.Context, intent *op.Intent, state *op.TxnState) error {
	names := []op.Name{intent.Name}
	id := r.Partition(intent.Name)
	for _, n := range state.Names {
		if !n.Equal(intent.Name) && r.Partition(n) == id {
			names = append(names, n)
		}
	}
	return r.Do(ctx, []op.Op{&op.Resolve{Txn: intent.Txn, Names: names, Committed: state.Status == op.TxnCommitted, At: state.At}})[0].Err
}

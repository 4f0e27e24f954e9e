package txn

import (
	"errors"

	"kahuna/mvcc"
	"kahuna/op"
)

// Prewrite lays a transaction's intents and, at home, its record: all of them or, with any outcome but Done, nothing.
func Prewrite(w mvcc.Writer, now op.Timestamp, o *op.Prewrite) (op.Result, error) {
	if o.AtHome {
		_, found, err := Load(w.Batch, o.Home, o.Txn)
		if err != nil {
			return op.Result{}, err
		}
		if found {
			return op.Result{Status: op.Aborted}, nil
		}
		if now > o.Deadline {
			return op.Result{Status: op.Aborted}, nil
		}
	}
	for i := range o.Writes {
		err := mvcc.Admit(w.Batch, o.Txn, o.Writes[i].Name)
		if errors.Is(err, mvcc.ErrConflict) {
			return op.Result{Status: op.Conflict}, nil
		}
		if err != nil {
			return op.Result{}, err
		}
	}
	for _, write := range o.Writes {
		if err := w.Lay(now, o.Txn, o.Home, write); err != nil {
			return op.Result{}, err
		}
	}
	if o.AtHome {
		save(w.Batch, o.Home, o.Txn, op.TxnState{Status: op.TxnPending, Deadline: o.Deadline, Names: o.Names})
	}
	return op.Result{Done: true}, nil
}

// Check verifies that what a transaction read is still so at its commit timestamp. The reader has made sure that nothing will
// be written at or below that any more.
func Check(r mvcc.Reader, o *op.Check) (op.Result, error) {
	for _, seen := range o.Reads {
		same, err := mvcc.Unchanged(r, seen, o.Txn)
		if err != nil {
			return op.Result{}, err
		}
		if !same {
			return op.Result{Status: op.Conflict}, nil
		}
	}
	for i := range o.Scans {
		same, err := mvcc.UnchangedRange(r, &o.Scans[i], o.Txn)
		if err != nil {
			return op.Result{}, err
		}
		if !same {
			return op.Result{Status: op.Conflict}, nil
		}
	}
	return op.Result{Done: true}, nil
}

// Resolve ends a transaction's intents at the names given.
func Resolve(w mvcc.Writer, o *op.Resolve) (op.Result, error) {
	var res op.Result
	for _, n := range o.Names {
		there, err := w.Resolve(n, o.Txn, o.Committed, o.At)
		if err != nil {
			return op.Result{}, err
		}
		if there {
			res.Int++
		}
	}
	res.Done = true
	return res, nil
}

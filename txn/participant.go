package txn

import (
	"errors"

	"kahuna/mvcc"
	"kahuna/op"
)

// recordBytesMax bounds a record, which names all that the transaction wrote: it has to fit one value of the store.
const recordBytesMax = 512 << 10

// Prewrite lays a transaction's intents and, at home, its record: all of them or, with any outcome but Done, nothing. What it
// writes must not have changed since its snapshot, which is Txn but for a transaction whose snapshot has moved on.
func Prewrite(w mvcc.Writer, now op.Timestamp, o *op.Prewrite, since op.Timestamp) (op.Result, error) {
	record := op.TxnState{Status: op.TxnPending, Deadline: o.Deadline, Names: o.Names}
	bytes := 0
	if o.AtHome {
		_, found, err := Load(w.Batch, o.Home, o.Txn)
		if err != nil {
			return op.Result{}, err
		}
		if found || now > o.Deadline {
			return op.Result{Status: op.Aborted}, nil
		}
		if bytes = len(encode(&record)); bytes > recordBytesMax {
			return op.Result{Status: op.TooLarge}, nil
		}
	}
	for i := range o.Writes {
		n, err := mvcc.Admit(w.Batch, o.Txn, since, o.Home, &o.Writes[i])
		if errors.Is(err, mvcc.ErrConflict) {
			return op.Result{Status: op.Conflict}, nil
		}
		if err != nil {
			return op.Result{}, err
		}
		bytes += n
	}
	if w.Fits != nil && !w.Fits(bytes) {
		return op.Result{}, mvcc.ErrNoRoom
	}
	for _, write := range o.Writes {
		if err := w.Lay(now, o.Txn, o.Home, write); err != nil {
			return op.Result{}, err
		}
	}
	if o.AtHome {
		save(w.Batch, o.Home, o.Txn, record)
	}
	return op.Result{Done: true}, nil
}

// Check verifies that what a transaction read is still so at its commit timestamp. The reader has made sure that nothing will
// be written at or below that any more.
func Check(r mvcc.Reader, o *op.Check, since op.Timestamp) (op.Result, error) {
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
		same, err := mvcc.UnchangedRange(r, &o.Scans[i], o.Txn, since, o.At)
		if err != nil {
			return op.Result{}, err
		}
		if !same {
			return op.Result{Status: op.Conflict}, nil
		}
	}
	return op.Result{Done: true}, nil
}

// Resolve ends a transaction's intents at the names given. When they are more than the batch takes it ends the first ones and
// is not Done: it is to be run again.
func Resolve(w mvcc.Writer, o *op.Resolve) (op.Result, error) {
	var res op.Result
	for _, n := range o.Names {
		there, err := w.Resolve(n, o.Txn, o.Committed, o.At)
		if errors.Is(err, mvcc.ErrNoRoom) && res.Int > 0 {
			return res, nil
		}
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

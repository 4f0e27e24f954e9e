package txn

import (
	"bytes"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

const recordFormat = 1

// Load reads a transaction's record.
func Load(r mvcc.Reader, home op.Name, id op.TxnID) (state op.TxnState, found bool, err error) {
	b, found, err := r.Get(storage.AppendRecord(nil, home, id))
	if err != nil || !found {
		return state, false, err
	}
	state, err = Decode(b)
	return state, err == nil, err
}

// Decode reads the stored form of a record.
func Decode(b []byte) (op.TxnState, error) {
	if len(b) == 0 || b[0] != recordFormat {
		return op.TxnState{}, mvcc.ErrDamaged
	}
	state, err := op.DecodeTxn(bytes.Clone(b[1:])) // the state outlives the batch it was read from
	if err != nil {
		return op.TxnState{}, mvcc.ErrDamaged
	}
	return state, nil
}

func save(b mvcc.Batch, home op.Name, id op.TxnID, state op.TxnState) {
	b.Set(storage.AppendRecord(nil, home, id), encode(&state))
}

func encode(state *op.TxnState) []byte { return op.AppendTxn([]byte{recordFormat}, state) }

// Decide commits a transaction, if its record is pending and the deadline has not passed. This is the commit point.
func Decide(b mvcc.Batch, now op.Timestamp, o *op.Decide) (op.Result, error) {
	state, found, err := Load(b, o.Home, o.Txn)
	if err != nil {
		return op.Result{}, err
	}
	switch {
	case found && state.Status == op.TxnCommitted:
		return op.Result{Done: true, TS: state.At}, nil
	case !found || state.Status == op.TxnAborted || now > state.Deadline:
		return op.Result{Status: op.Aborted}, nil
	}
	state.Status, state.At = op.TxnCommitted, o.At
	save(b, o.Home, o.Txn, state)
	return op.Result{Done: true, TS: o.At}, nil
}

// Refused tells whether a transaction that commits in one entry at home, with bytes of other writes, may not. Aborted: there is a record already, so
// somebody who met an intent of it has ended it, or it is too late.
func Refused(w mvcc.Writer, at op.Timestamp, o *op.CommitMulti, bytes int) (why op.Status, err error) {
	_, found, err := Load(w.Batch, o.Home, o.Txn)
	switch {
	case err != nil:
		return 0, err
	case found || at > o.Deadline:
		return op.Aborted, nil
	case o.Ends > 0 && o.Ends <= at:
		return op.Conflict, nil
	}
	record := len(encode(committed(at, o)))
	switch {
	case record > recordBytesMax:
		return op.TooLarge, nil
	case w.Fits != nil && !w.Fits(bytes+record+mvcc.RowBytes):
		return 0, mvcc.ErrNoRoom
	}
	return op.OK, nil
}

// Commit makes the record of such a transaction.
func Commit(b mvcc.Batch, at op.Timestamp, o *op.CommitMulti) {
	save(b, o.Home, o.Txn, *committed(at, o))
}

func committed(at op.Timestamp, o *op.CommitMulti) *op.TxnState {
	return &op.TxnState{Status: op.TxnCommitted, At: at, Deadline: o.Deadline, Names: o.Names}
}

// Settle tells what became of a transaction. One that has no record, is past its deadline, or is given up by its coordinator
// is ended as aborted first.
func Settle(b mvcc.Batch, now op.Timestamp, o *op.Settle) (op.Result, error) {
	state, found, err := Load(b, o.Home, o.Txn)
	if err != nil {
		return op.Result{}, err
	}
	if !found || state.Status == op.TxnPending && (o.Abort || now > state.Deadline) {
		state.Status = op.TxnAborted
		save(b, o.Home, o.Txn, state)
	}
	return op.Result{Done: true, Txn: &state}, nil
}

// Forget removes the record of a transaction that is over and whose intents are all resolved. That of an interactive transaction
// stays, for those who ask what became of it, but without names: Kept.
func Forget(b mvcc.Batch, o *op.Forget) (op.Result, error) {
	state, found, err := Load(b, o.Home, o.Txn)
	if err != nil || !found || state.Status == op.TxnPending {
		return op.Result{}, err
	}
	if o.Home.Space == op.SpaceTxn {
		state.Names = nil
		save(b, o.Home, o.Txn, state)
	} else {
		b.Delete(storage.AppendRecord(nil, o.Home, o.Txn))
	}
	return op.Result{Done: true}, nil
}

// Kept tells whether a record is there only to tell what became of an interactive transaction: nothing of that is left to resolve.
func Kept(home op.Name, state *op.TxnState) bool {
	return home.Space == op.SpaceTxn && state.Status != op.TxnPending && len(state.Names) == 0
}

// ForgetOld removes kept records, the oldest first. The caller sees to it that no prewrite of these transactions can come any more.
func ForgetOld(w mvcc.Writer, o *op.ForgetOld) (op.Result, error) {
	b, bytes := w.Batch, 0
	var old [][]byte
	res := op.Result{Done: true}
	lo, hi := storage.AppendRecord(nil, o.Home, 0), storage.AppendRecord(nil, o.Home, o.Before)
	err := b.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		state, err := Decode(value)
		if err != nil || !Kept(o.Home, &state) {
			return err == nil, err
		}
		if len(old) == int(o.Limit) {
			res.Done = false
			return false, nil
		}
		old = append(old, append([]byte(nil), key...))
		bytes += len(key) + mvcc.RowBytes
		return true, nil
	})
	if err != nil {
		return op.Result{}, err
	}
	if w.Fits != nil && !w.Fits(bytes) {
		return op.Result{}, mvcc.ErrNoRoom
	}
	for _, key := range old {
		b.Delete(key)
	}
	res.Int = int64(len(old))
	return res, nil
}

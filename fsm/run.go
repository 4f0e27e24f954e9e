package fsm

import (
	"errors"

	"kahuna/hashes"
	"kahuna/keys"
	"kahuna/locks"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/sequencer"
	"kahuna/txn"
)

// run judges one operation of the log at a timestamp.
func (m *Machine) run(b *entryBatch, o op.Op, ts op.Timestamp) (op.Result, error) {
	if !m.owns(&m.next, o) {
		return op.Result{Status: op.Moved}, nil
	}
	r, err := b.bounded(m.judge(b, o, ts))
	return outcome(r, err)
}

// outcome turns the errors that say how an operation ended to its result; what remains is a fault.
func outcome(r op.Result, err error) (op.Result, error) {
	var intent *mvcc.IntentError
	switch {
	case err == nil:
		return r, nil
	case errors.As(err, &intent):
		return op.Result{Status: op.Blocked, Intent: &intent.Intent}, nil
	case errors.Is(err, mvcc.ErrOrder):
		return op.Result{Status: op.Again}, nil
	case errors.Is(err, mvcc.ErrCollected):
		return op.Result{Status: op.Collected}, nil
	}
	return op.Result{}, err
}

func (m *Machine) judge(b *entryBatch, o op.Op, ts op.Timestamp) (op.Result, error) {
	m.cause = o.Kind()
	w := mvcc.Writer{Batch: b, Notify: m.note, Count: m.countIntents, Fits: b.fits}
	switch o := o.(type) {
	case *op.Multi:
		return m.multi(w, o, ts)
	case *op.Prepare:
		return m.prepare(w, o, ts)
	case *op.CommitMulti:
		return m.commitMulti(w, o, ts)
	case *op.Prewrite:
		return m.prewrite(w, o, o.Txn, ts)
	case *op.PrewriteSince:
		return m.prewrite(w, &o.Prewrite, o.Snapshot, ts)
	case *op.Decide:
		return txn.Decide(b, ts, o)
	case *op.Settle:
		return txn.Settle(b, ts, o)
	case *op.Resolve:
		return txn.Resolve(w, o)
	case *op.Forget:
		return txn.Forget(b, o)
	case *op.ForgetOld:
		return txn.ForgetOld(w, o)
	case *op.DeleteRange:
		return m.deleteRange(w, o, ts)
	case *op.Sweep:
		return m.sweep(w, o, ts)
	case *op.SafePoint:
		return m.safePoint(o, ts)
	case *op.Split:
		return m.split(b, o, m.entry)
	case *op.Recount:
		return m.recount(o), nil
	case *op.Fence:
		return m.fence(o), nil
	case *op.Collect:
		return m.collect(w, b, o)
	case *op.ClockBound:
		return clockBound(b, o)
	case *op.MetaPut:
		m.nextDocuments = true
		return putDocument(b, o)
	}
	if o.ReadOnly() {
		return Read(b, ts, o)
	}
	m.work.Reset(b, ts)
	r, err := runOn(&m.work, o)
	if err != nil {
		return r, err
	}
	return r, m.work.Flush(w)
}

func (m *Machine) prewrite(w mvcc.Writer, o *op.Prewrite, snapshot, ts op.Timestamp) (op.Result, error) {
	if snapshot < m.next.Safe {
		return op.Result{Status: op.Collected}, nil // what it would conflict with may be gone
	}
	return txn.Prewrite(w, ts, o, snapshot)
}

// runOn runs an operation on keys, hashes, locks or sequences against a View.
func runOn(v mvcc.View, o op.Op) (op.Result, error) {
	if r, ok, err := keys.Run(v, o); ok {
		return r, err
	}
	if r, ok, err := locks.Run(v, o); ok {
		return r, err
	}
	if r, ok, err := hashes.Run(v, o); ok {
		return r, err
	}
	if r, ok, err := sequencer.Run(v, o); ok {
		return r, err
	}
	return op.Result{Status: op.Unsupported}, nil
}

// RunOn is runOn for transactions, whose View is their working set.
func RunOn(v mvcc.View, o op.Op) (op.Result, error) { return outcome(runOn(v, o)) }

// multi runs operations as one: what they write becomes one version of each name, all at the last of their timestamps.
func (m *Machine) multi(w mvcc.Writer, o *op.Multi, ts op.Timestamp) (op.Result, error) {
	res, err := m.runAll(w, o, ts)
	if err != nil || !res.Done {
		return res, err
	}
	return res, m.work.Flush(w)
}

// prepare runs a partition's part of a transaction and leaves it as intents.
func (m *Machine) prepare(w mvcc.Writer, o *op.Prepare, ts op.Timestamp) (op.Result, error) {
	res, err := m.runAll(w, &o.Multi, ts)
	if err != nil || !res.Done {
		return res, err
	}
	names, err := m.work.Lay(w, o.Txn, o.Home)
	res.ExpireAt, res.Txn = m.work.Ends(), &op.TxnState{Status: op.TxnPending, Names: names}
	return res, err
}

// commitMulti runs the home partition's part of a transaction, and so commits it.
func (m *Machine) commitMulti(w mvcc.Writer, o *op.CommitMulti, ts op.Timestamp) (op.Result, error) {
	res, err := m.runAll(w, &o.Multi, ts)
	if err != nil || !res.Done {
		return res, err
	}
	res.TS = ts + op.Timestamp(op.Timestamps(o)) - 1
	why, err := txn.Refused(w, res.TS, o, m.work.Bytes())
	if err != nil || why != op.OK {
		return op.Result{Status: why}, err
	}
	if err := m.work.Flush(w); err != nil {
		return op.Result{}, err
	}
	txn.Commit(w.Batch, res.TS, o)
	return res, nil
}

// runAll runs the operations of a Multi, if its watches hold. What they write is left in m.work.
func (m *Machine) runAll(w mvcc.Writer, o *op.Multi, ts op.Timestamp) (op.Result, error) {
	m.work.ResetRange(w.Batch, ts, op.Timestamps(o))
	for _, seen := range o.Watches {
		is, err := m.work.Seen(seen.Name)
		if err != nil {
			return op.Result{}, err
		}
		if is.TS != seen.TS || is.Live != seen.Live {
			return op.Result{}, nil
		}
	}
	res := op.Result{Done: true, Sub: make([]op.Result, len(o.Ops))}
	for i, sub := range o.Ops {
		r, err := runOn(&m.work, sub)
		if errors.Is(err, mvcc.ErrCollected) {
			r, err = op.Result{Status: op.Collected}, nil
		}
		if err != nil {
			return op.Result{}, err
		}
		res.Sub[i] = r
		m.work.Step()
	}
	return res, nil
}

// sweep deletes a version that is past its expiry.
func (m *Machine) sweep(w mvcc.Writer, o *op.Sweep, ts op.Timestamp) (op.Result, error) {
	m.work.Reset(w.Batch, ts)
	done, err := m.work.Sweep(o.Name, o.TS)
	if err != nil || !done {
		return op.Result{}, err
	}
	return op.Result{Done: true}, m.work.Flush(w)
}

// deleteBytesMax bounds what a page of deletions writes.
const deleteBytesMax = 1 << 20

// deleteRange deletes the first keys of a range, at least one.
func (m *Machine) deleteRange(w mvcc.Writer, o *op.DeleteRange, ts op.Timestamp) (op.Result, error) {
	m.work.Reset(w.Batch, ts)
	var res op.Result
	limit, bytes := max(int64(o.Limit), 1), 0
	err := mvcc.NewAt(w.Batch, ts).Scan(o.Space, o.From, o.To, func(n op.Name, r mvcc.Record) (bool, error) {
		if r.TS > o.UpTo {
			return true, nil
		}
		n = clone(n)
		if res.Int >= limit || bytes >= deleteBytesMax {
			res.Next = &op.Position{Slot: n.Slot(), Name: n.Key}
			return false, nil
		}
		res.Int++
		bytes += 4*(len(n.Key)+len(n.Sub)+mvcc.RowBytes) + len(r.Value)
		_, err := m.work.Delete(n)
		return true, err
	})
	if err != nil {
		return op.Result{}, err
	}
	res.Done = true
	return res, m.work.Flush(w)
}

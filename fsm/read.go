package fsm

import (
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/txn"
)

// Read runs a read-only operation on the partition's state at a timestamp (mvcc.Latest: what is current), in a storage
// snapshot that is known to hold all of it. mvcc.ErrNeedsTime asks for the same read at a fresh timestamp.
func (m *Machine) Read(r mvcc.Reader, at op.Timestamp, o op.Op) (op.Result, error) {
	if !m.owns(m.state.Load(), o) {
		return op.Result{Status: op.Moved}, nil
	}
	if m.collected(at, o) {
		return op.Result{Status: op.Collected}, nil
	}
	if c, ok := o.(*op.Count); ok && at == mvcc.Latest && m.whole(c) {
		return op.Result{Int: m.state.Load().Live[c.Space]}, nil
	}
	res, err := Read(r, at, o)
	return outcome(res, err)
}

// whole tells whether a count is of all the partition has of a space, which is known without counting.
func (m *Machine) whole(c *op.Count) bool {
	s := m.state.Load()
	return int(c.Space) < spaces && s.Intents == 0 && !s.Uncounted && Compare(c.From, s.From) == 0 && Compare(c.To, s.To) == 0
}

// Read runs a read-only operation, wherever its names lie.
func Read(r mvcc.Reader, at op.Timestamp, o op.Op) (op.Result, error) {
	v := mvcc.NewAt(r, at)
	switch o := o.(type) {
	case *op.Get:
		if o.AtRev > 0 {
			return getRevision(v, o.Key, o.AtRev)
		}
	case *op.Look:
		if o.AtRev > 0 {
			return lookRevision(v, o)
		}
	case *op.History:
		return history(v, o)
	case *op.Version:
		return version(v, o)
	case *op.TxnRead:
		state, found, err := txn.Load(r, o.Home, o.Txn)
		return op.Result{Found: found, Txn: &state}, err
	case *op.Scan:
		if o.ByName {
			return scanByName(v, o)
		}
		return scan(v, o)
	case *op.Changes:
		return changes(r, at, o)
	case *op.Count:
		return count(v, o)
	case *op.Check:
		return txn.Check(r, o, o.Txn)
	case *op.CheckSince:
		return txn.Check(r, &o.Check, o.Snapshot)
	case *op.MetaGet:
		return getDocument(r, o)
	case *op.MetaList:
		return listDocuments(r, o)
	}
	return runOn(v, o)
}

func version(v *mvcc.At, o *op.Version) (op.Result, error) {
	seen, rec, err := v.Seen(o.Name)
	if err != nil {
		return op.Result{}, err
	}
	res := op.Result{TS: seen.TS, Rev: rec.Rev, Found: seen.Live}
	if o.Full && seen.Live {
		res.Value, res.ExpireAt, res.Int = clip(rec.Value), rec.ExpireAt, int64(rec.Type)
	}
	return res, nil
}

// getRevision reads an old revision of a string.
func getRevision(v *mvcc.At, key []byte, rev uint64) (op.Result, error) {
	res, err := lookRevision(v, &op.Look{Key: key, AtRev: rev, Values: true})
	if res.Found && mvcc.Type(res.Int) != mvcc.TypeString {
		return op.Result{Status: op.WrongType}, err
	}
	res.Int = 0
	return res, err
}

// lookRevision finds a version by its revision. They count from 1 without a gap: one below the oldest that is kept was collected.
func lookRevision(v *mvcc.At, o *op.Look) (res op.Result, err error) {
	lost := false
	err = v.Versions(op.Key(o.Key), func(r mvcc.Record, gone bool) (bool, error) {
		if lost = r.Rev > o.AtRev; lost {
			return true, nil
		}
		if r.Rev == o.AtRev && !r.Deleted {
			lost = gone
			res = op.Result{Found: !gone, Int: int64(r.Type), Rev: r.Rev, TS: r.TS, ExpireAt: r.ExpireAt}
			if o.Values {
				res.Value = clip(r.Value)
			}
		}
		return false, nil
	})
	if err == nil && lost {
		return op.Result{Status: op.Collected}, nil
	}
	return res, err
}

// history lists revisions, newest first. Of several versions of one revision, which differ in the expiry, the newest stands.
func history(v *mvcc.At, o *op.History) (res op.Result, err error) {
	var last uint64
	err = v.Versions(op.Key(o.Key), func(r mvcc.Record, gone bool) (bool, error) {
		if len(res.Items) > 0 && r.Rev == last {
			return true, nil
		}
		if len(res.Items) == int(o.Limit) {
			return false, nil
		}
		last = r.Rev
		res.Items = append(res.Items, op.Item{Value: clip(r.Value), Rev: r.Rev, TS: r.TS, ExpireAt: r.ExpireAt,
			Deleted: r.Deleted, Lost: gone, Type: ItemType(r.Type)})
		return true, nil
	})
	return res, err
}

// ItemType is a value's type as it stands in an Item: 0 for a string.
func ItemType(t mvcc.Type) byte {
	if t == mvcc.TypeString {
		return 0
	}
	return byte(t)
}

// clip copies bytes that are only borrowed.
func clip(b []byte) []byte { return append([]byte(nil), b...) }

func clone(n op.Name) op.Name {
	return op.Name{Space: n.Space, Key: clip(n.Key), Sub: clip(n.Sub)}
}

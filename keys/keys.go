// Package keys is the rules of keys: what KSET, SET, INCR and the like do to a value, as pure functions over a View. The
// same functions run in a log entry, in a Multi and on a transaction's working set.
//
// An error is only ever the View's own: an intent in the way, or a fault. Everything that can become of a well-formed
// operation is a Status in its Result. What a Result holds is a copy: it outlives the operation.
//
// What holds for all of them:
//
//  1. An operation that ends with a Status other than OK, or with Done false, changed nothing.
//  2. A key never has an expiry that is not in the future: setting one deletes the key.
//  3. A revision is made by every write of the value and by every deletion, and by nothing else.
//  4. Only Set and Expire change an expiry; what changes a value in place keeps it.
package keys

import (
	"bytes"

	"kahuna/mvcc"
	"kahuna/op"
)

// Run runs an operation on a key. handled is false for any other operation, and for those that need more than a View: a
// History, and a Get or Look of an old revision.
func Run(v mvcc.View, o op.Op) (res op.Result, handled bool, err error) {
	switch o := o.(type) {
	case *op.Set:
		res, err = Set(v, o)
	case *op.Delete:
		res, err = Delete(v, o)
	case *op.Expire:
		res, err = Expire(v, o)
	case *op.Incr:
		res, err = Incr(v, o)
	case *op.IncrFloat:
		res, err = IncrFloat(v, o)
	case *op.AppendTo:
		res, err = AppendTo(v, o)
	case *op.SetRange:
		res, err = SetRange(v, o)
	case *op.Get:
		if o.AtRev != 0 {
			return op.Result{}, false, nil
		}
		res, err = Get(v, o)
	case *op.Put:
		res, err = Put(v, o)
	case *op.Look:
		if o.AtRev != 0 {
			return op.Result{}, false, nil
		}
		res, err = Look(v, o)
	default:
		return op.Result{}, false, nil
	}
	if err != nil {
		return op.Result{}, true, err
	}
	return res, true, nil
}

// Get reads the current version of a key; AtRev is not looked at.
func Get(v mvcc.View, o *op.Get) (op.Result, error) {
	cur, found, err := v.Get(op.Key(o.Key))
	if err != nil || !found {
		return op.Result{}, err
	}
	if cur.Type != mvcc.TypeString {
		return op.Result{Status: op.WrongType}, nil
	}
	return op.Result{
		Found:    true,
		Value:    bytes.Clone(cur.Value),
		Rev:      cur.Rev,
		TS:       cur.TS,
		ExpireAt: cur.ExpireAt,
	}, nil
}

// Look reads the current version of a key, whatever its type; AtRev is not looked at.
func Look(v mvcc.View, o *op.Look) (op.Result, error) {
	cur, found, err := v.Get(op.Key(o.Key))
	if err != nil || !found {
		return op.Result{}, err
	}
	res := op.Result{Found: true, Int: int64(cur.Type), Rev: cur.Rev, TS: cur.TS, ExpireAt: cur.ExpireAt}
	if o.Values {
		res.Value = bytes.Clone(cur.Value)
	}
	return res, nil
}

// Delete deletes a key. Deleting one that does not exist is not Done, whatever the condition. When the condition fails, Rev
// is the current revision.
func Delete(v mvcc.View, o *op.Delete) (op.Result, error) {
	n := op.Key(o.Key)
	cur, found, err := v.Get(n)
	if err != nil || !found {
		return op.Result{}, err
	}
	c := condition{o.Cond, o.CondValue, o.CondRev}
	if cur.Type != mvcc.TypeString && (o.WantOld || c.readsValue()) {
		return op.Result{Status: op.WrongType}, nil
	}
	var res op.Result
	if o.WantOld {
		res.Found, res.Value = true, bytes.Clone(cur.Value)
	}
	if !c.holds(cur, true) {
		res.Rev = cur.Rev
		return res, nil
	}
	res.Done = true
	res.Rev, err = v.Delete(n)
	return res, err
}

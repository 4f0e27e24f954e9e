// Package hashes is the rules of hashes: what HSET, HDEL, HINCRBY and the like do to a key, as pure functions over a View. As those
// of keys, they run the same in a log entry, in a Multi and on a transaction's working set.
//
// A hash is one value: its fields in one piece of bytes (codec.go), written anew by every change. So it has revisions, history,
// expiry and intents as any value has, and a change costs as much as the hash is large. It is meant for what fits well into the
// limit of a value: the state of an object, the holders of a lock.
//
// What holds for all of them:
//
//  1. An operation that ends with a Status other than OK, or with Done false, changed nothing.
//  2. A hash has at least one field: with the last one the key is deleted.
//  3. Fields stand in the order in which they were first set; one that was deleted and set again is the last.
//  4. The expiry stays.
//
// An error is the View's own, or ErrDamaged: a fault. What a Result holds is a copy.
package hashes

import (
	"bytes"

	"kahuna/keys"
	"kahuna/mvcc"
	"kahuna/op"
)

// Run runs an operation on a hash. handled is false for any other operation.
func Run(v mvcc.View, o op.Op) (res op.Result, handled bool, err error) {
	switch o := o.(type) {
	case *op.HashSet:
		res, err = Set(v, o)
	case *op.HashDelete:
		res, err = Delete(v, o)
	case *op.HashIncr:
		res, err = Incr(v, o)
	case *op.HashIncrFloat:
		res, err = IncrFloat(v, o)
	case *op.HashGet:
		res, err = Get(v, o)
	default:
		return op.Result{}, false, nil
	}
	if err != nil {
		return op.Result{}, true, err
	}
	return res, true, nil
}

// change computes the new stored form of a hash from the old one (nil if there is none), which it must not change. An empty one
// deletes the key. With write false the key stays as it is, and only res is answered.
type change func(old []byte) (next []byte, write bool, res op.Result, err error)

// modify changes a hash in place: the expiry stays. maxBytes bounds its stored form.
func modify(v mvcc.View, key []byte, maxBytes uint64, f change) (op.Result, error) {
	n := op.Key(key)
	cur, found, err := v.Get(n)
	if err != nil {
		return op.Result{}, err
	}
	if found && cur.Type != mvcc.TypeHash {
		return op.Result{Status: op.WrongType}, nil
	}
	next, write, res, err := f(cur.Value)
	switch {
	case err != nil || !write:
		return res, err
	case len(next) == 0:
		res.Rev, err = v.Delete(n)
	case uint64(len(next)) > maxBytes && len(next) > len(cur.Value):
		return op.Result{Status: op.TooLarge}, nil
	default:
		cur, err = v.Put(n, mvcc.Record{Type: mvcc.TypeHash, Value: next, ExpireAt: cur.ExpireAt})
		res.Rev = cur.Rev
	}
	res.Done = true
	return res, err
}

func refuse(s op.Status) ([]byte, bool, op.Result, error) {
	return nil, false, op.Result{Status: s}, nil
}

// Set sets fields; of one that is named twice the last value counts.
func Set(v mvcc.View, o *op.HashSet) (op.Result, error) {
	return modify(v, o.Key, o.MaxBytes, func(old []byte) ([]byte, bool, op.Result, error) {
		next, added, err := set(old, o.Fields)
		if err != nil || o.IfNone && added < len(o.Fields) {
			return nil, false, op.Result{}, err
		}
		return next, len(o.Fields) > 0, op.Result{Int: int64(added)}, nil
	})
}

// Delete deletes fields; those that are not there do not count.
func Delete(v mvcc.View, o *op.HashDelete) (op.Result, error) {
	return modify(v, o.Key, 0, func(old []byte) ([]byte, bool, op.Result, error) {
		next, removed, err := remove(old, o.Fields)
		return next, removed > 0, op.Result{Int: int64(removed)}, err
	})
}

// Incr adds to the integer in a field.
func Incr(v mvcc.View, o *op.HashIncr) (op.Result, error) {
	return modify(v, o.Key, o.MaxBytes, func(old []byte) ([]byte, bool, op.Result, error) {
		was, found, err := find(old, o.Field)
		if err != nil {
			return nil, false, op.Result{}, err
		}
		text, sum, status := keys.AddInt(was, found, o.Delta)
		if status != op.OK {
			return refuse(status)
		}
		next, _, err := set(old, []op.Field{{Name: o.Field, Value: text}})
		return next, true, op.Result{Int: sum}, err
	})
}

// IncrFloat adds to the number in a field, as keys.IncrFloat does.
func IncrFloat(v mvcc.View, o *op.HashIncrFloat) (op.Result, error) {
	return modify(v, o.Key, o.MaxBytes, func(old []byte) ([]byte, bool, op.Result, error) {
		was, found, err := find(old, o.Field)
		if err != nil {
			return nil, false, op.Result{}, err
		}
		text, status := keys.AddFloat(was, found, o.Delta)
		if status != op.OK {
			return refuse(status)
		}
		next, _, err := set(old, []op.Field{{Name: o.Field, Value: text}})
		return next, true, op.Result{Value: text}, err
	})
}

// Get reads fields, or the whole.
func Get(v mvcc.View, o *op.HashGet) (op.Result, error) {
	cur, found, err := v.Get(op.Key(o.Key))
	if err != nil {
		return op.Result{}, err
	}
	if found && cur.Type != mvcc.TypeHash {
		return op.Result{Status: op.WrongType}, nil
	}
	items, count, err := pick(cur.Value, o.Fields, o.MaxBytes)
	if err != nil {
		return op.Result{}, err
	}
	if items == nil && len(o.Fields) > 0 {
		return op.Result{Status: op.TooLarge}, nil
	}
	res := op.Result{Found: found, Int: int64(count), Items: items, Rev: cur.Rev, TS: cur.TS, ExpireAt: cur.ExpireAt}
	if !found {
		res.Rev, res.TS = 0, 0
	}
	if found && o.Whole {
		res.Value = bytes.Clone(cur.Value)
	}
	return res, nil
}

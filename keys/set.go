package keys

import (
	"bytes"

	"kahuna/mvcc"
	"kahuna/op"
)

// Set writes a key, whatever type of value it had. With an expiry that is not in the future it deletes the key, which is
// Done too: Rev is then the deletion's, or 0 when there was nothing to delete.
func Set(v mvcc.View, o *op.Set) (op.Result, error) {
	n := op.Key(o.Key)
	cur, found, err := v.Get(n)
	if err != nil {
		return op.Result{}, err
	}
	c := condition{o.Cond, o.CondValue, o.CondRev}
	if found && cur.Type != mvcc.TypeString && (o.WantOld || c.readsValue()) {
		return op.Result{Status: op.WrongType}, nil
	}
	var res op.Result
	if o.WantOld && found {
		res.Found, res.Value = true, bytes.Clone(cur.Value)
	}
	if !c.holds(cur, found) {
		if found {
			res.Rev = cur.Rev
		}
		return res, nil
	}
	res.Done = true
	at := expiry(o.Expiry, v.Now(), cur.ExpireAt)
	if past(at, v.Now()) {
		if found {
			res.Rev, err = v.Delete(n)
		}
		return res, err
	}
	next, err := v.Put(n, mvcc.Record{Type: mvcc.TypeString, Value: o.Value, ExpireAt: at, NoRev: o.NoRev})
	res.Rev = next.Rev
	return res, err
}

// Put writes a value of any type. Its expiry is as that of a Set.
func Put(v mvcc.View, o *op.Put) (op.Result, error) {
	n := op.Key(o.Key)
	cur, found, err := v.Get(n)
	if err != nil || found && o.IfNone {
		return op.Result{}, err
	}
	res := op.Result{Done: true}
	at := expiry(o.Expiry, v.Now(), cur.ExpireAt)
	if past(at, v.Now()) {
		if found {
			res.Rev, err = v.Delete(n)
		}
		return res, err
	}
	next, err := v.Put(n, mvcc.Record{Type: mvcc.Type(o.Type), Value: o.Value, ExpireAt: at, NoRev: o.NoRev})
	res.Rev = next.Rev
	return res, err
}

// condition is what a Set or a Delete asks of the current version.
type condition struct {
	cond  op.Cond
	value []byte
	rev   uint64
}

func (c condition) readsValue() bool { return c.cond == op.IfEqual || c.cond == op.IfOther }

func (c condition) holds(cur mvcc.Record, found bool) bool {
	switch c.cond {
	case op.Always:
		return true
	case op.IfNone:
		return !found
	case op.IfAny:
		return found
	case op.IfEqual:
		return found && bytes.Equal(cur.Value, c.value)
	case op.IfOther:
		return !found || !bytes.Equal(cur.Value, c.value)
	case op.IfRev:
		// An absent key has a revision to go on counting from, but to a condition its revision is 0.
		return found && cur.Rev == c.rev || !found && c.rev == 0
	}
	return false
}

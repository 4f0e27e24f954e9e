package keys

import (
	"bytes"

	"kahuna/mvcc"
	"kahuna/op"
)

// Expire changes a key's expiry. The conditions are judged before anything else, as Redis does, so an expiry in the past that
// fails one does not delete the key. They do not concern ExpiryClear and ExpiryKeep; the latter changes nothing.
func Expire(v mvcc.View, o *op.Expire) (op.Result, error) {
	n := op.Key(o.Key)
	cur, found, err := v.Get(n)
	if err != nil || !found {
		return op.Result{}, err
	}
	if o.WantOld && cur.Type != mvcc.TypeString {
		return op.Result{Status: op.WrongType}, nil
	}
	res := op.Result{Found: true}
	if o.WantOld {
		res.Value = bytes.Clone(cur.Value)
	}
	at := expiry(o.Expiry, v.Now(), cur.ExpireAt)
	sets := o.Expiry.Mode == op.ExpiryIn || o.Expiry.Mode == op.ExpiryAt
	switch {
	case sets && !allows(o.Conds, cur.ExpireAt, at):
		return res, nil
	case past(at, v.Now()):
		_, err = v.Delete(n)
	case at == cur.ExpireAt:
		res.Done = sets
		return res, nil
	default:
		err = v.PutExpiry(n, at)
	}
	res.Done = true
	return res, err
}

// allows judges the conditions of an Expire from the expiry was (0: none) to is, in milliseconds, as Redis counts.
func allows(conds op.ExpireCond, was, is op.Timestamp) bool {
	switch {
	case conds&op.ExpireNone != 0 && was != 0:
		return false
	case conds&op.ExpireAny != 0 && was == 0:
		return false
	case conds&op.ExpireLater != 0 && (was == 0 || is.UnixMilli() <= was.UnixMilli()):
		return false
	case conds&op.ExpireSooner != 0 && was != 0 && is.UnixMilli() >= was.UnixMilli():
		return false
	}
	return true
}

// expiry is when a key goes that had the expiry was and gets e at now; 0: never.
func expiry(e op.Expiry, now, was op.Timestamp) op.Timestamp {
	switch e.Mode {
	case op.ExpiryKeep:
		return was
	case op.ExpiryIn:
		return now.Add(e.Milli)
	case op.ExpiryAt:
		// Times before the epoch are 0 as timestamps, which would mean "never".
		return max(op.FromUnixMilli(e.Milli), 1)
	}
	return 0
}

func past(at, now op.Timestamp) bool { return at != 0 && at <= now }

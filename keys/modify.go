package keys

import (
	"math"
	"slices"
	"strconv"

	"kahuna/mvcc"
	"kahuna/op"
)

// change computes the new value of a key from the old one (nil if there is none), which it must not change. With write false
// the key stays as it is, and only res is answered.
type change func(old []byte, found bool) (next []byte, write bool, res op.Result)

// modify changes a string in place: the expiry stays.
func modify(v mvcc.View, key []byte, f change) (op.Result, error) {
	n := op.Key(key)
	cur, found, err := v.Get(n)
	if err != nil {
		return op.Result{}, err
	}
	if found && cur.Type != mvcc.TypeString {
		return op.Result{Status: op.WrongType}, nil
	}
	next, write, res := f(cur.Value, found)
	if !write {
		return res, nil
	}
	rec, err := v.Put(n, mvcc.Record{Type: mvcc.TypeString, Value: next, ExpireAt: cur.ExpireAt})
	res.Done, res.Rev = true, rec.Rev
	return res, err
}

func refuse(s op.Status) ([]byte, bool, op.Result) { return nil, false, op.Result{Status: s} }

// Incr adds to an integer.
func Incr(v mvcc.View, o *op.Incr) (op.Result, error) {
	return modify(v, o.Key, func(old []byte, found bool) ([]byte, bool, op.Result) {
		text, sum, status := AddInt(old, found, o.Delta)
		if status != op.OK {
			return refuse(status)
		}
		return text, true, op.Result{Int: sum}
	})
}

// AddInt adds to the integer that is written in old, or to 0 when there is none, and gives the sum with its text. The status is
// NotInteger or Overflow when that can't be done.
func AddInt(old []byte, found bool, delta int64) (text []byte, sum int64, status op.Status) {
	if found {
		var ok bool
		if sum, ok = parseInt(old); !ok {
			return nil, 0, op.NotInteger
		}
	}
	if delta > 0 && sum > math.MaxInt64-delta || delta < 0 && sum < math.MinInt64-delta {
		return nil, 0, op.Overflow
	}
	sum += delta
	return strconv.AppendInt(nil, sum, 10), sum, op.OK
}

// parseInt reads an integer exactly as it would be written, which is what Redis accepts: no spaces, plus sign, leading zeros
// or -0.
func parseInt(b []byte) (int64, bool) {
	const longest = len("-9223372036854775808")
	if len(b) > longest {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var text [longest]byte
	return n, string(strconv.AppendInt(text[:0], n, 10)) == string(b)
}

// AppendTo appends to a string; a missing key is made, also with nothing to append.
func AppendTo(v mvcc.View, o *op.AppendTo) (op.Result, error) {
	return modify(v, o.Key, func(old []byte, _ bool) ([]byte, bool, op.Result) {
		if !fits(uint64(len(old)), uint64(len(o.Value)), o.MaxBytes) {
			return refuse(op.TooLarge)
		}
		next := slices.Concat(old, o.Value)
		return next, true, op.Result{Int: int64(len(next))}
	})
}

// SetRange overwrites part of a string. With nothing to write it answers the length and changes nothing: a missing key stays
// missing.
func SetRange(v mvcc.View, o *op.SetRange) (op.Result, error) {
	return modify(v, o.Key, func(old []byte, _ bool) ([]byte, bool, op.Result) {
		if len(o.Value) == 0 {
			return nil, false, op.Result{Int: int64(len(old))}
		}
		if !fits(o.Offset, uint64(len(o.Value)), o.MaxBytes) {
			return refuse(op.TooLarge)
		}
		end := int(o.Offset) + len(o.Value)
		next := make([]byte, max(len(old), end))
		copy(next, old)
		copy(next[o.Offset:], o.Value)
		return next, true, op.Result{Int: int64(len(next))}
	})
}

// fits tells whether a value that has bytes up to a place, and then more, is within the limit; the sum may not overflow.
func fits(place, more, limit uint64) bool { return place <= limit && more <= limit-place }

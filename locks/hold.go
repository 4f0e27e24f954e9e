package locks

import (
	"slices"

	"kahuna/mvcc"
	"kahuna/op"
)

// Release gives an owner's hold back. When it was the last, the lock is free.
func Release(v mvcc.View, o *op.LockRelease) (op.Result, error) {
	s, _, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	i := holdOf(&s, o.Owner)
	if i < 0 {
		return op.Result{}, nil
	}
	return end(v, o.Name, &s, i)
}

// Extend makes an owner's lease TTLMilli from now, which may be shorter than it was. BadSettings: TTLMilli is not positive.
func Extend(v mvcc.View, o *op.LockExtend) (op.Result, error) {
	if o.TTLMilli <= 0 {
		return op.Result{Status: op.BadSettings}, nil
	}
	s, _, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	i := holdOf(&s, o.Owner)
	if i < 0 {
		return op.Result{}, nil
	}
	return lease(v, o.Name, &s, &s.Holds[i], o.TTLMilli)
}

// Break puts one owner out, or all of them.
func Break(v mvcc.View, o *op.LockBreak) (op.Result, error) {
	s, held, err := load(v, o.Name)
	if err != nil || !held {
		return op.Result{}, err
	}
	before := len(s.Holds)
	if o.AnyOwner {
		s.Holds = nil
	} else if i := holdOf(&s, o.Owner); i >= 0 {
		s.Holds = slices.Delete(s.Holds, i, i+1)
	}
	out := before - len(s.Holds)
	if out == 0 {
		return op.Result{}, nil
	}
	return op.Result{Done: true, Int: int64(out)}, save(v, o.Name, &s)
}

// Expire ends an owner's hold because its lease ran out. It compares: a hold that was renewed, extended or granted anew since
// the leader looked has another Granted, and stays.
func Expire(v mvcc.View, o *op.LockExpire) (op.Result, error) {
	s, _, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	i := holdOf(&s, o.Owner)
	if i < 0 || s.Holds[i].Granted != o.Granted {
		return op.Result{}, nil
	}
	return end(v, o.Name, &s, i)
}

// end takes the hold at i away.
func end(v mvcc.View, name []byte, s *op.LockState, i int) (op.Result, error) {
	s.Holds = slices.Delete(s.Holds, i, i+1)
	return op.Result{Done: true}, save(v, name, s)
}

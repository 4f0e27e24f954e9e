package locks

import (
	"kahuna/mvcc"
	"kahuna/op"
)

// Acquire asks for a lock.
//
// An owner that holds it in the mode asked for keeps its token, and its lease starts again with the longer of its ttl and the
// one asked for: so it lasts at least that long from now, and a retry does no harm. (What is left of the old lease can't be
// told from timestamps, which may run ahead of the leader's monotonic clock.)
//
// An owner that holds it alone, exclusive or shared, and asks for the other of the two, changes over. That is a new grant
// with a new token, for a reader that left in between may have used a larger token than this owner's; its lease too is the
// longer of the two.
//
// BadSettings: a ttl that is not positive, or a shared lock with permits. TooLarge: the state would pass StateBytesMax.
func Acquire(v mvcc.View, o *op.LockAcquire) (op.Result, error) { return acquire(v, o, true) }

// Renew is Acquire for an owner who holds the lock already; to others it answers that they do not get it. It is for a lock
// that others wait for, who are not to be overtaken.
func Renew(v mvcc.View, o *op.LockRenew) (op.Result, error) {
	return acquire(v, &op.LockAcquire{Name: o.Name, Owner: o.Owner, TTLMilli: o.TTLMilli, Shared: o.Shared, Permits: o.Permits}, false)
}

// acquire makes a new holder only if it may.
func acquire(v mvcc.View, o *op.LockAcquire, mayEnter bool) (op.Result, error) {
	if o.TTLMilli <= 0 || o.Shared && o.Permits > 1 {
		return op.Result{Status: op.BadSettings}, nil
	}
	asked := op.LockState{Shared: o.Shared, Permits: max(o.Permits, 1)}
	if o.Shared {
		asked.Permits = 0
	}
	s, held, err := load(v, o.Name)
	if err != nil {
		return op.Result{}, err
	}
	if !held && mayEnter {
		return grant(v, o, &asked, o.TTLMilli)
	}
	if held && size(&s) != size(&asked) {
		return op.Result{Status: op.Mismatch}, nil
	}
	if i := holdOf(&s, o.Owner); i >= 0 {
		return again(v, o, &s, &asked, i)
	}
	if mayEnter && admits(&s, &asked) {
		return grant(v, o, &s, o.TTLMilli)
	}
	return op.Result{}, nil
}

// again answers the owner of the hold at i, who asks once more.
func again(v mvcc.View, o *op.LockAcquire, s, asked *op.LockState, i int) (res op.Result, err error) {
	h := &s.Holds[i]
	switch {
	case s.Shared == asked.Shared:
		res, err = lease(v, o.Name, s, h, max(h.TTLMilli, o.TTLMilli))
	case len(s.Holds) == 1:
		res, err = grant(v, o, asked, max(h.TTLMilli, o.TTLMilli))
	}
	res.Found = err == nil && res.Status == op.OK
	return res, err
}

// size is the number of permits that a mode stands for; all who ask for a held lock must name the same.
func size(s *op.LockState) uint32 { return max(s.Permits, 1) }

// admits tells whether a held lock has room for one more holder in the mode asked for.
func admits(s, asked *op.LockState) bool {
	if s.Shared || asked.Shared {
		return s.Shared && asked.Shared
	}
	return uint64(len(s.Holds)) < uint64(s.Permits)
}

// grant adds the owner to the holders in s, which may be none yet.
func grant(v mvcc.View, o *op.LockAcquire, s *op.LockState, ttlMilli int64) (op.Result, error) {
	now := v.Now()
	s.Holds = append(s.Holds, op.Hold{Owner: o.Owner, Token: now, Granted: now, TTLMilli: ttlMilli})
	state := op.AppendLock(nil, s)
	if len(state) > StateBytesMax {
		return op.Result{Status: op.TooLarge}, nil
	}
	if err := put(v, o.Name, state); err != nil {
		return op.Result{}, err
	}
	return op.Result{Done: true, Int: int64(now)}, nil
}

// lease starts the lease of a hold in s again.
func lease(v mvcc.View, name []byte, s *op.LockState, h *op.Hold, ttlMilli int64) (op.Result, error) {
	h.Granted, h.TTLMilli = v.Now(), ttlMilli
	if err := save(v, name, s); err != nil {
		return op.Result{}, err
	}
	return op.Result{Done: true, Int: int64(h.Token)}, nil
}

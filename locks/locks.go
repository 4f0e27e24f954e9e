// Package locks is the rules of locks: who gets one, with which fencing token, and when a hold ends, as pure functions over
// a View. The same functions run in a log entry, in a Multi and on a transaction's working set.
//
// A held lock is one record, whose value is the encoded op.LockState; a free lock has none. The record has no expiry: a
// lease is measured on the leader's monotonic clock, and its end is said in the log (LockExpire). Locks have history, save
// for states of very many holders.
//
// A lock is held in one of three modes, which the first grant sets and which stays until it is free:
//
//   - exclusive (Permits 1): one holder;
//   - shared (Permits 0): any number of readers;
//   - a semaphore of n (Permits n, above 1): up to n holders.
//
// Exclusive and shared exclude each other, so a request in the other mode waits. A semaphore has one size: a request that
// names another (exclusive and shared name 1) is a Mismatch.
//
// What holds:
//
//  1. Never two exclusive holders, never a reader beside one, never more holders than permits, no owner twice.
//  2. The token of a grant is the timestamp of the operation, so tokens rise from grant to grant of a lock for ever: no
//     counter is kept that a deletion could lose. Only operations that share a timestamp, in one Multi, share a token.
//  3. Granted, the timestamp of the last grant, renewal or extension, is a new one each time. It names the lease, and an
//     expiry of an older lease never ends a newer one.
//  4. Asking again never shortens a lease; only LockExtend does.
package locks

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"kahuna/mvcc"
	"kahuna/op"
)

// StateBytesMax bounds the encoded state of a lock, and so the number of its holders: about 5,000 with owners of 30 bytes.
const StateBytesMax = 256 << 10

// keptBytesMax is the largest state that is kept in the history: about 80 holders with owners of 30 bytes.
const keptBytesMax = 4 << 10

// ErrDamaged says that the stored state of a lock can't be, or lies in the operation's future. It is a fault of the store,
// never an answer.
var ErrDamaged = errors.New("locks: the stored state is damaged")

// Run runs an operation on a lock; handled is false for any other.
func Run(v mvcc.View, o op.Op) (res op.Result, handled bool, err error) {
	switch o := o.(type) {
	case *op.LockAcquire:
		res, err = Acquire(v, o)
	case *op.LockRenew:
		res, err = Renew(v, o)
	case *op.LockRelease:
		res, err = Release(v, o)
	case *op.LockExtend:
		res, err = Extend(v, o)
	case *op.LockBreak:
		res, err = Break(v, o)
	case *op.LockExpire:
		res, err = Expire(v, o)
	case *op.LockInfo:
		res, err = Info(v, o)
	default:
		return op.Result{}, false, nil
	}
	if err != nil {
		return op.Result{}, true, err
	}
	return res, true, nil
}

// Info reads a lock.
func Info(v mvcc.View, o *op.LockInfo) (op.Result, error) {
	s, held, err := load(v, o.Name)
	if err != nil || !held {
		return op.Result{}, err
	}
	for i := range s.Holds {
		s.Holds[i].Owner = bytes.Clone(s.Holds[i].Owner)
	}
	return op.Result{Found: true, Lock: &s}, nil
}

// Decode reads the state of a held lock from its record. The owners in it point into the record's value.
func Decode(rec mvcc.Record) (op.LockState, error) {
	s, err := op.DecodeLock(rec.Value)
	if err != nil || rec.Type != mvcc.TypeString || !valid(&s) {
		return op.LockState{}, ErrDamaged
	}
	return s, nil
}

func valid(s *op.LockState) bool {
	holders := uint64(len(s.Holds))
	if holders == 0 || s.Shared != (s.Permits == 0) || !s.Shared && holders > uint64(s.Permits) {
		return false
	}
	last := op.Timestamp(1)
	for _, h := range s.Holds {
		if h.Token < last || h.Granted < h.Token || h.TTLMilli <= 0 {
			return false
		}
		last = h.Token
	}
	return true
}

func load(v mvcc.View, name []byte) (op.LockState, bool, error) {
	rec, held, err := v.Get(op.Lock(name))
	if err != nil || !held {
		return op.LockState{}, false, err
	}
	s, err := Decode(rec)
	if err != nil {
		return op.LockState{}, false, fmt.Errorf("%w: lock %q", err, name)
	}
	for _, h := range s.Holds {
		if h.Granted > v.Now() {
			return op.LockState{}, false, fmt.Errorf("%w: lock %q has a grant at %d, after %d", ErrDamaged, name, h.Granted, v.Now())
		}
	}
	return s, true, nil
}

// save writes the state back; without a holder the lock is free, and its record goes.
func save(v mvcc.View, name []byte, s *op.LockState) error {
	if len(s.Holds) == 0 {
		_, err := v.Delete(op.Lock(name))
		return err
	}
	return put(v, name, op.AppendLock(nil, s))
}

// put writes a state. One of many holders is not kept in the history once it is replaced: each of them would leave a copy of
// all, which for thousands of readers is more than the store should have to hold.
func put(v mvcc.View, name, state []byte) error {
	_, err := v.Put(op.Lock(name), mvcc.Record{Type: mvcc.TypeString, Value: state, NoRev: len(state) > keptBytesMax})
	return err
}

// holdOf is the place of an owner's hold, or -1.
func holdOf(s *op.LockState, owner []byte) int {
	return slices.IndexFunc(s.Holds, func(h op.Hold) bool { return bytes.Equal(h.Owner, owner) })
}

package storage

import (
	"bytes"
	"errors"

	badger "github.com/dgraph-io/badger/v4"
)

// begin admits one call that reads, and must be followed by end.
func (s *Store) begin() error { return s.admit(s.reads) }

func (s *Store) end() { s.reads.end() }

func (s *Store) admit(u *usage) error {
	if err := s.faults.check(); err != nil {
		return err
	}
	if !u.begin() {
		return ErrClosed
	}
	return nil
}

// newTxn starts a transaction of Badger. It waits for commits under way, so it counts as one of them, and not as a read.
func (s *Store) newTxn(update bool) (txn *badger.Txn, err error) {
	if err := s.admit(s.writes); err != nil {
		return nil, err
	}
	defer s.writes.end()
	defer s.recoverPanic(nil, &err)
	return s.db.NewTransaction(update), nil
}

// discard gives a transaction back. After Close there is nobody left to give it to.
func (s *Store) discard(txn *badger.Txn) {
	if s.reads.begin() {
		txn.Discard()
		s.reads.end()
	}
}

// recoverPanic makes a panic of Badger a fault. While *calling, the panic is the caller's own and goes on to it.
func (s *Store) recoverPanic(calling *bool, err *error) {
	if calling != nil && *calling {
		return
	}
	if r := recover(); r != nil {
		*err = s.faults.raise(caught("", r))
	}
}

// checkAlarm is a fault if a checksum was found wrong since the store was opened.
func (s *Store) checkAlarm() error {
	if alarm.rung.Load() == s.alarmsBefore {
		return nil
	}
	return s.faults.raise(&DamagedError{Reason: "a block's checksum is wrong"})
}

func (s *Store) get(txn *badger.Txn, key []byte) (value []byte, ok bool, err error) {
	if err := s.begin(); err != nil {
		return nil, false, err
	}
	defer s.end()
	defer s.recoverPanic(nil, &err)
	item, err := txn.Get(key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return nil, false, s.checkAlarm()
	case err != nil:
		return nil, false, s.faults.raise(err)
	}
	// The item, and the slice that Value fills, are of this call alone: nobody reuses them.
	err = item.Value(func(v []byte) error { value = v; return nil })
	if err != nil {
		return nil, false, s.faults.raise(err)
	}
	return value, true, s.checkAlarm()
}

// span says what a scan goes over.
type span struct {
	lo, hi            []byte
	reverse, keysOnly bool
}

func (p span) holds(key []byte) bool {
	return bytes.Compare(key, p.lo) >= 0 && (len(p.hi) == 0 || bytes.Compare(key, p.hi) < 0)
}

// prefix is what all keys of the span begin with. Badger leaves out the tables that have no such key.
func (p span) prefix() []byte {
	n := 0
	for n < len(p.lo) && n < len(p.hi) && p.lo[n] == p.hi[n] {
		n++
	}
	return p.lo[:n]
}

// scanFunc is called for each key; see Batch.Scan.
type scanFunc = func(key, value []byte) (more bool, err error)

// walkFunc is called for each key; see Batch.Walk.
type walkFunc = func(key, value []byte) (to []byte, more bool, err error)

func (s *Store) scan(txn *badger.Txn, own *writeSet, p span, fn scanFunc) error {
	return s.walk(txn, own, p, func(key, value []byte) ([]byte, bool, error) {
		more, err := fn(key, value)
		return nil, more, err
	})
}

func (s *Store) walk(txn *badger.Txn, own *writeSet, p span, fn walkFunc) (err error) {
	if len(p.hi) > 0 && bytes.Compare(p.lo, p.hi) >= 0 {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	calling := false
	defer s.recoverPanic(&calling, &err)
	m := newMerge(txn, own, p)
	defer m.close()
	for m.next() {
		var value []byte
		if !p.keysOnly {
			value = m.value
		}
		if err := s.checkAlarm(); err != nil {
			return err
		}
		calling = true
		to, more, err := fn(m.key, value)
		calling = false
		if err != nil || !more {
			return err
		}
		if to != nil {
			m.skip(to)
		}
	}
	if m.err != nil {
		return s.faults.raise(m.err)
	}
	return s.checkAlarm()
}

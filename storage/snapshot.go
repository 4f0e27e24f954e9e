package storage

import (
	"sync"

	badger "github.com/dgraph-io/badger/v4"
)

// Snapshot is the store as it was at one moment. It may be used by several goroutines. While it is open, what it sees takes
// up space on disk.
type Snapshot struct {
	s    *Store
	txn  *badger.Txn
	err  error
	once sync.Once
}

// Snapshot is a view of everything committed so far. It must be closed, after the last use of it has returned.
func (s *Store) Snapshot() *Snapshot {
	v := &Snapshot{s: s}
	v.txn, v.err = s.newTxn(false)
	return v
}

// Get is the value of a key. It is not to be changed, and stays valid after Close.
func (v *Snapshot) Get(key []byte) (value []byte, ok bool, err error) {
	if v.err != nil {
		return nil, false, v.err
	}
	return v.s.get(v.txn, key)
}

// Scan calls fn for every key in [lo, hi); see Batch.Scan.
func (v *Snapshot) Scan(lo, hi []byte, reverse, keysOnly bool, fn func(key, value []byte) (more bool, err error)) error {
	if v.err != nil {
		return v.err
	}
	return v.s.scan(v.txn, nil, span{lo, hi, reverse, keysOnly}, fn)
}

// Walk calls fn for keys in [lo, hi) in their order; see Batch.Walk.
func (v *Snapshot) Walk(lo, hi []byte, fn func(key, value []byte) (to []byte, more bool, err error)) error {
	if v.err != nil {
		return v.err
	}
	return v.s.walk(v.txn, nil, span{lo: lo, hi: hi}, fn)
}

// Close ends the view.
func (v *Snapshot) Close() {
	if v.txn != nil {
		v.once.Do(func() { v.s.discard(v.txn) })
	}
}

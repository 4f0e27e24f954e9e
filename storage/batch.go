package storage

import (
	"errors"

	badger "github.com/dgraph-io/badger/v4"
)

// Batch is one atomic write that reads its own writes. It is for one goroutine. Several batches may be open at a time if
// nobody writes what another one reads or writes: conflicts are not detected.
type Batch struct {
	s    *Store
	txn  *badger.Txn
	own  *writeSet
	err  error // first error of a write, told by Commit
	done bool
}

// NewBatch starts a batch. It must end with Commit or Discard; Discard after Commit does nothing.
func (s *Store) NewBatch() *Batch {
	b := &Batch{s: s}
	if b.txn, b.err = s.newTxn(true); b.err != nil {
		b.done = true
		return b
	}
	b.own = s.writeSets.Get().(*writeSet)
	return b
}

// Get is the value of a key: what the batch wrote, else what is in the store. It is not to be changed, and is valid until
// the batch ends.
func (b *Batch) Get(key []byte) (value []byte, ok bool, err error) {
	if b.done {
		return nil, false, b.ended()
	}
	if pos, _ := b.own.find(key); pos >= 0 {
		w := &b.own.writes[pos]
		return w.value, !w.deleted, nil
	}
	return b.s.get(b.txn, key)
}

// Set writes a key. Key and value belong to the batch from here on.
func (b *Batch) Set(key, value []byte) {
	if len(value) > b.s.limits.valueBytes {
		b.refuse(ErrBadEntry)
	}
	if value == nil {
		value = []byte{}
	}
	b.put(write{key: key, value: value})
}

// Delete deletes a key, there or not. The key belongs to the batch from here on.
func (b *Batch) Delete(key []byte) { b.put(write{key: key, deleted: true}) }

func (b *Batch) put(w write) {
	if b.done {
		return
	}
	if len(w.key) == 0 || len(w.key) > KeyBytesMax {
		b.refuse(ErrBadEntry)
		return
	}
	b.own.put(w)
}

func (b *Batch) refuse(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Scan calls fn for every key in [lo, hi), in order or from the end, as the batch sees it when Scan is called; an empty hi is
// no bound. Key and value are valid during the call only; with keysOnly the value is nil. It ends when fn wants no more, or
// with fn's error. fn may use the batch.
func (b *Batch) Scan(lo, hi []byte, reverse, keysOnly bool, fn func(key, value []byte) (more bool, err error)) error {
	if b.done {
		return b.ended()
	}
	return b.s.scan(b.txn, b.own, span{lo, hi, reverse, keysOnly}, fn)
}

// Walk is a Scan forward that may leave keys out: where fn returns a key to go to, which is above the one it was called for, it is called next for the
// first one at or after that.
func (b *Batch) Walk(lo, hi []byte, fn func(key, value []byte) (to []byte, more bool, err error)) error {
	if b.done {
		return b.ended()
	}
	return b.s.walk(b.txn, b.own, span{lo: lo, hi: hi}, fn)
}

// Bytes is what the batch would count against MaxBatchBytes.
func (b *Batch) Bytes() int {
	if b.done {
		return 0
	}
	return b.own.bytes
}

// Len is how many keys the batch writes.
func (b *Batch) Len() int {
	if b.done {
		return 0
	}
	return len(b.own.writes)
}

// Commit writes the batch as one transaction and ends it. ErrTooBig and ErrBadEntry: nothing was written, and the store
// goes on. Any other error is a fault.
func (b *Batch) Commit() error {
	if b.done {
		return b.ended()
	}
	defer b.Discard()
	switch {
	case b.err != nil:
		return b.err
	case len(b.own.writes) == 0:
		return nil
	case b.own.sets == 0:
		b.own.put(write{key: witnessKey, value: []byte{storedFormat}}) // see doc.go
	}
	if b.own.bytes > b.s.limits.batchBytes || len(b.own.writes) > b.s.limits.batchKeys {
		return ErrTooBig
	}
	return b.s.commit(b.txn, b.own)
}

// Discard ends the batch without writing. It may be called after Commit.
func (b *Batch) Discard() {
	if b.done {
		return
	}
	b.done = true
	b.own.reset()
	b.s.writeSets.Put(b.own)
	b.own = nil
	b.s.discard(b.txn)
}

var errEnded = errors.New("storage: the batch has ended")

func (b *Batch) ended() error {
	if b.err != nil {
		return b.err
	}
	return errEnded
}

// commit hands the writes to Badger. It waits at the gate while a checkpoint notes how far the files go.
func (s *Store) commit(txn *badger.Txn, own *writeSet) (err error) {
	if err := s.admit(s.writes); err != nil {
		return err
	}
	defer s.writes.end()
	s.commits.enter()
	defer s.commits.leave()
	defer s.recoverPanic(nil, &err)
	if err := fill(txn, own); err != nil {
		if errors.Is(err, badger.ErrTxnTooBig) {
			return ErrTooBig
		}
		return s.faults.raise(err)
	}
	if err := txn.Commit(); err != nil {
		return s.faults.raise(err)
	}
	return s.checkAlarm()
}

func fill(txn *badger.Txn, own *writeSet) error {
	entries := make([]badger.Entry, len(own.writes))
	for i := range own.writes {
		w := &own.writes[i]
		if w.deleted {
			if err := txn.Delete(w.key); err != nil {
				return err
			}
			continue
		}
		entries[i].Key, entries[i].Value = w.key, w.value
		if err := txn.SetEntry(&entries[i]); err != nil {
			return err
		}
	}
	return nil
}

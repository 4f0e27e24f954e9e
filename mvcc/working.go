package mvcc

import (
	"errors"

	"kahuna/op"
	"kahuna/storage"
)

// ErrOrder says that an operation met a version at or above its own timestamp: it changes nothing and is to be sent again
// with a new one.
var ErrOrder = errors.New("mvcc: the operation's timestamp is not above what it met")

// Working is the View of one log operation: the state of a batch, and on top of it what the operation has written so far.
// Nothing reaches the batch before Flush, so an operation that bounces or fails leaves nothing behind.
type Working struct {
	r    Reader
	now  op.Timestamp // of the operation that runs
	end  op.Timestamp // of what is written
	rows []row
	at   map[string]int // rows by name, once there are many
}

// manyRows is from how many names on they are looked up in a map.
const manyRows = 16

type row struct {
	name    op.Name
	old     stored
	had     bool
	next    Record
	written bool
}

// Reset starts anew at a timestamp, keeping the memory.
func (w *Working) Reset(r Reader, now op.Timestamp) { w.ResetRange(r, now, 1) }

// ResetRange starts a run of n operations that take effect as one. They have the timestamps from now on, one each, so that no
// two grants of a lock bear the same token; what they write bears the last of them, and expiries are judged at that too.
func (w *Working) ResetRange(r Reader, now op.Timestamp, n int) {
	clear(w.rows)
	w.r, w.now, w.end, w.rows, w.at = r, now, now+op.Timestamp(n)-1, w.rows[:0], nil
}

// Step goes on to the next operation of the run.
func (w *Working) Step() { w.now = min(w.now+1, w.end) }

// Now is the operation's timestamp.
func (w *Working) Now() op.Timestamp { return w.now }

func (w *Working) row(n op.Name) (*row, error) {
	if r := w.find(n); r != nil {
		return r, nil
	}
	old, had, err := load(w.r, n)
	if err != nil {
		return nil, err
	}
	if old.intent {
		return nil, blocked(w.r, n)
	}
	if old.TS >= w.now {
		return nil, ErrOrder
	}
	w.rows = append(w.rows, row{name: n, old: old, had: had})
	if w.at != nil {
		w.at[string(storage.AppendCurrent(nil, n))] = len(w.rows) - 1
	}
	return &w.rows[len(w.rows)-1], nil
}

func (w *Working) find(n op.Name) *row {
	if len(w.rows) < manyRows {
		for i := range w.rows {
			if w.rows[i].name.Equal(n) {
				return &w.rows[i]
			}
		}
		return nil
	}
	if w.at == nil {
		w.at = make(map[string]int, 2*manyRows)
		for i := range w.rows {
			w.at[string(storage.AppendCurrent(nil, w.rows[i].name))] = i
		}
	}
	if i, ok := w.at[string(storage.AppendCurrent(nil, n))]; ok {
		return &w.rows[i]
	}
	return nil
}

// Get is the live version of a name, with the operation's own writes.
func (w *Working) Get(n op.Name) (Record, bool, error) {
	r, err := w.row(n)
	if err != nil {
		return Record{}, false, err
	}
	if r.written {
		if r.next.Deleted {
			return Record{Rev: r.next.Rev}, false, nil
		}
		return r.next, true, nil
	}
	if !r.old.liveAt(w.end) {
		return Record{Rev: r.old.Rev}, false, nil
	}
	if err := r.old.fill(w.r, n); err != nil {
		return Record{}, false, err
	}
	return r.old.Record, true, nil
}

// Put writes a new version. Several writes of one operation make one version, with one revision.
func (w *Working) Put(n op.Name, rec Record) (Record, error) {
	r, err := w.row(n)
	if err != nil {
		return Record{}, err
	}
	rec.TS, rec.Rev, rec.Deleted = w.end, r.old.Rev+1, false
	r.next, r.written = rec, true
	return rec, nil
}

// PutExpiry makes a version of the same revision with another expiry.
func (w *Working) PutExpiry(n op.Name, at op.Timestamp) error {
	rec, live, err := w.Get(n)
	if err != nil || !live {
		return err
	}
	r, err := w.row(n)
	if err != nil {
		return err
	}
	rec.TS, rec.ExpireAt = w.end, at
	r.next, r.written = rec, true
	return nil
}

// Delete leaves a deletion. A name of which there was nothing before is as if it never was, also when the operation itself has
// made it.
func (w *Working) Delete(n op.Name) (uint64, error) {
	r, err := w.row(n)
	if err != nil {
		return 0, err
	}
	if !r.had {
		r.written = false
		return 0, nil
	}
	r.next, r.written = Record{TS: w.end, Rev: r.old.Rev + 1, Deleted: true, Type: r.old.Type}, true
	return r.next.Rev, nil
}

// Bytes is an upper bound of what Flush puts into the batch.
func (w *Working) Bytes() (n int) {
	for i := range w.rows {
		if r := &w.rows[i]; r.written {
			n += replaceBytes(r.name, &r.old, len(r.next.Value))
		}
	}
	return n
}

// Flush puts what was written into the batch: all of it, or with ErrNoRoom nothing.
func (w *Working) Flush(to Writer) error {
	if err := to.room(w.Bytes()); err != nil {
		return err
	}
	for i := range w.rows {
		if r := &w.rows[i]; r.written {
			if err := to.replace(r.name, r.old, r.had, r.next); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lay puts what was written into the batch as intents of a transaction, and guards what was only read: all of it, or with ErrNoRoom
// nothing. It returns the names.
func (w *Working) Lay(to Writer, txn op.TxnID, home op.Name) (names []op.Name, err error) {
	bytes := 0
	for i := range w.rows {
		r := &w.rows[i]
		bytes += len(r.old.Value) + len(r.next.Value) + rowBytes(r.name, 3+int(chunkCount(uint64(len(r.next.Value))))) + rowBytes(home, 1)
	}
	if err := to.room(bytes); err != nil {
		return nil, err
	}
	for i := range w.rows {
		r := &w.rows[i]
		if r.written {
			err = to.Lay(w.end, txn, home, r.write())
		} else {
			err = to.Guard(w.end, txn, home, r.name)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, r.name)
	}
	return names, nil
}

func (r *row) write() op.Write {
	return op.Write{Name: r.name, Type: byte(r.next.Type), Value: r.next.Value, Deleted: r.next.Deleted, NoRev: r.next.NoRev,
		ExpireAt: r.next.ExpireAt, KeepRev: r.next.Rev == r.old.Rev}
}

// Ends is the earliest expiry of anything that was found, 0 when there is none.
func (w *Working) Ends() (at op.Timestamp) {
	for i := range w.rows {
		if r := &w.rows[i].old; r.liveAt(w.end) && r.ExpireAt > 0 && (at == 0 || r.ExpireAt < at) {
			at = r.ExpireAt
		}
	}
	return at
}

// Seen is the version of a name as the operation found it, for the conditions of WATCH.
func (w *Working) Seen(n op.Name) (op.Seen, error) {
	r, err := w.row(n)
	if err != nil {
		return op.Seen{}, err
	}
	return op.Seen{Name: n, TS: r.old.TS, Live: r.old.liveAt(w.end)}, nil
}

// Sweep deletes the version of a name at ts, if it is still the current one and past its expiry.
func (w *Working) Sweep(n op.Name, ts op.Timestamp) (bool, error) {
	r, err := w.row(n)
	if err != nil {
		return false, err
	}
	if r.old.TS != ts || r.old.Deleted || r.old.liveAt(w.end) {
		return false, nil
	}
	_, err = w.Delete(n)
	return err == nil, err
}

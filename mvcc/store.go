package mvcc

import (
	"errors"

	"kahuna/op"
	"kahuna/storage"
)

// Batch is where writes go: a storage.Batch.
type Batch interface {
	Reader
	Set(key, value []byte)
	Delete(key []byte)
}

// Change tells the state machine what became of a name.
type Change struct {
	Name    op.Name
	Record  Record // the version that is current now; Deleted when the name is gone
	WasLive bool   // there was a version that was not deleted, expired or not
	SameRev bool   // only its expiry changed
	// Cause is the operation that changed it, as far as the state machine knows: a Multi or a Resolve may have been several.
	Cause op.Kind
}

// Writer puts versions into a batch and tells about each.
type Writer struct {
	Batch  Batch
	Notify func(Change)         // may be nil
	Count  func(intents int)    // told how many intents came or went; may be nil
	Fits   func(bytes int) bool // whether so much more may be written; nil: always
}

// ErrNoRoom says that an operation would write more than its batch takes. It has written nothing.
var ErrNoRoom = errors.New("mvcc: what the operation writes does not fit the batch")

func (w Writer) countIntents(n int) {
	if w.Count != nil {
		w.Count(n)
	}
}

func (w Writer) room(bytes int) error {
	if w.Fits != nil && !w.Fits(bytes) {
		return ErrNoRoom
	}
	return nil
}

// rowBytes is an upper bound of what keys with this name take together, without their values.
func rowBytes(n op.Name, keys int) int { return keys * (2*(len(n.Key)+len(n.Sub)) + RowBytes) }

// replace makes next the current version of a name whose stored record was old (had: there was one). The old version goes to
// the history.
func (w Writer) replace(n op.Name, old stored, had bool, next Record) error {
	if had && old.TS > 0 {
		w.archive(n, old)
	}
	if old.ExpireAt != next.ExpireAt || next.Deleted {
		w.due(n, old.ExpireAt, next.ExpireAt)
	}
	s := stored{Record: next}
	if n.Space == op.SpaceIdem && next.Deleted {
		w.Batch.Delete(storage.AppendCurrent(nil, n))
	} else {
		if len(next.Value) > inlineBytesMax {
			w.putChunks(n, next.TS, next.Value)
			s.chunks, s.Value = uint64(len(next.Value)), nil
		}
		w.Batch.Set(storage.AppendCurrent(nil, n), s.encode(make([]byte, 0, s.encodedBytes())))
	}
	if w.Notify != nil {
		w.Notify(Change{Name: n, Record: next, WasLive: had && old.TS > 0 && !old.Deleted,
			SameRev: had && old.TS > 0 && old.Rev == next.Rev})
	}
	return nil
}

// replaceBytes is an upper bound of what replace puts into the batch for a new value of some length.
func replaceBytes(n op.Name, old *stored, valueBytes int) int {
	chunks := int(chunkCount(uint64(valueBytes))) + int(chunkCount(old.chunks))
	return valueBytes + min(len(old.Value), inlineBytesMax) + rowBytes(n, 4+chunks)
}

// archive moves a version that is about to be replaced to the history. A version of a space without history, and the value of
// a NOREV one, goes.
func (w Writer) archive(n op.Name, old stored) {
	if n.Space == op.SpaceIdem {
		w.dropChunks(n, old.TS, old.chunks)
		return
	}
	old.intent = false
	if old.NoRev && !old.Deleted {
		w.dropChunks(n, old.TS, old.chunks)
		old.Value, old.chunks, old.lost = nil, 0, true
	}
	w.Batch.Set(storage.AppendHistory(nil, n, old.TS), old.encode(make([]byte, 0, old.encodedBytes())))
}

func (w Writer) putChunks(n op.Name, ts op.Timestamp, value []byte) {
	for i := range chunkCount(uint64(len(value))) {
		part := value[int(i)*chunkBytes:]
		part = part[:min(len(part), chunkBytes)]
		w.Batch.Set(storage.AppendChunk(nil, n, ts, i), append([]byte{recordFormat}, part...))
	}
}

func (w Writer) dropChunks(n op.Name, ts op.Timestamp, length uint64) {
	for i := range chunkCount(length) {
		w.Batch.Delete(storage.AppendChunk(nil, n, ts, i))
	}
}

// due moves a name's place in the list of due times, which the sweeper goes through.
func (w Writer) due(n op.Name, was, is op.Timestamp) {
	if was == is {
		return
	}
	if was > 0 {
		w.Batch.Delete(storage.AppendDue(nil, was, n))
	}
	if is > 0 {
		w.Batch.Set(storage.AppendDue(nil, is, n), []byte{recordFormat})
	}
}

// DueOf gives the place in the list of due times that belongs to a stored key and value: 0 for one that has none.
func DueOf(key, value []byte) (due op.Timestamp, n op.Name, err error) {
	if len(key) == 0 || key[0] != byte(storage.KindCurrent) {
		return 0, n, nil
	}
	s, err := decode(value)
	if err != nil || s.ExpireAt == 0 {
		return 0, n, err
	}
	n, err = storage.ParseCurrent(key)
	return s.ExpireAt, n, err
}

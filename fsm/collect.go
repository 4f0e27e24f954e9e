package fsm

import (
	"kahuna/mvcc"
	"kahuna/op"
)

// Limits of one Collect. It goes through the log between the writes of users, which must not wait for it for long, and shares
// the room of its entry with them.
const (
	collectBytesMax = 128 << 10
	collectRowsMax  = 4096
)

// safePoint raises the safe point. One that is not in the past of the log is nothing that was agreed on.
func (m *Machine) safePoint(o *op.SafePoint, ts op.Timestamp) (op.Result, error) {
	if o.At < ts {
		m.next.Safe = max(m.next.Safe, o.At)
	}
	return op.Result{Done: true, TS: m.next.Safe}, nil
}

// collect removes garbage. What it does follows from the log alone: from the safe point and the versions at its place there.
func (m *Machine) collect(w mvcc.Writer, b *entryBatch, o *op.Collect) (op.Result, error) {
	w.Batch = besideCache{b}
	limits := mvcc.CollectLimits{Bytes: collectBytesMax, Rows: collectRowsMax}
	done, err := w.Collect(o.Space, o.From, o.To, m.next.Safe, limits)
	m.freed.Add(done.Bytes)
	return op.Result{Done: err == nil, Int: int64(done.Versions), Next: done.Next}, err
}

// Freed is about how many bytes were collected here since the machine was opened, on every replica.
func (m *Machine) Freed() int64 { return m.freed.Load() }

// besideCache reads and writes past the cache, save for what is in it: nobody is about to ask for what is collected.
type besideCache struct{ *entryBatch }

func (b besideCache) Get(key []byte) ([]byte, bool, error) { return b.Batch.Get(key) }

func (b besideCache) Delete(key []byte) {
	if isCurrent(key) {
		if _, known := b.cache.peek(key); known {
			b.cache.wrote(key, nil, false)
		}
	}
	b.bytes += len(key) + mvcc.RowBytes
	b.Batch.Delete(key)
}

// Safe is the safe point. For a storage snapshot that was taken before the call it is not below that by which anything had been
// collected there: it is raised before the batch with the first such collection is in the store.
func (m *Machine) Safe() op.Timestamp { return op.Timestamp(m.safe.Load()) }

// raiseSafe is to be called before what is collected below a safe point leaves the store.
func (m *Machine) raiseSafe(to op.Timestamp) { m.safe.Store(max(m.safe.Load(), uint64(to))) }

// collected tells whether an operation reads below the safe point, where the answer might be wrong.
func (m *Machine) collected(at op.Timestamp, o op.Op) bool {
	switch c := o.(type) { // a version that came after its snapshot may be gone again
	case *op.Check:
		return c.Txn < m.Safe()
	case *op.CheckSince:
		return c.Snapshot < m.Safe()
	}
	if c, ok := o.(*op.Changes); ok && c.Since < m.Safe() {
		return true // a version between the two may be gone
	}
	return at != mvcc.Latest && at < m.Safe()
}

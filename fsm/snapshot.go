package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// A snapshot stream is: magic and format, the partition's state, a checksum (CRC-32C) of these, then every key and value of its
// range, then an empty key, and the checksum of all of it. The state has one of its own, for its range says what is deleted
// before the rest is read. Due times are not in it: they are made from the current versions again.

const snapshotMagic = "KAHS\x01"

// ErrSnapshot says that a snapshot stream is cut or damaged. Nothing of it may be trusted.
var ErrSnapshot = errors.New("fsm: the snapshot stream is damaged")

// keyRange is a run of stored keys.
type keyRange struct{ lo, hi []byte }

// ranges are the stored keys that belong to a partition's range, or to the meta group.
func ranges(id uint32, s *State) (all []keyRange) {
	numbers := storage.AppendPartition(nil, id, whatNumber)
	all = []keyRange{{numbers, storage.PrefixEnd(nil, numbers)}}
	if id == Meta {
		lo := []byte{byte(storage.KindMeta)}
		return append(all, keyRange{lo, storage.PrefixEnd(nil, lo)})
	}
	for _, k := range []storage.Kind{storage.KindCurrent, storage.KindHistory, storage.KindIntent, storage.KindChunk} {
		for sp := op.SpaceKey; int(sp) < spaces; sp++ {
			lo, hi := storage.Bounds(k, sp, s.From, s.To)
			all = append(all, keyRange{lo, hi})
		}
	}
	lo, hi := storage.Bounds(storage.KindRecord, 0, s.From, s.To)
	return append(all, keyRange{lo, hi})
}

// Snapshot writes the partition's state, as of one applied index, which it returns.
func (m *Machine) Snapshot(w io.Writer) (index uint64, err error) {
	snap := m.store.Snapshot()
	defer snap.Close()
	s, ok, err := loadState(snap, m.id)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("fsm: partition %d has no state", m.id)
	}
	out := newStreamWriter(w)
	out.raw([]byte(snapshotMagic))
	out.bytes(s.encode())
	out.checksum()
	for _, r := range ranges(m.id, &s) {
		err := snap.Scan(r.lo, r.hi, false, false, func(key, value []byte) (bool, error) {
			out.bytes(key)
			out.bytes(value)
			return out.err == nil, out.err
		})
		if err != nil {
			return 0, err
		}
	}
	out.bytes(nil)
	return s.Index, out.end()
}

// Restore replaces the partition's state by a snapshot that is not older. When it fails in the middle, or the process ends, the
// range is not to be trusted and Restore is to be run again, from the beginning, before anything else; the caller keeps the
// stream until it has succeeded. Running it once more than needed does no harm.
//
// The stream's index is that of its last command. It may be above that of the marker it was sent for, for a stream is made when
// it is needed, and below it, for Raft counts entries that are no commands.
func (m *Machine) Restore(r io.Reader) error {
	in := newStreamReader(r)
	s, err := in.state()
	if err != nil {
		return err
	}
	if at := m.Applied(); s.Index < at {
		return fmt.Errorf("fsm: a snapshot at index %d would take partition %d back from %d", s.Index, m.id, at)
	}
	m.restores.Add(1)
	m.raiseSafe(s.Safe)
	m.cache.clear()
	own := m.State()
	for _, of := range []*State{&own, &s} {
		if err := m.clear(of); err != nil {
			return err
		}
	}
	if err := m.fill(in, ranges(m.id, &s)); err != nil {
		return err
	}
	b := m.store.NewBatch()
	defer b.Discard()
	saveState(b, m.id, &s)
	if err := b.Commit(); err != nil {
		return err
	}
	snap := m.store.Snapshot()
	defer snap.Close()
	if m.numbers, err = loadNumbers(snap, m.id); err != nil {
		return err
	}
	m.state.Store(&s)
	m.told.Store(&s)
	m.restored.Add(1)
	if f := m.rangeObserver.Load(); f != nil {
		(*f)(nil)
	}
	m.tellDocuments()
	return nil
}

// Span reads the range that a snapshot stream is of from its beginning.
func Span(r io.Reader) (from, to op.Position, err error) {
	s, err := newStreamReader(r).state()
	return s.From, s.To, err
}

// Claimed is the id of another partition that claims some of a range in the store; id itself when there is none.
func Claimed(store *storage.Store, id uint32, from, to op.Position) (by uint32, err error) {
	snap := store.Snapshot()
	defer snap.Close()
	return claimed(snap, id, from, to)
}

// Leave makes reads that are under way find that what they look at is not to be trusted, as a Restore does. It is for a replica that
// is stopped and about to be removed.
func (m *Machine) Leave() { m.restores.Add(1) }

// Whole tells that no Restore is changing the store, and how many have ended. A storage snapshot that is taken between two calls that
// tell the same is of a whole state.
func (m *Machine) Whole() (restored uint64, whole bool) {
	restored = m.restored.Load()
	return restored, m.restores.Load() == restored
}

// Restores counts how often Restore has begun to change the store. A storage snapshot is of a whole state if the count has not
// changed from a time at which none was under way until after the snapshot was taken.
func (m *Machine) Restores() uint64 { return m.restores.Load() }

// clear deletes everything that is stored of a range, some keys at a time.
func (m *Machine) clear(s *State) error {
	for _, r := range ranges(m.id, s) {
		for more := true; more; {
			var err error
			if more, err = m.clearSome(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Machine) clearSome(r keyRange) (more bool, err error) {
	b := m.store.NewBatch()
	defer b.Discard()
	snap := m.store.Snapshot()
	defer snap.Close()
	err = snap.Scan(r.lo, r.hi, false, false, func(key, value []byte) (bool, error) {
		if more = b.Len() >= batchKeysMax; more {
			return false, nil
		}
		if due, n, err := mvcc.DueOf(key, value); err != nil {
			return false, err
		} else if due > 0 {
			b.Delete(storage.AppendDue(nil, due, n))
		}
		b.Delete(clip(key))
		return true, nil
	})
	if err != nil {
		return false, err
	}
	return more, b.Commit()
}

// fill writes what a stream holds, some keys at a time, until its end. Whether the stream is damaged is known only then, so
// that nothing outside of the ranges may be written before.
func (m *Machine) fill(in *streamReader, within []keyRange) error {
	b := m.store.NewBatch()
	defer func() { b.Discard() }()
	for {
		key := in.bytes()
		if len(key) == 0 {
			if err := in.end(); err != nil {
				return err
			}
			return b.Commit()
		}
		value := in.bytes()
		if in.err != nil {
			return in.err
		}
		if !holds(within, key) || len(key) > storage.KeyBytesMax || len(value) > m.store.MaxValueBytes() {
			return ErrSnapshot
		}
		due, n, err := mvcc.DueOf(key, value)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
		if due > 0 {
			b.Set(storage.AppendDue(nil, due, n), []byte{stateFormat})
		}
		b.Set(key, value)
		if b.Bytes() >= batchBytesMax || b.Len() >= batchKeysMax {
			if err := b.Commit(); err != nil {
				return err
			}
			b = m.store.NewBatch()
		}
	}
}

func holds(all []keyRange, key []byte) bool {
	for _, r := range all {
		if bytes.Compare(key, r.lo) >= 0 && bytes.Compare(key, r.hi) < 0 {
			return true
		}
	}
	return false
}

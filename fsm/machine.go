package fsm

import (
	"errors"
	"fmt"
	"sync/atomic"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// Meta is the id of the partition that holds what the cluster agrees on about itself.
const Meta uint32 = 0

// LogEntry is a committed entry of the partition's log.
type LogEntry struct {
	Index uint64
	Term  uint64
	Data  []byte
	// Members are those of the partition's group at this place in the log. Member: this replica's node is one of them. Only a Split
	// needs to know.
	Members []Member
	Member  bool
}

// Observer is told, after each batch is in the store, what became of names. It is called on the goroutine that applies and must
// not wait.
type Observer func(changes []mvcc.Change)

// Machine is one partition's replica. Apply is for one goroutine; Read and the getters are for any.
type Machine struct {
	store    *storage.Store
	id       uint32
	state    atomic.Pointer[State]
	told     atomic.Pointer[State] // as of the last batch that the observer was told of
	observer atomic.Pointer[Observer]
	restores atomic.Uint64 // begun
	restored atomic.Uint64 // and ended
	// documents is told that documents of the meta group have changed, as observer is of names.
	documents atomic.Pointer[func()]
	// rangeObserver is told that the range has changed.
	rangeObserver atomic.Pointer[func(born []uint32)]

	safe  atomic.Uint64 // the safe point, see Safe
	freed atomic.Int64  // bytes, see Freed

	cache   *recordCache
	work    mvcc.Working
	changes []mvcc.Change
	numbers numbers
	entry   *LogEntry // that is applied
	cause   op.Kind   // the operation that is judged
	next    State     // the state of the batch in the making
	// nextDocuments: the batch in the making may change documents.
	nextDocuments bool
	// ranged: the batch in the making changes the range; born are the children that it makes.
	ranged bool
	born   []uint32
}

// These say why a partition is not made. Nothing was changed.
var (
	ErrExists = errors.New("fsm: the partition exists already")
	// ErrClaimed: another replica in the store claims some of the range, or what one has left there is not cleared yet.
	ErrClaimed = errors.New("fsm: the range is claimed by another replica")
)

// Create makes a partition that owns a range and has applied nothing: its log begins with nothing before it. It is ErrExists when it
// stands, ErrClearing when an earlier replica of it is still being cleared, and ErrClaimed.
func Create(store *storage.Store, id uint32, from, to op.Position) error {
	return create(store, id, &State{Epoch: 1, From: from, To: to})
}

// CreateEmpty makes a replica of a partition whose range has changed since it was made, or that began with a state. It owns nothing
// until a snapshot has filled it, but claims the range. Errors are those of Create.
func CreateEmpty(store *storage.Store, id uint32, from, to op.Position) error {
	return create(store, id, &State{Empty: true, From: from, To: to})
}

func create(store *storage.Store, id uint32, s *State) error {
	b := store.NewBatch()
	defer b.Discard()
	if _, ok, err := loadState(b, id); err != nil || ok {
		if ok {
			return fmt.Errorf("%w: %d", ErrExists, id)
		}
		return err
	}
	if g, found, err := LoadGrave(b, id); err != nil || found && !g.Cleared {
		return errors.Join(err, fmt.Errorf("%w: partition %d", ErrClearing, id))
	}
	if by, err := claimed(b, id, s.From, s.To); err != nil || by != id {
		return errors.Join(err, fmt.Errorf("%w: %d, %d wants it", ErrClaimed, by, id))
	}
	saveState(b, id, s)
	return b.Commit()
}

// Open opens a partition that was created before.
func Open(store *storage.Store, id uint32) (*Machine, error) {
	snap := store.Snapshot()
	defer snap.Close()
	s, ok, err := loadState(snap, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("fsm: there is no partition %d in the store", id)
	}
	m := &Machine{store: store, id: id, cache: newRecordCache()}
	m.state.Store(&s)
	m.told.Store(&s)
	m.raiseSafe(s.Safe)
	m.numbers, err = loadNumbers(snap, id)
	return m, err
}

// List gives the ids of the partitions in a store.
func List(store *storage.Store) (ids []uint32, err error) {
	snap := store.Snapshot()
	defer snap.Close()
	lo := []byte{byte(storage.KindPartition)}
	err = snap.Scan(lo, storage.PrefixEnd(nil, lo), false, true, func(key, _ []byte) (bool, error) {
		id, what, _, err := storage.ParsePartition(key)
		if err == nil && what == whatState {
			ids = append(ids, id)
		}
		return err == nil, err
	})
	return ids, err
}

// ID is the partition's number.
func (m *Machine) ID() uint32 { return m.id }

// State is the partition's record as of the last batch.
func (m *Machine) State() State { return *m.state.Load() }

// Filled tells whether there is a state to which the log can be applied.
func (m *Machine) Filled() bool { return !m.state.Load().Empty }

// Owns tells whether a name lies in the partition's range.
func (m *Machine) Owns(key []byte) bool { return m.state.Load().Owns(key) }

// Told is the partition's record as of the last batch that the observer was told of. An entry that is known to be applied is in it.
func (m *Machine) Told() State { return *m.told.Load() }

// Applied is the index of the last entry whose effects are in the store.
func (m *Machine) Applied() uint64 { return m.state.Load().Index }

// Observe sets who is told about changes.
func (m *Machine) Observe(o Observer) { m.observer.Store(&o) }

// ObserveRange sets who is told, as Observe does, that the range has changed, and which partitions were born from it here: those that
// have a record now, and those of which this node is to have no replica, which have a grave that is to be cleared.
func (m *Machine) ObserveRange(f func(born []uint32)) { m.rangeObserver.Store(&f) }

// ObserveDocuments sets who is told that documents of the meta group may have changed, as Observe does; also after a Restore.
func (m *Machine) ObserveDocuments(f func()) { m.documents.Store(&f) }

// Apply applies entries in the order of the log and returns the results of each, by operation. Entries at or below the applied
// index change nothing and have no results. An error is a fault: nothing of the batch in the making is in the store, and the
// machine is not to be used any more.
func (m *Machine) Apply(entries []LogEntry) ([][]op.Result, error) {
	results := make([][]op.Result, len(entries))
	for done := 0; done < len(entries); {
		n, err := m.applyBatch(entries[done:], results[done:])
		if err != nil {
			return nil, err
		}
		done += n
	}
	return results, nil
}

// applyBatch applies as many entries as fit one storage batch, at least one, and commits them.
func (m *Machine) applyBatch(entries []LogEntry, results [][]op.Result) (n int, err error) {
	m.cache.turn()
	defer m.cache.turn()
	b := m.store.NewBatch()
	defer b.Discard()
	m.next, m.changes, m.nextDocuments, m.ranged, m.born = m.State(), m.changes[:0], false, false, nil
	for n < len(entries) && (n == 0 || b.Bytes() < batchBytesMax && b.Len() < batchKeysMax) {
		e := entries[n]
		if e.Index > m.next.Index {
			if results[n], err = m.applyEntry(b, e); err != nil {
				return 0, fmt.Errorf("partition %d, entry %d: %w", m.id, e.Index, err)
			}
			m.next.Index, m.next.Term = e.Index, e.Term
		}
		n++
	}
	saveState(b, m.id, &m.next)
	m.raiseSafe(m.next.Safe)
	if err := b.Commit(); err != nil {
		return 0, err
	}
	published := m.next
	m.state.Store(&published)
	m.tell()
	m.told.Store(&published)
	return n, nil
}

func (m *Machine) tell() {
	if o := m.observer.Load(); o != nil && len(m.changes) > 0 {
		(*o)(m.changes)
	}
	clear(m.changes)
	if f := m.rangeObserver.Load(); f != nil && m.ranged {
		(*f)(m.born)
	}
	if m.nextDocuments {
		m.tellDocuments()
	}
}

func (m *Machine) tellDocuments() {
	if f := m.documents.Load(); f != nil {
		(*f)()
	}
}

func (m *Machine) applyEntry(b *storage.Batch, le LogEntry) ([]op.Result, error) {
	e, err := DecodeEntry(le.Data)
	if err != nil {
		return nil, err
	}
	var total int
	for _, u := range e.Units {
		total += len(u)
	}
	done := 0
	results := make([]op.Result, 0, total)
	m.entry = &le
	own := &entryBatch{Batch: b, cache: m.cache}
	ts := e.First
	for len(e.Units) > 0 {
		n, number := 1, (*Number)(nil)
		if len(e.Numbers) > 0 && e.Numbers[0].At == done {
			number, e.Numbers = &e.Numbers[0], e.Numbers[1:]
			n = number.Units
		}
		if results, ts, err = m.applyUnits(own, e.Units[:n], number, e.Term != le.Term, ts, results); err != nil {
			return nil, err
		}
		e.Units, done = e.Units[n:], done+n
	}
	if e.Term == le.Term && total > 0 {
		m.next.Last = max(m.next.Last, ts-1)
	}
	return results, nil
}

// applyUnits runs units that have one number, or one unit that has none, and appends their results. It returns the timestamp behind
// theirs.
func (m *Machine) applyUnits(b *entryBatch, units []Unit, number *Number, void bool, ts op.Timestamp, results []op.Result) ([]op.Result, op.Timestamp, error) {
	before := len(results)
	if number != nil {
		count, after := 0, ts
		for _, u := range units {
			count += len(u)
			for _, o := range u {
				after += op.Timestamp(op.Timestamps(o))
			}
		}
		if known, is, err := m.known(b, number, count); err != nil || is {
			return append(results, known...), after, err
		}
	}
	for _, u := range units {
		bounced := void
		for _, o := range u {
			r := op.Result{Status: op.Again}
			if !bounced {
				var err error
				if r, err = m.run(b, o, ts); err != nil {
					return nil, 0, err
				}
				bounced = r.Status.Bounce()
			}
			results = append(results, r)
			ts += op.Timestamp(op.Timestamps(o))
		}
	}
	if number != nil {
		m.remember(b, number, results[before:])
	}
	return results, ts, nil
}

// note counts a change and keeps it for the observer.
func (m *Machine) note(c mvcc.Change) {
	if int(c.Name.Space) < spaces {
		if c.WasLive {
			m.next.Live[c.Name.Space]--
		}
		if !c.Record.Deleted {
			m.next.Live[c.Name.Space]++
		}
	}
	c.Cause = m.cause
	m.changes = append(m.changes, c)
}

func (m *Machine) countIntents(n int) { m.next.Intents += int64(n) }

package fsm

import (
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// A split moves no bytes: what is stored lies in the order of slots and names, under no partition's id. In one batch the parent's
// range ends where the child's begins, and the child gets a record of its own. So everything that has a name goes with its range:
// versions and history, locks, sequences and their idempotency keys, expiries, intents, records of transactions.
//
// What has no name:
//
//   - The safe point is copied: what it allowed to be collected is gone on both sides.
//   - The counts of live names begin anew, relative to the split, until a Recount says what they began at: to count is work that the
//     log must not wait for. Intents are counted at once, they are few.
//   - The results kept under numbers stay with the parent. Numbers are a lane's, and a lane leads to one partition: what was sent to
//     the parent is sent to the parent again. In the child they would answer for what another lane has sent.

// childrenMax is how many of its latest children a partition names to those who ask it for what it has given away.
const childrenMax = 16

// Child is a part of a partition's range that was given to a partition of its own.
type Child struct {
	ID       uint32
	From, To op.Position
	Epoch    uint64 // of both, behind the split
}

// split gives the end of the range to a child. le is the entry that it is in.
func (m *Machine) split(b *entryBatch, o *op.Split, le *LogEntry) (op.Result, error) {
	s, at := &m.next, op.Position{Slot: o.At.Slot, Name: clip(o.At.Name)}
	if o.Epoch != s.Epoch || o.Child == Meta || !s.Splits(at) {
		return op.Result{Rev: s.Epoch}, nil
	}
	intents, err := countIntents(b, at, s.To)
	if err != nil {
		return op.Result{}, err
	}
	child := State{Index: BirthIndex, Term: BirthTerm, Epoch: s.Epoch + 1, From: at, To: s.To, Last: s.Last, Safe: s.Safe,
		Intents: intents, Uncounted: true}
	given := Child{ID: o.Child, From: at, To: s.To, Epoch: child.Epoch}
	s.To, s.Epoch, s.Ranged = at, child.Epoch, le.Index
	s.Intents -= intents
	s.Live, s.Uncounted = [spaces]int64{}, true
	s.Children = append(s.Children[max(0, len(s.Children)+1-childrenMax):len(s.Children):len(s.Children)], given)
	if err := m.bear(b, &child, o.Child, le); err != nil {
		return op.Result{}, err
	}
	m.ranged = true
	return op.Result{Done: true, Rev: s.Epoch}, nil
}

// bear makes the child's record, on a node that is to have a replica of it. On others, what it owns is to be cleared.
func (m *Machine) bear(b *entryBatch, s *State, id uint32, le *LogEntry) error {
	if _, found, err := loadState(b, id); err != nil || found {
		if found {
			err = fmt.Errorf("fsm: partition %d is to be born from partition %d and is here", id, m.id)
		}
		return err
	}
	_, buried, err := LoadGrave(b, id)
	if err != nil {
		return err
	}
	if birth := (Birth{ID: id, Parent: m.id, Members: le.Members}); le.Member && !buried {
		saveState(b, id, s)
		saveBirth(b, &birth)
	} else {
		saveGrave(b, &Grave{ID: id, From: s.From, To: s.To})
	}
	m.born = append(m.born, id)
	return nil
}

// Splits tells whether the range can be cut at a position.
func (s *State) Splits(at op.Position) bool {
	return at.Slot < op.Slots && Compare(at, s.From) > 0 && (IsEnd(s.To) || Compare(at, s.To) < 0)
}

// recount adds what was there when the count began anew.
func (m *Machine) recount(o *op.Recount) op.Result {
	s := &m.next
	if o.Epoch != s.Epoch || !s.Uncounted || len(o.Live) != spaces {
		return op.Result{}
	}
	for i, n := range o.Live {
		s.Live[i] += n
	}
	s.Uncounted = false
	return op.Result{Done: true}
}

// Recount counts the names that there were when the partition's count began anew; nil when it knows. It looks at the whole range,
// and may run beside everything else.
func (m *Machine) Recount() (*op.Recount, error) {
	snap := m.store.Snapshot()
	defer snap.Close()
	s, found, err := loadState(snap, m.id)
	if err != nil || !found || !s.Uncounted {
		return nil, err
	}
	o := &op.Recount{Epoch: s.Epoch, Live: make([]int64, spaces)}
	for sp := op.SpaceKey; int(sp) < spaces; sp++ {
		n, err := mvcc.CountCurrent(snap, sp, s.From, s.To)
		if err != nil {
			return nil, err
		}
		o.Live[sp] = n - s.Live[sp]
	}
	return o, nil
}

func (m *Machine) fence(o *op.Fence) op.Result {
	if o.Epoch != m.next.Epoch {
		return op.Result{Rev: m.next.Epoch}
	}
	m.next.Epoch++
	return op.Result{Done: true, Rev: m.next.Epoch}
}

func countIntents(r mvcc.Reader, from, to op.Position) (n int64, err error) {
	for sp := op.SpaceKey; int(sp) < spaces && err == nil; sp++ {
		lo, hi := storage.Bounds(storage.KindIntent, sp, from, to)
		err = r.Scan(lo, hi, false, true, func(_, _ []byte) (bool, error) { n++; return true, nil })
	}
	return n, err
}

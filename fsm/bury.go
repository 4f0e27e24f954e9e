package fsm

import (
	"errors"
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// whatGrave is what is left under the id of a partition whose replica was removed from this store. It stays for ever: who finds
// it knows that the group may not be made anew here from its first members, only be filled by its leader.
const whatGrave byte = 2

// ErrClearing says that what a removed replica left behind is still being cleared.
var ErrClearing = errors.New("fsm: what the removed replica left behind is not cleared yet")

// Grave is what is left of a removed replica.
type Grave struct {
	ID       uint32
	From, To op.Position // what it owned
	Cleared  bool        // nothing of that is in the store any more
}

// Bury turns a partition's replica to a grave. Its data stays until Clear. Nobody may use the replica any more.
func Bury(store *storage.Store, id uint32) error {
	b := store.NewBatch()
	defer b.Discard()
	s, ok, err := loadState(b, id)
	if err != nil || !ok {
		return err
	}
	saveGrave(b, &Grave{ID: id, From: s.From, To: s.To})
	b.Delete(storage.AppendPartition(nil, id, whatState))
	b.Delete(storage.AppendPartition(nil, id, whatBirth))
	return b.Commit()
}

// Clear deletes what a buried replica owned. No other replica in the store may own any of it.
func Clear(store *storage.Store, id uint32) error {
	snap := store.Snapshot()
	g, ok, err := LoadGrave(snap, id)
	snap.Close()
	if err != nil || !ok || g.Cleared {
		return err
	}
	m := &Machine{store: store, id: id}
	if err := m.clear(&State{From: g.From, To: g.To}); err != nil {
		return err
	}
	g.Cleared = true
	b := store.NewBatch()
	defer b.Discard()
	saveGrave(b, &g)
	return b.Commit()
}

// Graves lists the graves in a store.
func Graves(store *storage.Store) (all []Grave, err error) {
	snap := store.Snapshot()
	defer snap.Close()
	lo := []byte{byte(storage.KindPartition)}
	err = snap.Scan(lo, storage.PrefixEnd(nil, lo), false, false, func(key, value []byte) (bool, error) {
		id, what, _, err := storage.ParsePartition(key)
		if err != nil || what != whatGrave {
			return err == nil, err
		}
		g, err := decodeGrave(id, value)
		all = append(all, g)
		return err == nil, err
	})
	return all, err
}

// LoadGrave reads the grave of a partition, if it has one.
func LoadGrave(r mvcc.Reader, id uint32) (g Grave, found bool, err error) {
	v, found, err := r.Get(storage.AppendPartition(nil, id, whatGrave))
	if err != nil || !found {
		return g, false, err
	}
	g, err = decodeGrave(id, v)
	return g, true, err
}

func saveGrave(b mvcc.Batch, g *Grave) {
	cleared := byte(0)
	if g.Cleared {
		cleared = 1
	}
	v := op.AppendPosition(op.AppendPosition([]byte{stateFormat, cleared}, g.From), g.To)
	b.Set(storage.AppendPartition(nil, g.ID, whatGrave), v)
}

func decodeGrave(id uint32, v []byte) (Grave, error) {
	if len(v) < 2 || v[0] != stateFormat || v[1] > 1 {
		return Grave{}, fmt.Errorf("the grave of partition %d: %w", id, mvcc.ErrDamaged)
	}
	r := op.NewReader(clip(v[2:]))
	g := Grave{ID: id, Cleared: v[1] == 1, From: r.Position(), To: r.Position()}
	if r.End() != nil {
		return Grave{}, fmt.Errorf("the grave of partition %d: %w", id, mvcc.ErrDamaged)
	}
	return g, nil
}

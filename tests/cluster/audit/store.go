// Package audit looks at everything that is in the data directories of a cluster whose nodes have ended: that nothing was left behind
// (no intent, no record, no lock older than its limit), that the range map tiles the space, that every stored name lies in a partition
// of which its node has a replica, that counts and due times agree with what is there, and that all replicas of a partition are the
// same byte for byte. It uses what the program uses to read a store, and none of its judgement.
package audit

import (
	"errors"
	"fmt"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/placement"
	"kahuna/storage"
	"kahuna/txn"
)

// Store is all that one node has.
type Store struct {
	Node       string // for people
	States     map[uint32]fsm.State
	Content    map[uint32]map[string]string // keys and values, by partition
	Map        *placement.State
	Now        op.Timestamp // the latest that it knows
	violations []string
}

// stateKey is the document with the cluster's state.
const stateKey = "cluster"

// Read reads the store in a directory. bootID is what its node took for the machine's; empty: the kernel's.
func Read(node, dir, bootID string) (s *Store, err error) {
	db, err := storage.Open(storage.Options{Dir: dir, BootID: bootID})
	if err != nil {
		return nil, fmt.Errorf("the store of %s: %w", node, err)
	}
	defer func() {
		if end := db.Close(); err == nil {
			err = end
		}
	}()
	s = &Store{Node: node, States: map[uint32]fsm.State{}, Content: map[uint32]map[string]string{}}
	ids, err := fsm.List(db)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := fsm.Open(db, id)
		if err != nil {
			return nil, err
		}
		s.States[id], s.Content[id] = m.State(), map[string]string{}
		s.Now = max(s.Now, m.State().Last)
	}
	snap := db.Snapshot()
	defer snap.Close()
	if err := errors.Join(s.readMap(snap), s.readAll(snap)); err != nil {
		return nil, err
	}
	return s, s.counts(snap)
}

func (s *Store) readMap(r mvcc.Reader) error {
	res, err := fsm.Read(r, op.MaxTimestamp, &op.MetaGet{Key: []byte(stateKey)})
	if err != nil || !res.Found {
		return err // Judge says so
	}
	s.Map, err = placement.Decode(res.Value)
	return err
}

func (s *Store) bad(format string, args ...any) {
	s.violations = append(s.violations, s.Node+": "+fmt.Sprintf(format, args...))
}

// readAll gives each key of the store to the partition that owns it.
func (s *Store) readAll(r mvcc.Reader) error {
	return r.Scan([]byte{0}, nil, false, false, func(key, value []byte) (bool, error) {
		id, name, mine, err := s.owner(key)
		switch {
		case err != nil:
			return false, fmt.Errorf("%s: key %x: %w", s.Node, key, err)
		case !mine:
			return true, nil
		case name != "" && id == fsm.Meta:
			s.bad("%s %q is in no partition of this node", string(key[:1]), name)
			return true, nil
		}
		if s.Content[id] == nil {
			s.bad("partition %d has data and no state", id)
			s.Content[id] = map[string]string{}
		}
		s.Content[id][string(key)] = string(value)
		return true, nil
	})
}

// owner is the partition that a key belongs to, and the name that it is about. mine is false for what is the node's own. A name that
// no partition owns is of the meta group, which has none.
func (s *Store) owner(key []byte) (id uint32, name string, mine bool, err error) {
	var n op.Name
	switch storage.Kind(key[0]) {
	case storage.KindFormat:
		return 0, "", false, nil
	case storage.KindMeta:
		return fsm.Meta, "", true, nil
	case storage.KindPartition:
		id, what, _, err := storage.ParsePartition(key)
		const grave, birth = 2, 4 // how a replica left this node, and how it came to it: by a split here, or by a snapshot
		return id, "", what != grave && what != birth, err
	case storage.KindCurrent:
		n, err = storage.ParseCurrent(key)
	case storage.KindIntent:
		n, err = storage.ParseIntent(key)
	case storage.KindHistory:
		n, _, err = storage.ParseHistory(key)
	case storage.KindChunk:
		n, _, _, err = storage.ParseChunk(key)
	case storage.KindRecord:
		n, _, err = storage.ParseRecord(key)
	case storage.KindDue:
		_, n, err = storage.ParseDue(key)
	default:
		return 0, "", false, fmt.Errorf("of no known kind")
	}
	if err != nil {
		return 0, "", false, err
	}
	for id, state := range s.States {
		if id != fsm.Meta && state.Owns(n.Key) {
			return id, string(n.Key), true, nil
		}
	}
	return fsm.Meta, string(n.Key), true, nil
}

// counts holds what states and the list of due times say against what is there.
func (s *Store) counts(r mvcc.Reader) error {
	for id, state := range s.States {
		if id == fsm.Meta {
			continue
		}
		for sp := op.SpaceKey; int(sp) < len(state.Live); sp++ {
			live := int64(0)
			err := mvcc.ScanCurrent(r, sp, state.From, state.To, func(op.Name, mvcc.Record) error { live++; return nil })
			if err != nil {
				return err
			}
			if live != state.Live[sp] {
				s.bad("partition %d counts %d names of space %d, and has %d", id, state.Live[sp], sp, live)
			}
		}
		if err := s.dues(id); err != nil {
			return err
		}
	}
	return nil
}

// dues compares the list of due times with the names that expire.
func (s *Store) dues(id uint32) error {
	due := map[string]bool{}
	for key, value := range s.Content[id] {
		at, n, err := mvcc.DueOf([]byte(key), []byte(value))
		if err != nil {
			return err
		}
		if at > 0 {
			due[string(storage.AppendDue(nil, at, n))] = true
		}
	}
	for key := range s.Content[id] {
		if key[0] == byte(storage.KindDue) {
			if !due[key] {
				s.bad("partition %d lists a due time of nothing: %x", id, key)
			}
			delete(due, key)
		}
	}
	for key := range due {
		s.bad("partition %d does not list a due time: %x", id, key)
	}
	return nil
}

// Left tells what transactions and owners of locks have left behind. A record that tells only what became of a transaction may stay for
// keptMilli, and one that was made for a transaction without a record until no prewrite of it can come.
func (s *Store) Left(keptMilli int64) (left []string) {
	for id, content := range s.Content {
		for key, value := range content {
			what := ""
			switch storage.Kind(key[0]) {
			case storage.KindIntent:
				what = fmt.Sprintf("the intent %x", key)
			case storage.KindRecord:
				what = s.leftRecord([]byte(key), []byte(value), keptMilli)
			case storage.KindCurrent:
				what = leftLock([]byte(key), []byte(value))
			}
			if what != "" {
				left = append(left, fmt.Sprintf("%s: partition %d: %s was left behind", s.Node, id, what))
			}
		}
	}
	return left
}

const (
	lateMilli   = 10 * 60 * 1000 // after which no prewrite of a transaction can come
	sweptWithin = 60 * 1000
)

func (s *Store) leftRecord(key, value []byte, keptMilli int64) string {
	home, id, err := storage.ParseRecord(key)
	if err != nil {
		return err.Error()
	}
	state, err := txn.Decode(value)
	limit := int64(0)
	switch {
	case err != nil:
		return err.Error()
	case txn.Kept(home, &state):
		limit = keptMilli
	case state.Status == op.TxnAborted && state.Deadline == 0:
		limit = lateMilli
	}
	if limit > 0 && s.Now <= id.Add(limit+sweptWithin) {
		return ""
	}
	return fmt.Sprintf("the record of transaction %d at %q, %+v,", id, home.Key, state)
}

func leftLock(key, value []byte) string {
	n, err := storage.ParseCurrent(key)
	if err != nil || n.Space != op.SpaceLock {
		return ""
	}
	if deleted, err := mvcc.IsDeletion(value); err != nil || deleted {
		return ""
	}
	return fmt.Sprintf("the lock %q", n.Key)
}

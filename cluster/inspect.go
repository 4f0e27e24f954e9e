package cluster

import (
	"errors"
	"fmt"
	"slices"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/storage"
	"kahuna/txn"
)

// Inspection is what a look at the whole store found. Wrong tells what contradicts itself: it is empty, always.
type Inspection struct {
	Intents   int
	Pending   int // records of transactions, by what they say
	Committed int
	Aborted   int
	Kept      int // records that only tell what became of a transaction; they are none of the above
	Advised   int // locks of pessimistic transactions in the memory of leaders
	Due       int // places in the list of due times
	Versions  int // current and older ones, deletions among them
	Wrong     []string
}

// Inspect goes through the whole store while nothing is written, for tests and for support.
func (n *Node) Inspect() (Inspection, error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	i := inspector{snap: snap, due: map[string]bool{}}
	for _, r := range n.Replicas() {
		i.found.Advised += r.Advised()
	}
	err := errors.Join(i.records(), i.current(), i.intents(), i.dueTimes(), i.counts(n.Replicas()), i.versions(n.Replicas()), i.strays(n.Replicas()))
	return i.found, err
}

type inspector struct {
	snap    *storage.Snapshot
	found   Inspection
	name    []byte          // whose history is gone through, and
	latest  op.Timestamp    // its current version
	blocked int             // names whose current record says that they have an intent
	due     map[string]bool // what the list of due times should have
}

func (i *inspector) wrong(format string, args ...any) {
	i.found.Wrong = append(i.found.Wrong, fmt.Sprintf(format, args...))
}

func (i *inspector) all(k storage.Kind, fn func(key, value []byte) error) error {
	lo := []byte{byte(k)}
	return i.snap.Scan(lo, storage.PrefixEnd(nil, lo), false, false, func(key, value []byte) (bool, error) {
		err := fn(key, value)
		return err == nil, err
	})
}

func (i *inspector) records() error {
	return i.all(storage.KindRecord, func(key, value []byte) error {
		home, _, err := storage.ParseRecord(key)
		if err != nil {
			return err
		}
		state, err := txn.Decode(value)
		if err == nil && txn.Kept(home, &state) {
			i.found.Kept++
			return nil
		}
		switch state.Status {
		case op.TxnPending:
			i.found.Pending++
		case op.TxnCommitted:
			i.found.Committed++
		case op.TxnAborted:
			i.found.Aborted++
		}
		return err
	})
}

// current looks at all current records: who is blocked, and what is due.
func (i *inspector) current() error {
	return i.all(storage.KindCurrent, func(key, value []byte) error {
		name, err := storage.ParseCurrent(key)
		if err != nil {
			return err
		}
		blocked, err := mvcc.HasIntent(value)
		if err != nil {
			return fmt.Errorf("%q: %w", name.Key, err)
		}
		var intent *mvcc.IntentError
		if _, _, err = mvcc.NewAt(i.snap, op.MaxTimestamp).Get(name); err != nil && !errors.As(err, &intent) {
			return fmt.Errorf("%q: %w", name.Key, err)
		}
		if blocked {
			i.blocked++
		}
		at, _, err := mvcc.DueOf(key, value)
		if at > 0 {
			i.due[string(storage.AppendDue(nil, at, name))] = true
		}
		return err
	})
}

func (i *inspector) intents() error {
	err := i.all(storage.KindIntent, func(key, _ []byte) error {
		i.found.Intents++
		_, err := storage.ParseIntent(key)
		return err
	})
	if i.found.Intents != i.blocked {
		i.wrong("%d intents, and %d current records that say they have one", i.found.Intents, i.blocked)
	}
	return err
}

func (i *inspector) dueTimes() error {
	err := i.all(storage.KindDue, func(key, _ []byte) error {
		i.found.Due++
		if !i.due[string(key)] {
			i.wrong("%x is in the list of due times and no record says so", key)
		}
		delete(i.due, string(key))
		return nil
	})
	for key := range i.due {
		i.wrong("%x is not in the list of due times", key)
	}
	return err
}

// strays finds names that no replica here has.
func (i *inspector) strays(replicas []*partition.Replica) error {
	return i.all(storage.KindCurrent, func(key, _ []byte) error {
		name, err := storage.ParseCurrent(key)
		if err == nil && !slices.ContainsFunc(replicas, func(r *partition.Replica) bool { return r.ID() != fsm.Meta && r.Machine().Owns(name.Key) }) {
			i.wrong("%q is stored, and no replica here has it", name.Key)
		}
		return err
	})
}

// counts compares the partitions' counts of live names with the names that are there. The counts are those of now: nothing may be
// written meanwhile.
func (i *inspector) counts(replicas []*partition.Replica) error {
	intents := int64(0)
	for _, r := range replicas {
		s := r.Machine().State()
		intents += s.Intents
		for _, sp := range []op.Space{op.SpaceKey, op.SpaceLock, op.SpaceSeq, op.SpaceIdem} {
			var there int64
			err := mvcc.ScanCurrent(i.snap, sp, s.From, s.To, func(op.Name, mvcc.Record) error { there++; return nil })
			if err != nil {
				return err
			}
			if r.ID() != fsm.Meta && there != s.Live[sp] {
				i.wrong("partition %d has %d live names in space %d and counts %d", r.ID(), there, sp, s.Live[sp])
			}
		}
	}
	if intents != int64(i.found.Intents) {
		i.wrong("%d intents, and the partitions count %d", i.found.Intents, intents)
	}
	return nil
}

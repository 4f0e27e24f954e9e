package cluster

import (
	"bytes"
	"errors"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/storage"
)

// versions looks at all versions of all names: for every old one there is a current one, newer than it; for every deletion there
// is an old one; and no partition's safe point is above the one that was agreed on.
func (i *inspector) versions(replicas []*partition.Replica) error {
	agreed, err := i.agreed()
	for _, r := range replicas {
		if at := r.Machine().Safe(); r.ID() != fsm.Meta && at > agreed {
			i.wrong("partition %d has the safe point %d, and %d is agreed on", r.ID(), at, agreed)
		}
	}
	return errors.Join(err, i.all(storage.KindHistory, i.old), i.all(storage.KindCurrent, i.newest))
}

func (i *inspector) agreed() (op.Timestamp, error) {
	res, err := fsm.Read(i.snap, mvcc.Latest, &op.MetaGet{Key: []byte(pastKey)})
	if err != nil {
		return 0, err
	}
	d, err := decodePast(res.Value)
	return d.Safe, err
}

// old looks at a version in the history.
func (i *inspector) old(key, _ []byte) error {
	i.found.Versions++
	n, ts, err := storage.ParseHistory(key)
	if err != nil {
		return err
	}
	if prefix := key[:len(key)-8]; !bytes.Equal(prefix, i.name) {
		i.name = append(i.name[:0], prefix...)
		if i.latest, err = mvcc.CurrentTimestamp(i.snap, n); err != nil {
			return err
		}
	}
	if ts >= i.latest {
		i.wrong("%q has an old version at %d, and its current one is at %d", n.Key, ts, i.latest)
	}
	return nil
}

// newest looks at a current version.
func (i *inspector) newest(key, value []byte) error {
	deleted, err := mvcc.IsDeletion(value)
	if err != nil {
		return err
	}
	i.found.Versions++
	if !deleted {
		return nil
	}
	n, err := storage.ParseCurrent(key)
	if err != nil {
		return err
	}
	lo := storage.AppendHistoryPrefix(nil, n)
	older := false
	err = i.snap.Scan(lo, storage.PrefixEnd(nil, lo), false, true, func(_, _ []byte) (bool, error) { older = true; return false, nil })
	if !older {
		i.wrong("%q is deleted and has no history: it would never be collected", n.Key)
	}
	return err
}

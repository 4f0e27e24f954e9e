package fsm

import (
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// All replicas of a node share a store, in which data lies under names, not under partitions. So two of them must never have the same
// name: each claims its range, from when it is made until nothing of it is left, and a range that is claimed is given to no other. A
// split hands a part of a claim over in one batch.

// claimed is the id of another partition that claims some of a range in the store; id itself when there is none.
func claimed(r mvcc.Reader, id uint32, from, to op.Position) (by uint32, err error) {
	if by = id; id == Meta {
		return by, nil
	}
	lo := []byte{byte(storage.KindPartition)}
	err = r.Scan(lo, storage.PrefixEnd(nil, lo), false, false, func(key, value []byte) (bool, error) {
		other, what, _, err := storage.ParsePartition(key)
		if err != nil || other == id || other == Meta {
			return err == nil, err
		}
		var theirs State
		switch what {
		case whatState:
			theirs, err = decodeState(value)
		case whatGrave:
			var g Grave
			if g, err = decodeGrave(other, value); err == nil && g.Cleared {
				return true, nil
			}
			theirs.From, theirs.To = g.From, g.To
		default:
			return true, nil
		}
		if err == nil && Overlap(from, to, theirs.From, theirs.To) {
			by = other
		}
		return by == id, err
	})
	return by, err
}

// Overlap tells whether two ranges have a position in common.
func Overlap(from, to, from2, to2 op.Position) bool {
	return (IsEnd(to2) || Compare(from, to2) < 0) && (IsEnd(to) || Compare(from2, to) < 0)
}

package cluster

import (
	"time"

	"kahuna/op"
	"kahuna/storage"
	"kahuna/txn"
)

// Transaction is a transaction's record, as it was found.
type Transaction struct {
	ID    op.TxnID
	Home  op.Name
	State op.TxnState
}

// A record is left behind when its coordinator has had leftGrace since the deadline and has not removed it. One that was made by
// somebody who met an intent without a record has no deadline; it stays until no prewrite of its transaction can come any more.
const (
	leftGrace     = 5 * time.Second
	deadlineMax   = 10 * time.Minute
	leftBatchSize = 256
)

// LeftTransactions lists records in partitions that this node leads whose coordinators seem to be gone.
func (n *Node) LeftTransactions() (left []Transaction, err error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	now := op.FromUnixMilli(n.cfg.Clock.Wall().UnixMilli())
	lo, hi := storage.Bounds(storage.KindRecord, 0, op.Position{}, op.Position{})
	err = snap.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		home, id, err := storage.ParseRecord(key)
		if err != nil {
			return false, err
		}
		state, err := txn.Decode(append([]byte(nil), value...))
		if err != nil {
			return false, err
		}
		until := state.Deadline.Add(leftGrace.Milliseconds())
		if state.Deadline == 0 {
			until = id.Add(deadlineMax.Milliseconds())
		}
		if r := n.Replica(n.router.Partition(home)); now > until && r != nil && r.Leads() {
			left = append(left, Transaction{ID: id, Home: copyName(home), State: state})
		}
		return len(left) < leftBatchSize, nil
	})
	return left, err
}

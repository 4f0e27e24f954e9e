package cluster

import (
	"context"
	"time"

	"kahuna/mvcc"
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
	leftLooked    = 1 << 14 // records looked at in one go
)

// leftList goes round through the records and intents of the store, a batch at a time, so that transactions that can't be ended do
// not keep the others from being found.
type leftList struct {
	record []byte // where to go on; nil: at the first
	intent [op.SpaceIdem + 1]op.Position
}

// LeftTransactions lists transactions in partitions that this node leads whose coordinators seem to be gone: by the records they
// left, and by intents that are so old that no record can be expected. Each call goes on where the one before has ended. Time is
// the cluster's, which never jumps: a record that says aborted must outlive every prewrite that is still on its way. It is for one
// goroutine.
func (n *Node) LeftTransactions(ctx context.Context) (left []Transaction, err error) {
	now, err := n.router.Now(ctx, 1)
	if err != nil {
		return nil, err
	}
	snap := n.store.Snapshot()
	defer snap.Close()
	if left, err = n.leftRecords(snap, now); err != nil {
		return nil, err
	}
	for sp := op.SpaceKey; sp <= op.SpaceIdem; sp++ {
		intents, err := n.leftIntents(snap, sp, now)
		if err != nil {
			return nil, err
		}
		left = append(left, intents...)
	}
	return left, nil
}

func (n *Node) leftIntents(r mvcc.Reader, sp op.Space, now op.Timestamp) (left []Transaction, err error) {
	from := &n.left.intent[sp]
	err = mvcc.Intents(r, sp, *from, func(i op.Intent) (bool, error) {
		if now <= i.Txn.Add(deadlineMax.Milliseconds()) || !n.leads(i.Name) {
			return true, nil
		}
		if len(left) == leftBatchSize {
			*from = op.Position{Slot: i.Name.Slot(), Name: i.Name.Key}
			return false, nil
		}
		left = append(left, Transaction{ID: i.Txn, Home: copyName(i.Home), State: op.TxnState{Names: []op.Name{copyName(i.Name)}}})
		return true, nil
	})
	if len(left) < leftBatchSize {
		*from = op.Position{}
	}
	return left, err
}

func (n *Node) leftRecords(r mvcc.Reader, now op.Timestamp) (left []Transaction, err error) {
	lo, hi := storage.Bounds(storage.KindRecord, 0, op.Position{}, op.Position{})
	if n.left.record != nil {
		lo = n.left.record
	}
	n.left.record = nil
	looked := 0
	err = r.Scan(lo, hi, false, false, func(key, value []byte) (bool, error) {
		if looked++; looked > leftLooked || len(left) == leftBatchSize {
			n.left.record = append([]byte(nil), key...)
			return false, nil
		}
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
		if txn.Kept(home, &state) || now <= until || !n.leads(home) {
			return true, nil
		}
		left = append(left, Transaction{ID: id, Home: copyName(home), State: state})
		return true, nil
	})
	return left, err
}

// leads tells whether this node believes to lead a name's partition.
func (n *Node) leads(name op.Name) bool {
	r := n.Replica(n.router.Partition(name))
	return r != nil && r.Leads()
}

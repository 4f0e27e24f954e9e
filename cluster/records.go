package cluster

import (
	"context"
	"time"

	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/storage"
	"kahuna/txn"
)

// RecordsKept is for how long records of interactive transactions are kept, unless Config says otherwise, from their start.
const RecordsKept = 15 * time.Minute

const (
	recordsInterval = 5 * time.Second
	recordsUnit     = 512 // removed by one log entry
)

// collectRecords removes records of interactive transactions that have been kept long enough, in the partitions that this node
// leads, until the node stops. It is never before deadlineMax: by then no prewrite of the transaction can be accepted any more,
// and nobody needs to learn from the record that it is aborted.
func (n *Node) collectRecords() {
	wait := recordsInterval
	for clock.Pause(n.ctx, wait) {
		wait = recordsInterval
		if n.Ready() != nil {
			continue
		}
		now, err := n.router.Now(n.ctx, 1)
		if err != nil {
			continue
		}
		before := now.Add(-max(n.cfg.RecordsKept, deadlineMax).Milliseconds())
		homes, err := n.oldRecords(before)
		if err != nil {
			n.fault(err)
			return
		}
		if n.forgetOld(homes, before) {
			wait = 10 * time.Millisecond
		}
	}
}

// forgetOld removes records at each of the homes, and tells whether there are more.
func (n *Node) forgetOld(homes []op.Name, before op.Timestamp) (more bool) {
	for _, home := range homes {
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		out := n.router.Do(ctx, []op.Op{&op.ForgetOld{Home: home, Before: before, Limit: recordsUnit}})[0]
		cancel()
		more = more || out.Err == nil && out.Status == op.OK && !out.Done
	}
	return more
}

// oldRecords lists the homes in partitions led by this node that have kept records to be removed. The records of one home are in
// the order of their starts, so it looks at few more than one of each home.
func (n *Node) oldRecords(before op.Timestamp) (homes []op.Name, err error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	lo, hi := storage.Bounds(storage.KindRecord, 0, op.Position{}, op.Position{})
	for lo != nil {
		from := lo
		lo = nil
		err = snap.Scan(from, hi, false, false, func(key, value []byte) (bool, error) {
			home, id, err := storage.ParseRecord(key)
			if err != nil || home.Space != op.SpaceTxn {
				return err == nil, err
			}
			state, err := txn.Decode(value)
			if err != nil || id < before && !txn.Kept(home, &state) {
				return err == nil, err // somebody is still to end it
			}
			home = copyName(home)
			if id < before && n.leads(home) {
				homes = append(homes, home)
			}
			lo = storage.AppendRecord(nil, home, op.MaxTimestamp) // past this home's
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return homes, nil
}

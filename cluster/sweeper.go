package cluster

import (
	"context"
	"time"

	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

const (
	sweepInterval = 500 * time.Millisecond
	sweepUnit     = 512 // names at once
)

// sweep deletes what is past its expiry, in the partitions that this node leads, until the node stops. It goes round through what is
// due, so that names with intents, which can't be swept, do not keep the others from it.
func (n *Node) sweep() {
	wait := sweepInterval
	var from []byte // where to go on in the list of due times; nil: at the first
	for clock.Pause(n.ctx, wait) {
		wait = sweepInterval
		if n.Ready() != nil {
			continue
		}
		now, err := n.router.Now(n.ctx, 1)
		if err != nil {
			continue
		}
		ops, next, err := n.due(from, now)
		if err != nil {
			n.fault(err)
			return
		}
		if n.sweepAll(ops) == 0 || next == nil {
			from = next
		} else {
			from, wait = next, time.Millisecond // there is more
		}
	}
}

// sweepAll sweeps names and tells how many were. It does not wait for transactions that are in the way.
func (n *Node) sweepAll(ops []op.Op) (done int) {
	if len(ops) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
	defer cancel()
	for _, out := range n.router.Try(ctx, ops) {
		if out.Err == nil && out.Done {
			done++
		}
	}
	return done
}

// due lists versions whose time has passed, and where to go on when there are more. Whether it has is judged again at the sweep's
// own timestamp.
func (n *Node) due(from []byte, now op.Timestamp) (ops []op.Op, next []byte, err error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	lo, hi := storage.AppendDuePrefix(nil, 0), storage.AppendDuePrefix(nil, now+1)
	if from != nil {
		lo = from
	}
	err = snap.Scan(lo, hi, false, true, func(key, _ []byte) (bool, error) {
		if len(ops) == sweepUnit {
			next = append([]byte(nil), key...)
			return false, nil
		}
		_, name, err := storage.ParseDue(key)
		if err != nil {
			return false, err
		}
		r := n.Replica(n.router.Partition(name))
		if r == nil || !r.Leads() {
			return true, nil
		}
		ts, err := mvcc.CurrentTimestamp(snap, name)
		if err != nil {
			return false, err
		}
		ops = append(ops, &op.Sweep{Name: copyName(name), TS: ts})
		return true, nil
	})
	return ops, next, err
}

func copyName(n op.Name) op.Name {
	return op.Name{Space: n.Space, Key: append([]byte(nil), n.Key...), Sub: append([]byte(nil), n.Sub...)}
}

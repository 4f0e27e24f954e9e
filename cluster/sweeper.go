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

// sweep deletes what is past its expiry, in the partitions that this node leads, until the node stops.
func (n *Node) sweep() {
	wait := sweepInterval
	for clock.Pause(n.ctx, wait) {
		wait = sweepInterval
		if n.Ready() != nil {
			continue
		}
		now, err := n.router.Now(n.ctx, 1)
		if err != nil {
			continue
		}
		ops, err := n.due(now)
		if err != nil {
			n.fault(err)
			return
		}
		if len(ops) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		done := 0
		for _, out := range n.router.Do(ctx, ops) {
			if out.Err == nil && out.Done {
				done++
			}
		}
		cancel()
		if done == sweepUnit {
			wait = time.Millisecond // there is more
		}
	}
}

// due lists versions whose time has passed. Whether it has is judged again at the sweep's own timestamp.
func (n *Node) due(now op.Timestamp) (ops []op.Op, err error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	lo, hi := storage.AppendDuePrefix(nil, 0), storage.AppendDuePrefix(nil, now+1)
	err = snap.Scan(lo, hi, false, true, func(key, _ []byte) (bool, error) {
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
		return len(ops) < sweepUnit, nil
	})
	return ops, err
}

func copyName(n op.Name) op.Name {
	return op.Name{Space: n.Space, Key: append([]byte(nil), n.Key...), Sub: append([]byte(nil), n.Sub...)}
}

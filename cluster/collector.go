package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
)

// Collection is driven by the leaders: each looks through the history in its own store, beside the log and at a bounded rate,
// and where it finds garbage it proposes that the part around it be collected. What is removed is judged in the log, from the
// state there, so that replicas stay equal; and what goes through the log is as much work as there is garbage.
type collector struct {
	versions atomic.Uint64 // collected by this node's proposals
	debt     float64       // versions that the rate has not allowed yet
	freed    int64         // bytes, when space was last reclaimed
}

// lookCost is what it costs to look at a version, in versions collected.
const lookCost = 1.0 / 16

// garbage bounds one page: a few milliseconds of work in the log.
var garbage = mvcc.GarbageLimits{Versions: 512, Span: 2048, Rows: 8192}

// collect goes through the history of the partitions that this node leads, from time to time, until the node stops.
func (n *Node) collect() {
	for clock.Pause(n.ctx, between(n.cfg.HistoryRetention/24, 100*time.Millisecond, time.Hour)) {
		if n.Ready() != nil {
			continue
		}
		past, err := n.history.past(n.ctx)
		if err != nil || past.Safe == 0 {
			continue
		}
		for _, r := range n.Replicas() {
			if r.ID() != fsm.Meta && r.Leads() {
				n.collectFrom(r, past.Safe)
			}
		}
		n.reclaim()
	}
}

// collectFrom goes through a partition. What it does not come to is left for the next time.
func (n *Node) collectFrom(r *partition.Replica, safe op.Timestamp) {
	for _, sp := range []op.Space{op.SpaceKey, op.SpaceLock, op.SpaceSeq} {
		from := r.Machine().State().From
		for next := &from; next != nil; {
			g, err := n.findGarbage(r, sp, *next, safe)
			if err != nil {
				n.fault(err)
				return
			}
			if g.Versions > 0 && !n.collectPart(r, &op.Collect{Space: sp, From: g.From, To: g.To}, safe) {
				return
			}
			if next = g.Next; !n.pace(float64(g.Rows)*lookCost) || !r.Leads() {
				return
			}
		}
	}
}

func (n *Node) findGarbage(r *partition.Replica, sp op.Space, from op.Position, safe op.Timestamp) (mvcc.Garbage, error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	return mvcc.FindGarbage(snap, sp, from, r.Machine().State().To, safe, garbage)
}

// collectPart collects a part of a partition's range, in as many entries as it takes; false when it could not.
func (n *Node) collectPart(r *partition.Replica, o *op.Collect, safe op.Timestamp) bool {
	for {
		part := *o
		unit := fsm.Unit{&part}
		if r.Machine().Safe() < safe {
			unit = fsm.Unit{&op.SafePoint{At: safe}, &part}
		}
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		results, err := r.Write(ctx, unit)
		cancel()
		if err != nil {
			return false
		}
		res := results[len(results)-1]
		if res.Status == op.Again {
			if !n.pace(float64(garbage.Versions)) {
				return false
			}
			continue
		}
		if res.Status != op.OK {
			return false
		}
		n.collector.versions.Add(uint64(res.Int))
		if !n.pace(float64(res.Int)) {
			return false
		}
		if res.Next == nil {
			return true
		}
		o.From = *res.Next
	}
}

// pace waits so that no more than the setting's versions are collected in a second; false when the node stops. Small waits are
// saved up.
func (n *Node) pace(versions float64) bool {
	n.collector.debt += versions
	wait := time.Duration(n.collector.debt / float64(n.cfg.HistoryCollectRate) * float64(time.Second))
	if wait < 5*time.Millisecond {
		return n.ctx.Err() == nil
	}
	n.collector.debt = 0
	return clock.Pause(n.ctx, wait)
}

// reclaimBytesMin is the least that is reclaimed at a time. It costs writing most of the store anew.
const reclaimBytesMin = 16 << 20

// reclaim gives space back to the disk when what was collected on this node, led here or not, is a good part of the store.
func (n *Node) reclaim() {
	var freed int64
	for _, r := range n.Replicas() {
		freed += r.Machine().Freed()
	}
	n.collector.freed = min(n.collector.freed, freed) // a replica has left
	stats, err := n.store.Stats()
	if err != nil || freed-n.collector.freed < max(reclaimBytesMin, stats.TableBytes/4) {
		return
	}
	if n.store.Reclaim() {
		n.collector.freed = freed
	}
}

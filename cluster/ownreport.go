package cluster

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/partition"
	"kahuna/placement"
)

// refreshInterval is how old what a node says of itself may be: many may ask for it.
const refreshInterval = lookInterval / 2

// ownReports is what this node says of itself, and since when: each change has a number.
type ownReports struct {
	life uint64 // of this start of the node; no two are alike

	mu       sync.Mutex
	fresh    time.Duration // when it was found out, on the monotonic clock; 0: not yet
	seq      uint64
	figures  figures
	replicas map[uint32]*noted
}

// noted is what is said of a replica.
type noted struct {
	placement.ReplicaReport
	since time.Duration // when measuring began
	seq   uint64        // of the last change
	gone  bool
}

// refresh finds out how this node's replicas are, if it is asked for now or is not known of the last moments.
func (n *Node) refresh(asked bool) {
	now := n.cfg.Clock.Mono()
	o := &n.own
	o.mu.Lock()
	defer o.mu.Unlock()
	if !asked && o.fresh > 0 && now < o.fresh+refreshInterval {
		return
	}
	if o.fresh = max(now, 1); o.replicas == nil {
		o.replicas = map[uint32]*noted{}
	}
	limits := n.limits()
	there := n.replicas.all()
	o.figures = n.diskFigures()
	for _, r := range there {
		o.note(n.reportOf(r, now, limits.SplitLoad/2), now)
	}
	for id, old := range o.replicas {
		if there[id] == nil && !old.gone {
			o.seq++
			old.gone, old.seq = true, o.seq
		}
	}
}

// diskFigures are this node's figures of its disk. One on which writes are refused has no room, whatever is left.
func (n *Node) diskFigures() (f figures) {
	if n.disk.free != nil {
		f.diskUsed, f.diskFree = max(1, n.used.Load()), n.disk.left.Load()
	}
	if n.disk.low.Load() {
		f.diskFree = 0
	}
	return f
}

// reportOf is what is said of a replica.
func (n *Node) reportOf(r *partition.Replica, now time.Duration, halfFrom uint64) placement.ReplicaReport {
	status := r.Group().Status()
	one := placement.ReplicaReport{Range: r.ID(), Leads: r.Leads(), Term: status.Term, Applied: status.Applied, Members: n.membersOf(r, &status),
		Empty: !r.Machine().Filled()}
	load := r.Measure(now, max(1, halfFrom))
	state := r.Machine().State()
	size, known := n.sizeOf(r.ID(), &state)
	if !one.Leads || !known || load.Measured == 0 {
		return one
	}
	one.Measured, one.OpsPerSec, one.WritesPerSec, one.HalfLoad = load.Measured, uint64(load.OpsPerSec), uint64(load.WritesPerSec), load.HalfLoad
	one.Bytes, one.HalfSize = uint64(size.bytes), size.half
	return one
}

// note takes over what is said of a replica now. It is a change only if it is another for who decides by it.
func (o *ownReports) note(r placement.ReplicaReport, now time.Duration) {
	o.figures.opsPerSec += r.OpsPerSec
	since := now - r.Measured
	old := o.replicas[r.Range]
	if old != nil && !old.gone && alike(&old.ReplicaReport, &r) && (r.Measured == 0 || near(uint64(old.since), uint64(since), uint64(time.Second))) {
		return
	}
	o.seq++
	o.replicas[r.Range] = &noted{ReplicaReport: r, since: since, seq: o.seq}
}

func alike(a, b *placement.ReplicaReport) bool {
	return a.Leads == b.Leads && a.Empty == b.Empty && a.Term == b.Term && a.Applied == b.Applied && (a.Measured > 0) == (b.Measured > 0) &&
		near(a.Bytes, b.Bytes, 1<<20) && near(a.OpsPerSec, b.OpsPerSec, 10) && near(a.WritesPerSec, b.WritesPerSec, 10) &&
		fsm.Compare(a.HalfLoad, b.HalfLoad) == 0 && fsm.Compare(a.HalfSize, b.HalfSize) == 0 && slices.Equal(a.Members, b.Members)
}

// near tells whether two measures differ by little: an eighth, or an amount.
func near(a, b, amount uint64) bool {
	off := max(a, b) - min(a, b)
	return off <= max(a, b)/8 || off <= amount
}

// since is the answer to who knows it up to a version.
func (o *ownReports) since(known version, now time.Duration) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	whole := byte(0)
	if known.life != o.life || known.seq > o.seq {
		known, whole = version{}, lookWhole
	}
	var nodes []string
	places := map[string]uint64{}
	place := func(id string) uint64 {
		at, found := places[id]
		if !found {
			at = uint64(len(nodes))
			places[id] = at
			nodes = append(nodes, id)
		}
		return at
	}
	var news, gone []byte
	newsCount, goneCount := 0, 0
	for id, r := range o.replicas {
		switch {
		case r.seq <= known.seq && whole == 0:
		case r.gone:
			gone = binary.AppendUvarint(gone, uint64(id))
			goneCount++
		default:
			said := r.ReplicaReport
			if said.Measured > 0 {
				said.Measured = max(time.Millisecond, now-r.since)
			}
			news = appendReplica(news, &said, place)
			newsCount++
		}
	}
	var b []byte
	for _, v := range []uint64{o.life, o.seq, uint64(whole), known.seq, o.figures.diskUsed, o.figures.diskFree, o.figures.opsPerSec, uint64(len(nodes))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, id := range nodes {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	b = append(binary.AppendUvarint(b, uint64(newsCount)), news...)
	return append(binary.AppendUvarint(b, uint64(goneCount)), gone...)
}

// report is all of it.
func (o *ownReports) report(now time.Duration) placement.NodeReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := placement.NodeReport{DiskUsed: int64(o.figures.diskUsed), DiskFree: int64(o.figures.diskFree), OpsPerSec: o.figures.opsPerSec}
	for _, noted := range o.replicas {
		if noted.gone {
			continue
		}
		said := noted.ReplicaReport
		if said.Measured > 0 {
			said.Measured = max(1, now-noted.since)
		}
		r.Replicas = append(r.Replicas, said)
	}
	return r
}

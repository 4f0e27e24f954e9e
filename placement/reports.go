package placement

import (
	"time"

	"kahuna/op"
)

// Reports is what the meta group's leader was told by nodes, by their ids. A node without a report is unknown: it gets nothing and
// loses nothing.
type Reports map[string]NodeReport

// NodeReport is what a node said of itself.
type NodeReport struct {
	Age       time.Duration // since it was heard of; or, if it never was, since it began to be expected
	Unheard   bool          // it never was: it is not live, whatever the age, but may be dead
	DiskUsed  int64         // bytes of its data directory's file system that are taken, and
	DiskFree  int64         // that are not; both 0: not known
	OpsPerSec uint64        // of all its replicas
	Replicas  []ReplicaReport
}

func (n *NodeReport) live(l Limits) bool { return !n.Unheard && n.Age <= l.LiveWithin }

// diskFullPct is from how full a disk on its node gets no replicas.
const diskFullPct = 85

func (n *NodeReport) full() bool {
	all := float64(n.DiskUsed + n.DiskFree)
	return all > 0 && float64(n.DiskUsed) >= all*diskFullPct/100
}

// ReplicaReport is what a node said of one of its replicas, that of the meta group too (its id is fsm.Meta). What is below Members
// only a leader tells.
type ReplicaReport struct {
	Range   uint32
	Leads   bool
	Term    uint64
	Applied uint64   // index
	Empty   bool     // it waits for a snapshot to fill it
	Members []Member // the configuration as it knows it; who is Live and CaughtUp counts only from a leader

	Measured     time.Duration // for how long the leader has measured what follows, with the borders that the range has; 0: not yet
	Bytes        uint64        // of the range in the store, about
	OpsPerSec    uint64        // reads and writes, over the last minute or so
	WritesPerSec uint64
	HalfLoad     op.Position // about as much of the load is on names below as at and above it; the zero Position: no point is so
	HalfSize     op.Position // the same of the bytes
}

// Limits bound what Plan does. Where 0 is said to mean never, the others may not be 0.
type Limits struct {
	LiveWithin  time.Duration // a node that was heard of within this is live
	DeadAfter   time.Duration // one that was not heard of for this is dead: its replicas are replaced
	StepsAtOnce int           // ranges whose replicas change at the same time, in the whole cluster; half of them are kept for repairs
	FillsAtOnce int           // replicas that one node receives at the same time
	Transfers   int           // leaderships handed over in one pass
	SlackPct    int           // of the average: by how much two nodes' replicas, or leaderships, may differ; they may always by 1

	CopyBytesPerSec int64         // that the copies of replicas, all together, are to make about
	FillWithin      time.Duration // a new replica that has not caught up for this, and the time that its bytes take, is given up
	AvoidFor        time.Duration // for which the node does not get that replica again then
	RestFor         time.Duration // after a change, for which a range is not moved, split or merged by its own accord

	SplitLoad     uint64        // reads and writes per second from which a range is split; 0: never
	SplitAfter    time.Duration // for which the load must have been measured
	SplitBytes    uint64        // from which a range is split; 0: never
	MergeAfter    time.Duration // for which two neighbours must have been small and cold to be merged; 0: never
	SplitsAtOnce  int           // splits and merges in flight, in the whole cluster
	RangesPerNode int           // ranges are split by load only while there are fewer than so many for each live node
	ChangeWithin  time.Duration // a split or merge that takes longer is to be given up
}

// DefaultLimits are good for clusters of any size.
func DefaultLimits() Limits {
	return Limits{LiveWithin: 10 * time.Second, DeadAfter: 5 * time.Minute, StepsAtOnce: 64, FillsAtOnce: 16, Transfers: 64, SlackPct: 5,
		CopyBytesPerSec: 64 << 20, FillWithin: 10 * time.Minute, AvoidFor: 30 * time.Minute, RestFor: time.Minute,
		SplitLoad: 20_000, SplitAfter: time.Minute, SplitBytes: 512 << 20, MergeAfter: 15 * time.Minute, SplitsAtOnce: 8, RangesPerNode: 256,
		ChangeWithin: time.Minute}
}

// Two neighbours are merged when together they have so many times less than what one is split for: what was merged is far from being
// split again.
const mergeBelow = 4

// copyWindow is for how many seconds of copying is begun at once.
const copyWindow = 10

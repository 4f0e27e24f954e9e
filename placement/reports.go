package placement

import "time"

// Reports is what the meta group's leader was told by nodes, by their ids. A node without a report is unknown: it gets nothing and
// loses nothing.
type Reports map[string]NodeReport

// NodeReport is what a node said of itself.
type NodeReport struct {
	Age      time.Duration // since it was heard of; or, if it never was, since it began to be expected
	Unheard  bool          // it never was: it is not live, whatever the age, but may be dead
	Replicas []ReplicaReport
}

func (n *NodeReport) live(l Limits) bool { return !n.Unheard && n.Age <= l.LiveWithin }

// ReplicaReport is what a node said of one of its replicas, that of the meta group too (its id is fsm.Meta).
type ReplicaReport struct {
	Range     uint32
	Leads     bool
	Term      uint64
	Applied   uint64   // index
	Members   []Member // the configuration as it knows it; who is Live and CaughtUp counts only from a leader
	Empty     bool     // it waits for a snapshot to fill it
	Bytes     uint64
	OpsPerSec uint64
}

// Limits bound what Plan does.
type Limits struct {
	LiveWithin  time.Duration // a node that was heard of within this is live
	DeadAfter   time.Duration // one that was not heard of for this is dead: its replicas are replaced
	StepsAtOnce int           // ranges whose replicas change at the same time, in the whole cluster
	FillsAtOnce int           // replicas that one node receives at the same time
	Transfers   int           // leaderships handed over in one pass
	SlackPct    int           // of the average: by how much two nodes' replicas, or leaderships, may differ; they may always by 1
}

// DefaultLimits are good for clusters of any size.
func DefaultLimits() Limits {
	return Limits{LiveWithin: 10 * time.Second, DeadAfter: 5 * time.Minute, StepsAtOnce: 8, FillsAtOnce: 2, Transfers: 16, SlackPct: 5}
}

package cluster

import (
	"errors"
	"slices"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

// Stats are a node's figures.
type Stats struct {
	NodeID      string
	ClusterID   string
	Nodes       int // members of the cluster
	Replication int // wanted replicas of each partition, as far as there are nodes
	Partitions  int // in the range map
	Replicas    int // on this node
	Leaders     int
	Led         []uint32 // the partitions that this node believes to lead, 0 (meta) among them, rising
	Moving      int      // partitions whose replicas change, in the whole cluster, as this node knows it
	Splitting   int      // splits and merges on their way
	OpsPerSec   uint64   // of what this node leads, over the last minute or so
	LedBytes    uint64   // of what this node leads, about
	Placement   error    // what is still to be done, as far as this node knows, until all replicas are where they are to be; nil: nothing
	OpsWritten  uint64
	OpsRead     uint64
	Entries     uint64
	Waiting     int    // operations that wait for a log entry
	Waiters     int    // owners that wait for locks that this node leads, and those lately gone
	Readers     int    // who wait for changes at this node
	Recent      uint64 // pages of changes read here by looking at what has changed lately
	Walked      uint64 // and by going through all names with the prefix
	LogSyncs    uint64
	LogWritten  uint64
	LogBytes    int64
	StoreBytes  int64
	DiskLow     int   // 1 while writes are refused
	Keys        int64 // in the replicas of this node; expired ones count until they are swept

	ReplicaReads     uint64 // operations that replicas here answered after READONLY
	ReplicaPassed    uint64 // and those that were passed on to leaders
	ReplicaStaleness int64  // milliseconds, the bound of the former

	SafePoint op.Timestamp // of the history, as far as this node knows; 0: none yet
	SafeAge   int64        // milliseconds since then
	Holds     int
	Collected uint64 // versions, by this node's leaders
}

// Stats reads the figures. It does not wait.
func (n *Node) Stats() Stats {
	s := Stats{NodeID: n.identity.Node(), ClusterID: n.identity.Cluster(), Partitions: len(n.router.routes.Load().byID)}
	state := n.router.State()
	s.Nodes = len(state.Members())
	s.Replication = min(state.Replication, s.Nodes)
	for _, r := range n.Replicas() {
		written, read, entries := r.Stats()
		s.OpsWritten, s.OpsRead, s.Entries = s.OpsWritten+written, s.OpsRead+read, s.Entries+entries
		s.Waiting += r.Waiting()
		s.Waiters += r.Waiters()
		recent, walked := r.ChangeReads()
		s.Recent, s.Walked = s.Recent+recent, s.Walked+walked
		if r.Leads() {
			s.Led = append(s.Led, r.ID())
		}
		if r.ID() != fsm.Meta {
			s.Replicas++
			s.Keys += r.Machine().State().Live[op.SpaceKey]
			if r.Leads() {
				s.Leaders++
			}
		}
	}
	s.Readers = n.feeds.waiting()
	for i := range state.Changes {
		if state.Changes[i].Kind == placement.SetReplicas {
			s.Moving++
		} else {
			s.Splitting++
		}
	}
	own := n.ownReport(false)
	s.OpsPerSec = own.OpsPerSec
	for i := range own.Replicas {
		s.LedBytes += own.Replicas[i].Bytes
	}
	slices.Sort(s.Led)
	s.Placement = errors.Join(state.Complete(), n.Placed())
	log := n.log.Stats()
	s.LogSyncs, s.LogWritten, s.LogBytes = log.Syncs, log.Bytes, int64(log.DiskBytes)
	if store, err := n.store.Stats(); err == nil {
		s.StoreBytes = store.TableBytes
	}
	if n.disk.low.Load() {
		s.DiskLow = 1
	}
	s.ReplicaReads, s.ReplicaPassed, s.ReplicaStaleness = n.reads.served.Load(), n.reads.passed.Load(), n.reads.bound.Milliseconds()
	past := n.history.local()
	s.SafePoint, s.Holds, s.Collected = past.Safe, len(past.Holds), n.collector.versions.Load()
	if past.Safe > 0 {
		s.SafeAge = max(0, n.cfg.Clock.Wall().UnixMilli()-past.Safe.UnixMilli())
	}
	return s
}

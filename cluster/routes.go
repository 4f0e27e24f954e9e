package cluster

import (
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

// routes is what a node knows of where partitions are. It is never changed; a new one replaces it.
type routes struct {
	state   *placement.State
	version uint64        // of the document it is from
	learned time.Duration // not 0: partitions have told what the document does not say. Until then, on the monotonic clock, it goes by that
	byID    map[uint32]*placement.Range

	slots        *[op.Slots]uint32 // the partition that answers for each slot
	clusterAddrs map[string]string // of members, by id, those that have one
}

func newRoutes(s *placement.State, version uint64) *routes {
	r := &routes{state: s, version: version, byID: make(map[uint32]*placement.Range, len(s.Ranges)), slots: slotPartitions(s.Ranges),
		clusterAddrs: make(map[string]string, len(s.Nodes))}
	for i := range s.Ranges {
		r.byID[s.Ranges[i].ID] = &s.Ranges[i]
	}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Status != placement.Left && n.ClusterAddr != "" {
			r.clusterAddrs[n.ID] = n.ClusterAddr
		}
	}
	return r
}

// noRoutes is what a node goes by before it knows the range map: there is one partition, and nobody has it.
func noRoutes() *routes { return newRoutes(&placement.State{Ranges: []placement.Range{{ID: 1}}}, 0) }

// find gives the partition that an operation goes to.
func (r *routes) find(o op.Op) uint32 {
	switch o := o.(type) {
	case *op.Scan:
		return r.state.FindAt(o.From).ID
	case *op.Changes:
		return r.state.FindAt(o.From).ID
	case *op.Count:
		return r.state.FindAt(o.From).ID
	case *op.DeleteRange:
		return r.state.FindAt(o.From).ID
	case *op.Check:
		if len(o.Reads) == 0 {
			return r.state.FindAt(o.Scans[0].From).ID
		}
	case *op.CheckSince:
		return r.find(&o.Check)
	case *op.Advise:
		if len(o.Names) == 0 {
			return r.state.FindAt(o.Scans[0].From).ID
		}
	}
	if op.OfMeta(o) {
		return fsm.Meta
	}
	return r.state.Find(o.Target().Key).ID
}

// members are the nodes that may lead a partition.
func (r *routes) members(id uint32) []string {
	if id == fsm.Meta {
		return r.state.MetaVoters
	}
	if at := r.byID[id]; at != nil {
		return at.Replicas
	}
	return nil
}

// hints are who led partitions when this node last heard of it. They may be wrong; who is asked says so.
type hints struct{ leaders sync.Map } // partition id -> node id

func (h *hints) get(id uint32) string {
	if node, ok := h.leaders.Load(id); ok {
		return node.(string)
	}
	return ""
}

func (h *hints) set(id uint32, node string) {
	if node == "" {
		h.leaders.Delete(id)
	} else if h.get(id) != node {
		h.leaders.Store(id, node)
	}
}

package commands

import (
	"context"

	"kahuna/cluster"
	"kahuna/op"
)

// READONLY on the cluster port: reads of single names, and of several in one partition, are answered by this node's replicas where they
// are fresh enough, and passed on to the leader where not. Everything else is as without it.

func startReplicaReads(s *Session, x *execution) {
	if s.conn.Cluster && s.replicas == nil {
		s.replicas = &cluster.ReplicaSession{}
	}
	x.w.SimpleString("OK")
}

func endReplicaReads(s *Session, x *execution) {
	s.replicas = nil
	x.w.SimpleString("OK")
}

// do runs the operations of plain requests.
func (s *Session) do(ctx context.Context, ops []op.Op) []op.Outcome {
	if s.replicas == nil {
		return s.h.backend.Do(ctx, ops)
	}
	out, _ := s.h.cluster.ReadReplicas(ctx, s.replicas, ops, false)
	return out
}

// renew notes that what is executed may show the client the current state of anything: no replica may then show it an older one.
func (s *Session) renew() {
	if s.replicas != nil {
		s.replicas.Renew()
	}
}

// byReplica has a replica answer reads that are to see one state; false: it can't.
func (c *call) byReplica(ctx context.Context, ops []op.Op) ([]op.Outcome, bool) {
	if c.s.replicas == nil || c.inTxn {
		return nil, false
	}
	out, ok := c.s.h.cluster.ReadReplicas(ctx, c.s.replicas, ops, true)
	if !ok || c.s.h.limits.firstError(ops, out) != nil {
		return nil, false
	}
	return out, true
}

// hasReplica tells whether a command that only reads may be executed here, as this node has a replica of a slot.
func (s *Session) hasReplica(row *Command, slot uint16) bool {
	return s.replicas != nil && s.multi == nil && row.has("readonly") && s.h.cluster.Follows(slot)
}

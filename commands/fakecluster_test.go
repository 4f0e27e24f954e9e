package commands

import (
	"context"
	"fmt"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/placement"
)

// fakeCluster is three nodes, of which this one, the first, answers for the first half of the slots and the second one for the others.
// It is its own Operators, and notes what is ordered.
type fakeCluster struct {
	state   *placement.State
	silent  string // a node that does not answer
	unknown bool   // nobody is known to lead the second half
	orders  []string

	backend      Backend // for ReadReplicas
	replicaReads int     // operations
	behind       bool    // replicas can't answer
}

// fakeID is the id of this node, as the fake backend tells it.
const fakeID = "0123456789012345678901234567890123456789"

func newFakeCluster() *fakeCluster {
	s := &placement.State{ClusterID: "c1", Replication: 2, NextID: 3, MetaVoters: []string{fakeID}}
	for i, id := range []string{fakeID, "2222222222222222222222222222222222222222", "3333333333333333333333333333333333333333", "4444444444444444444444444444444444444444"} {
		s.Nodes = append(s.Nodes, placement.Node{ID: id, Name: fmt.Sprint("n", i+1), PeerAddr: fmt.Sprintf("10.0.0.%d:6381", i+1),
			ClientAddr: fmt.Sprintf("10.0.0.%d:6379", i+1), ClusterAddr: fmt.Sprintf("10.0.0.%d:6380", i+1), Status: placement.Active})
	}
	s.Nodes[3].Status, s.Nodes[3].Departed = placement.Left, 1
	half := op.Position{Slot: op.Slots / 2}
	s.Ranges = []placement.Range{{ID: 1, Epoch: 1, To: half, Replicas: []string{s.Nodes[0].ID, s.Nodes[1].ID}},
		{ID: 2, Epoch: 1, From: half, Replicas: []string{s.Nodes[1].ID, s.Nodes[2].ID}}}
	return &fakeCluster{state: s}
}

func (f *fakeCluster) Elsewhere(slot uint16) string {
	if slot < op.Slots/2 || f.unknown {
		return ""
	}
	return f.state.Nodes[1].ClusterAddr
}

// Follows: this node has replicas of the first three quarters of the slots.
func (f *fakeCluster) Follows(slot uint16) bool { return slot < op.Slots/4*3 }

func (f *fakeCluster) ReplicaState(id uint32) cluster.ReplicaState {
	return cluster.ReplicaState{Here: id < 2, Leads: id == 1}
}

func (f *fakeCluster) Staleness() time.Duration { return 5 * time.Second }

// ReadReplicas counts operations, and has the fake backend run them when a replica may.
func (f *fakeCluster) ReadReplicas(ctx context.Context, _ *cluster.ReplicaSession, ops []op.Op, whole bool) ([]op.Outcome, bool) {
	if whole && f.behind {
		return nil, false
	}
	f.replicaReads += len(ops)
	return f.backend.Do(ctx, ops), true
}

func (f *fakeCluster) Topology() cluster.Topology {
	return cluster.Topology{Nodes: f.state.Nodes[:3], Epoch: 7,
		Slots: []cluster.SlotRange{{From: 0, To: op.Slots/2 - 1, Node: 0, Led: true}, {From: op.Slots / 2, To: op.Slots - 1, Node: 1, Led: !f.unknown, Replicas: []int{2}}}}
}

func (f *fakeCluster) Overview(context.Context) (*cluster.Overview, error) {
	all := &cluster.Overview{State: f.state, Version: 7, Reports: placement.Reports{}}
	for _, r := range append([]placement.Range{{ID: 0, Replicas: f.state.MetaVoters}}, f.state.Ranges...) {
		var members []placement.Member
		for _, id := range r.Replicas {
			members = append(members, placement.Member{ID: id, Voter: true, Live: id != f.silent, CaughtUp: id != f.silent})
		}
		for i, id := range r.Replicas {
			report := all.Reports[id]
			report.Replicas = append(report.Replicas, placement.ReplicaReport{Range: r.ID, Leads: i == 0, Term: 3, Applied: 40 + uint64(r.ID), Members: members})
			all.Reports[id] = report
		}
	}
	delete(all.Reports, f.silent)
	return all, nil
}

func (f *fakeCluster) order(format string, args ...any) error {
	f.orders = append(f.orders, fmt.Sprintf(format, args...))
	if len(f.orders) > 0 && f.silent != "" {
		return fmt.Errorf("%w: it does not answer", cluster.ErrRefused)
	}
	return nil
}

func (f *fakeCluster) Drain(_ context.Context, node string, off bool) error {
	return f.order("drain %s %v", node, off)
}

func (f *fakeCluster) Leave(_ context.Context, node string) error { return f.order("leave %s", node) }

func (f *fakeCluster) Lead(_ context.Context, partition uint32, node string) error {
	return f.order("lead %d %s", partition, node)
}

func (f *fakeCluster) Split(_ context.Context, partition uint32, at *op.Position) (uint32, error) {
	where := "the middle"
	if at != nil {
		where = border(*at)
	}
	return 9, f.order("split %d %s", partition, where)
}

func (f *fakeCluster) Move(_ context.Context, partition uint32, from, to string) error {
	return f.order("move %d %s %s", partition, from, to)
}

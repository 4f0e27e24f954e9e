package raftgroup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// enqueueTimeout bounds how long a change of members waits for an earlier one to be committed, if ctx does not.
const enqueueTimeout = 10 * time.Second

// TransferLeadership hands the leadership to another voter. While it lasts, at most ElectionTimeout, proposals are refused. An
// error means that it did not, or not yet, happen.
func (g *Group) TransferLeadership(ctx context.Context, toID string) error {
	inst, peers, err := g.members()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.ID == toID })
	if i < 0 || !peers[i].Voter {
		return fmt.Errorf("raftgroup: %q is not a voter of group %d", toID, g.cfg.ID)
	}
	if toID == g.host.cfg.NodeID {
		return nil
	}
	return await(ctx, inst, inst.raft.LeadershipTransferToServer(raft.ServerID(toID), raft.ServerAddress(peers[i].Addr)))
}

// AddNonvoter makes a peer a member without a vote, or updates its address; a voter is left as it is. Like the other changes it
// returns when it is committed, may be repeated, and its errors are those of a proposal.
func (g *Group) AddNonvoter(ctx context.Context, p Peer) error {
	return g.change(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.AddNonvoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, wait)
	})
}

// AddVoter gives a peer a vote. It should be a member that has caught up: it counts for the quorum at once.
func (g *Group) AddVoter(ctx context.Context, p Peer) error {
	return g.change(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, wait)
	})
}

// Demote takes a peer's vote; it goes on to follow.
func (g *Group) Demote(ctx context.Context, id string) error {
	return g.change(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.DemoteVoter(raft.ServerID(id), 0, wait)
	})
}

// Remove removes a member. A leader that removes itself steps down when it is committed; better transfer before.
func (g *Group) Remove(ctx context.Context, id string) error {
	return g.change(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.RemoveServer(raft.ServerID(id), 0, wait)
	})
}

// change makes a change of members.
func (g *Group) change(ctx context.Context, propose func(*raft.Raft, time.Duration) raft.IndexFuture) error {
	inst, _, err := g.members()
	if err != nil {
		return err
	}
	wait := enqueueTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	f := propose(inst.raft, wait)
	if !enqueued(f) {
		return fmt.Errorf("%w: %w", ErrNotProposed, f.Error())
	}
	return proposalError(await(ctx, inst, f))
}

// CommittedMembers are the members of the group that this replica leads, in a configuration that is committed: no later leader goes
// by an earlier one.
func (g *Group) CommittedMembers(ctx context.Context) ([]Peer, error) {
	inst, term, err := g.leading()
	if err != nil {
		return nil, err
	}
	peers := peersOf(inst.raft.GetConfiguration().Configuration())
	if err := g.ReadIndex(ctx); err != nil {
		return nil, err
	}
	if err := g.noneChanges(inst.raft.CommitIndex()); err != nil {
		return nil, err
	}
	if leads(inst) != term {
		return nil, ErrNotLeader // the configuration may have been one of before
	}
	return peers, nil
}

// noneChanges tells whether a change of members stands behind an index. (A barrier would wait for it, but the state machine never sees
// one, so that reads would then wait for the next write.)
func (g *Group) noneChanges(index uint64) error {
	_, last, err := g.log.bounds()
	for index++; err == nil && index <= last; index++ {
		var entry raft.Log
		if err = g.log.GetLog(index, &entry); err == nil && entry.Type == raft.LogConfiguration {
			return fmt.Errorf("%w: the last change of members is not committed", ErrNotReady)
		}
	}
	return err
}

// members is the latest configuration on a leader, which may not be committed yet.
func (g *Group) members() (*instance, []Peer, error) {
	inst := g.instance.Load()
	switch {
	case g.failure() != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrNotProposed, g.failure())
	case inst == nil || inst.raft.State() != raft.Leader:
		return nil, nil, fmt.Errorf("%w: %w", ErrNotProposed, ErrNotLeader)
	}
	return inst, peersOf(inst.raft.GetConfiguration().Configuration()), nil
}

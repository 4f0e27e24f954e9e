package raftgroup

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Proposal is an entry on its way. Wait may be called once.
type Proposal struct {
	group    *Group
	instance *instance
	future   raft.ApplyFuture
	err      error
}

// fault is what an entry gets in place of a result when the state machine failed.
type fault struct{ err error }

// Propose hands an entry to the log, which owns data from now on. It may wait until Raft takes it; entries proposed by one
// goroutine are appended in that order.
func (g *Group) Propose(data []byte) Proposal {
	if err := g.failure(); err != nil {
		return Proposal{err: errors.Join(ErrNotProposed, err)}
	}
	inst := g.instance.Load()
	if inst == nil || inst.raft.State() != raft.Leader {
		return g.notProposed(ErrNotLeader)
	}
	f := inst.raft.Apply(data, 0)
	if !enqueued(f) {
		return g.notProposed(f.Error())
	}
	return Proposal{group: g, instance: inst, future: f}
}

// notProposed is a proposal that Raft did not take. The group may have failed since it was asked for.
func (g *Group) notProposed(why error) Proposal {
	return Proposal{err: errors.Join(fmt.Errorf("%w: %w", ErrNotProposed, why), g.failure())}
}

// Wait returns the index and the state machine's result of the entry. An error is ErrNotProposed or ErrUncertain, together with
// ErrFailed if the group has failed. When ctx ends first, it is ErrUncertain.
func (p Proposal) Wait(ctx context.Context) (index uint64, result any, err error) {
	if p.err != nil {
		return 0, nil, p.err
	}
	if err := await(ctx, p.instance, p.future); err != nil {
		return 0, nil, p.failed(err)
	}
	p.group.watchdog.clear()
	result = p.future.Response()
	if f, failed := result.(fault); failed {
		return 0, nil, errors.Join(ErrUncertain, f.err)
	}
	return p.future.Index(), result, nil
}

func (p Proposal) failed(err error) error {
	if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		p.group.refusedByTransfer(p.instance)
	}
	return errors.Join(proposalError(err), p.group.failure())
}

package raftgroup

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

var (
	// ErrNotProposed: the proposal was certainly not appended anywhere and never will be.
	ErrNotProposed = errors.New("raftgroup: not proposed")
	// ErrUncertain: the proposal may take effect, now or later, or may have taken effect.
	ErrUncertain = errors.New("raftgroup: end unknown")
	// ErrNotLeader: this replica does not lead, or cannot prove that it does. Nothing was read.
	ErrNotLeader = errors.New("raftgroup: not the leader")
	// ErrNotReady: this replica leads but has not yet applied all that was committed before. Nothing was read.
	ErrNotReady = errors.New("raftgroup: leader not ready")
	// ErrFailed: a fault has stopped this replica for good. Wraps the cause.
	ErrFailed = errors.New("raftgroup: group failed")
	// ErrClosed: the group or the host was closed.
	ErrClosed = errors.New("raftgroup: closed")
	// ErrNothingToCompact: no marker was written, and nothing is wrong.
	ErrNothingToCompact = errors.New("raftgroup: nothing to compact")
	// ErrDamaged: a file of the group is not what was written. It is left as it is.
	ErrDamaged = errors.New("raftgroup: damaged file")
	// ErrLostState: the log, the marker and the state machine do not fit together: something that was durable is gone. The replica
	// must not vote any more; it has to be removed and filled anew.
	ErrLostState = errors.New("raftgroup: durable state was lost")
)

// proposalError tells whether what a Raft future ended with means that nothing was appended. Everything that is not known to
// mean it is uncertain, a failed log write on the leader included: the entry may be on disk and be committed later.
func proposalError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNotProposed, err)
	default:
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
}

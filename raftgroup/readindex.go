package raftgroup

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// othersMax is how many voters beside this node can be asked.
const othersMax = 6

// errNoQuorum says that too many voters did not confirm the term. It reads as ErrNotLeader.
var errNoQuorum = fmt.Errorf("%w: no quorum confirms it", ErrNotLeader)

// ReadIndex returns when the state machine has everything that was committed anywhere before the call: what is read from it then
// is linearizable. Errors are ErrNotLeader, ErrNotReady, ErrFailed, ErrClosed or that of ctx; nothing was read then, and it may be
// asked again, here or elsewhere.
func (g *Group) ReadIndex(ctx context.Context) error {
	inst, term, err := g.leading()
	if err != nil {
		return err
	}
	index := inst.raft.CommitIndex()
	if err := g.confirm(ctx, inst, term); err != nil {
		return err
	}
	return g.progress.wait(ctx, index)
}

// Reached waits until the state machine has everything up to an index, that of a command.
func (g *Group) Reached(ctx context.Context, index uint64) error { return g.progress.wait(ctx, index) }

// leading returns the term that this replica leads in and is ready for, by what it knows itself.
func (g *Group) leading() (*instance, uint64, error) {
	inst, term := g.instance.Load(), g.ready.Load()
	switch {
	case g.failure() != nil:
		return nil, 0, g.failure()
	case inst == nil:
		return nil, 0, ErrNotLeader
	case inst.raft.State() != raft.Leader:
		return nil, 0, ErrNotLeader
	case term == 0 || inst.raft.CurrentTerm() != term:
		return nil, 0, ErrNotReady
	}
	return inst, term, nil
}

// confirm returns nil when a quorum of the voters knew no newer term at some time after the call. The caller has noted the commit
// index before: a newer leader that committed anything before the call would be known to one of them.
func (g *Group) confirm(ctx context.Context, inst *instance, term uint64) error {
	v := g.voters.load()
	need := v.quorum
	if v.self {
		if inst.raft.State() != raft.Leader || inst.raft.CurrentTerm() != term {
			return ErrNotLeader
		}
		need--
	}
	if need == 0 {
		return nil
	}
	return g.confirmWith(ctx, v.others, termQuery{Group: g.cfg.ID, Term: term}, need)
}

func (g *Group) confirmWith(ctx context.Context, others []string, q termQuery, need int) error {
	if len(others) > othersMax {
		return fmt.Errorf("raftgroup: %d other voters, limit %d", len(others), othersMax)
	}
	var asked [othersMax]struct {
		round *round
		slot  int
		done  <-chan struct{} // nil, which is never ready, when not asked or counted
	}
	for i, addr := range others {
		a := &asked[i]
		a.round, a.slot = g.host.rounds.join(addr, q)
		a.done = a.round.done
	}
	for left := len(others); need > 0; left-- {
		if left < need {
			return errNoQuorum
		}
		i := 0
		select {
		case <-asked[0].done:
		case <-asked[1].done:
			i = 1
		case <-asked[2].done:
			i = 2
		case <-asked[3].done:
			i = 3
		case <-asked[4].done:
			i = 4
		case <-asked[5].done:
			i = 5
		case <-ctx.Done():
			return ctx.Err()
		case <-g.stopped:
			return ErrClosed
		}
		asked[i].done = nil
		if asked[i].round.ok(asked[i].slot) {
			need--
		}
	}
	return nil
}

// confirms is the answer to another node's question: whether this replica's term does not exceed term. A replica that is being
// restarted, or has lost what it promised, knows nothing.
func (g *Group) confirms(term uint64) bool {
	inst := g.instance.Load()
	return inst != nil && !g.refuses.Load() && g.failure() == nil && inst.raft.CurrentTerm() <= term
}

package raftgroup

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// CommittedTerm is the term of the last entry that is known here to be committed; the state machine has everything up to it when
// it returns. If a replica led in an earlier term than that, what it proposed then and the state machine has not got was not
// committed and never will be: terms in a log only rise, so no log has both the committed entry and, behind it, one of an
// earlier term, and what was before it has been applied. (Unless a snapshot was installed, which may have held it.)
func (g *Group) CommittedTerm(ctx context.Context) (uint64, error) {
	inst := g.instance.Load()
	switch {
	case g.failure() != nil:
		return 0, g.failure()
	case inst == nil:
		return 0, ErrClosed
	}
	commit := inst.raft.CommitIndex()
	term, ok := groupGuard{g}.EntryTerm(commit)
	if !ok {
		return 0, fmt.Errorf("raftgroup: entry %d of group %d is not in the log", commit, g.cfg.ID)
	}
	return term, g.progress.wait(ctx, g.lastForMachine(commit))
}

// lastForMachine is the last entry up to index that the state machine gets: the others are Raft's own.
func (g *Group) lastForMachine(index uint64) uint64 {
	for ; index > 0; index-- {
		var entry raft.Log
		if err := g.log.GetLog(index, &entry); err != nil || entry.Type == raft.LogCommand || entry.Type == raft.LogConfiguration {
			return index // one that is not in the log any more is behind the marker, and applied
		}
	}
	return 0
}

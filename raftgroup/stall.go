package raftgroup

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// errStalled says that a leader keeps quiet because its own log takes nothing.
var errStalled = errors.New("raftgroup: the log of this node has taken nothing for too long")

// stallLimit is after how many heartbeat timeouts of one write to the log a leader falls silent. It is above what a busy disk takes: one
// that is slow, and not hung, is to keep its leaders.
const stallLimit = 3

// stall knows for how long a write to the log has been under way. A leader whose disk hangs goes on to send heartbeats (hashicorp/raft#503,
// #683): nobody stands for election, and its partition takes nothing until the disk is back. Not to send them is as if the network were
// cut, so it endangers nothing; when the disk is back, the old leader learns of the new term, or goes on.
type stall struct {
	start time.Time
	since atomic.Int64 // ns from start to the beginning of the write under way, plus one; 0: none
}

func (s *stall) begin() { s.since.Store(int64(time.Since(s.start)) + 1) }

func (s *stall) end() { s.since.Store(0) }

func (s *stall) longer(limit time.Duration) bool {
	since := s.since.Load()
	return since != 0 && int64(time.Since(s.start))+1-since > int64(limit)
}

// AppendEntries sends entries, or a heartbeat, unless the log hangs.
func (t *groupTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.stall.longer(t.limit) {
		return errStalled
	}
	return t.transport.AppendEntries(id, to, req, resp)
}

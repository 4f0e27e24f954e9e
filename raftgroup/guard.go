package raftgroup

import (
	"math"

	"github.com/hashicorp/raft"
)

// guard is what the transport must know of a group to protect it against hashicorp/raft 1.8.0. It is asked by any goroutine, until
// the transport is closed, and must not wait.
type guard interface {
	// Applied is the index up to which entries are applied in the state machine. It must not count what has to be installed anew.
	Applied() uint64
	// FirstIndex of the log, 0 when it is empty.
	FirstIndex() uint64
	// EntryTerm is the term of an entry that is in the log, or of the snapshot marker.
	EntryTerm(index uint64) (term uint64, ok bool)
	// Follows tells whether the replica is a follower, which heeds a heartbeat of a term that it knows without a write; and the
	// commit index that it knows.
	Follows() (commit uint64, yes bool)
	// Refuses tells that this replica must take part in no elections at present.
	Refuses() bool
	// Filled tells whether there is a state to which entries can be applied.
	Filled() bool
}

// hasSnapshot tells whether a snapshot brings nothing new. hashicorp/raft installs it over a newer state then: the state machine
// goes back, and the next commit panics for want of log entries below the new last applied index.
//
// Two proofs count. What is applied is committed, and so is in every later leader's log and snapshots. And a log that holds
// the snapshot's last entry, by index and term, holds everything before it (log matching; the Raft paper's rule for
// InstallSnapshot); it covers entries that Raft has committed but the state machine has yet to apply, so that the snapshot cannot
// overtake them. The second is of no use for a replica whose state has to be filled anew.
func hasSnapshot(g guard, req *raft.InstallSnapshotRequest) bool {
	if req.LastLogIndex <= g.Applied() {
		return true
	}
	first := g.FirstIndex()
	if first == 0 || req.LastLogIndex < first || g.Refuses() {
		return false
	}
	term, ok := g.EntryTerm(req.LastLogIndex)
	return ok && term == req.LastLogTerm
}

// probe is a heartbeat in place of a snapshot that brings nothing new: it lets Raft judge the term, follow the leader and note the
// contact, and touches nothing else.
func probe(req *raft.InstallSnapshotRequest) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{RPCHeader: req.RPCHeader, Term: req.Term}
}

// probed is the answer to the snapshot that Raft's answer to the probe stands for.
func probed(r raft.RPCResponse) raft.RPCResponse {
	if m, ok := r.Response.(*raft.AppendEntriesResponse); ok && r.Error == nil {
		r.Response = &raft.InstallSnapshotResponse{Term: m.Term, Success: m.Success}
	}
	return r
}

// fitAppend changes an AppendEntries so that Raft can judge it.
//
// First, the commit index is cut to the last entry that the request vouches for, as the Raft paper has it (figure 2, AppendEntries 5).
// hashicorp/raft cuts it to the end of the follower's log, whose tail may be of another leader and not yet overwritten.
//
// Second, a request that begins below what is compacted here. Raft cannot look up its previous entry, or entries to compare with, and
// refuses; the leader goes further back until it has to send a snapshot, older than what is applied here. Compacted entries are
// applied, and applied entries are committed, so a leader of this or a later term has the same ones (leader completeness): they
// need not be compared. So leading entries up to the applied index are dropped, and the last of them becomes the previous entry.
// A leader of an older term may have had others, but the term is left as it is, and Raft refuses an older term before it looks
// at anything else.
//
// And a replica without a state takes no entries: it says that it does not have the one before them, so that the leader goes back to
// where its log begins, and sends a snapshot.
func fitAppend(g guard, req *raft.AppendEntriesRequest) {
	if !g.Filled() && (len(req.Entries) > 0 || req.PrevLogEntry > 0) {
		req.PrevLogEntry, req.PrevLogTerm, req.LeaderCommitIndex, req.Entries = math.MaxInt64, req.Term, 0, nil
		return
	}
	end := req.PrevLogEntry + uint64(len(req.Entries))
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, end)
	if end == 0 {
		return
	}
	applied, first := g.Applied(), g.FirstIndex()
	floor, ok := compacted(g, applied, first)
	switch {
	case !ok, req.PrevLogEntry > floor, req.PrevLogEntry == floor && (first == 0 || floor == 0):
		return // Raft can look up what it needs, or it is not for us to judge
	case end <= floor:
		acknowledge(req)
	default:
		trim(g, req, min(end, applied), floor, first)
	}
}

// compacted returns the index up to which entries are applied and cannot be looked up in the log (the marker's own term can, but
// only while the log is empty). Not ok: the log and the state do not fit together as they do in health.
func compacted(g guard, applied, first uint64) (floor uint64, ok bool) {
	if first != 0 {
		return first - 1, first-1 <= applied
	}
	_, marker := g.EntryTerm(applied)
	return applied, marker || applied == 0
}

// acknowledge turns a request that lies below the log altogether into one that only makes Raft judge the term.
func acknowledge(req *raft.AppendEntriesRequest) {
	req.PrevLogEntry, req.PrevLogTerm, req.LeaderCommitIndex, req.Entries = 0, 0, 0, nil
}

// trim drops the entries up to last, or up to floor when last cannot be looked up. floor <= last <= end of the request.
func trim(g guard, req *raft.AppendEntriesRequest, last, floor, first uint64) {
	if _, ok := g.EntryTerm(last); !ok {
		last = floor
	}
	term := req.PrevLogTerm
	if n := last - req.PrevLogEntry; n > 0 {
		term = req.Entries[n-1].Term
		req.Entries = req.Entries[n:]
	}
	req.PrevLogEntry, req.PrevLogTerm = last, term
	if last == floor && first != 0 {
		// Raft looks the previous entry up in the log, where it is no more. Without one it compares from the log's first entry on,
		// which is the request's first entry now.
		req.PrevLogEntry, req.PrevLogTerm = 0, 0
	}
}

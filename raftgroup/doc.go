// Package raftgroup runs Raft groups of one node: replicated logs with a state machine each. It is the only package that imports
// hashicorp/raft, and it knows nothing of what the entries mean.
//
// A Host holds what all groups of a node share: the connections to other nodes, the rounds that confirm reads. A Group is one
// replica. Three kinds of failures are never mixed: an outcome (what the state machine answered), an error that says whether a
// proposal may have been appended (ErrNotProposed, ErrUncertain), and a fault (ErrFailed), which stops the group for good.
//
// # Reads
//
// ReadIndex follows the thesis of Diego Ongaro, 6.4: note the commit index, have a quorum of the voters confirm that no newer term
// is known to them, wait until the state machine has everything up to that index. It does not use VerifyLeader, which counts
// answers to questions that were asked before the read began, nor any lease.
//
// The commit index may be that of a no-op, a barrier or a configuration, which never reach the state machine. What has been
// reached is therefore counted here (progress): command and configuration entries count when they were applied, and the
// barrier of a new leader counts when it returned. No-ops are only ever appended before the barrier of their term, so a leader
// that is ready has reached its commit index as soon as the last command or configuration entry is applied.
//
// # Snapshots are markers
//
// The state machine keeps its own durable state. A snapshot is a small file, the marker, that says "the state is durable at
// least up to this index, and this was the configuration". What is streamed to a replica that is too far behind is read from the
// state machine while it is sent, and may be ahead of the marker; entries that the receiver has already are skipped by index.
// A received stream is kept in a file (the spool) until it has replaced the state, so that a crash in between starts over from it.
package raftgroup

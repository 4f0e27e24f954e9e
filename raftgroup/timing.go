package raftgroup

import "time"

// Timing are the times and sizes of all groups of a host. Zero fields have defaults.
type Timing struct {
	HeartbeatTimeout time.Duration // without a word from the leader, one to two of these, a follower stands for election; 1 s
	ElectionTimeout  time.Duration // of one election, one to two of these; 1 s
	LeaseTimeout     time.Duration // a leader that reaches no quorum for so long steps down; 500 ms. It never justifies a read
	// CommitTimeout is how often an idle leader tells its commit index, one to two of these. It is the larger half of what an idle
	// group costs; busy groups tell it with their entries. 500 ms
	CommitTimeout    time.Duration
	ConfirmTimeout   time.Duration // of one round that confirms reads with a peer; 1 s
	MaxAppendEntries int           // log entries per message and per batch, at most 1024; 512
	TrailingLogs     uint64        // log entries kept behind a marker for followers that are a little behind; 8192
}

func (t Timing) withDefaults() Timing {
	setDefault(&t.HeartbeatTimeout, time.Second)
	setDefault(&t.ElectionTimeout, max(time.Second, t.HeartbeatTimeout))
	setDefault(&t.LeaseTimeout, t.HeartbeatTimeout/2)
	setDefault(&t.CommitTimeout, 500*time.Millisecond)
	setDefault(&t.ConfirmTimeout, time.Second)
	setDefault(&t.MaxAppendEntries, 512)
	setDefault(&t.TrailingLogs, 8192)
	return t
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

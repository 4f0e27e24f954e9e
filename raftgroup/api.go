package raftgroup

import (
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// Peer is a member of a group. A peer without a vote receives the log only.
type Peer struct {
	ID, Addr string
	Voter    bool
}

// Entry is a committed command.
type Entry struct {
	Index, Term uint64
	Data        []byte // must not be changed or kept
	Members     []Peer // of the group at this place in the log; must not be changed. Entries with the same members share it
}

// StateMachine is one group's replicated state. Apply and Restore are called by one goroutine at a time, the others by any. No
// method may call the group and wait.
type StateMachine interface {
	// Apply applies entries in log order, all above Applied(), and returns one result per entry. An error, or a panic, is a
	// fault: the group stops for good.
	Apply(entries []Entry) ([]any, error)
	// Applied is the index of the last entry in the state.
	Applied() uint64
	// Durable makes everything applied so far survive a power cut and returns the index up to which it does. An error is a fault.
	Durable() (uint64, error)
	// Snapshot streams the state as it is at one index, at or above what Applied() was when it was called.
	Snapshot(w io.Writer) (index uint64, err error)
	// Restore replaces the state by such a stream. index is the least that the stream holds. It may be called again after a crash
	// that interrupted it. An error is a fault.
	Restore(r io.Reader, index uint64) error
}

// LogStore keeps a group's log, and its term and vote. Every write must be durable when it returns.
type LogStore interface {
	raft.LogStore
	raft.StableStore
}

// GroupConfig is what a group is made of.
type GroupConfig struct {
	ID      uint32
	Machine StateMachine
	// Bootstrap is the first configuration of a new group. All its members must be given the same. It is ignored when the replica
	// has any state: opening is idempotent. Empty: wait for a leader that has this node as a member.
	Bootstrap []Peer
	// BornAt, with Bootstrap, starts a new group whose state machine has a state already: the log begins behind a made-up
	// snapshot at this index, term 1. It must not be below what the state machine has applied. 0: an ordinary, empty start.
	BornAt uint64
	Dir    string // for the marker and the spool; made if missing
	// Filled tells whether the state machine has a state to which the log can be applied. While it has none the replica takes no
	// entries and no part in elections, and waits for a snapshot. It is asked for each message and must not wait. nil: always.
	Filled func() bool
	// Admit is shown the beginning of a snapshot that was received, before anything is replaced by it. An error refuses it; the
	// leader sends it again later. After nil, Restore follows. nil: all are welcome.
	Admit func(stream io.Reader) error
	// OnLeader is called when this replica leads in a term and its state machine has everything that was committed before.
	// OnFollower is called when that ended. Both come from one goroutine, one after the other, in the order of the changes.
	// OnLeader may take long; when the leadership ends meanwhile, OnFollower follows at once. Close waits for both. Both may be nil.
	OnLeader   func(term uint64)
	OnFollower func()
	// OnStored is told each command entry that was written to this replica's log, or failed to be, on the goroutine that writes.
	// data is what was given to Propose, if it was here. It must not wait. May be nil.
	OnStored func(data []byte)
}

// Status is a snapshot of a group for displays and for decisions that are checked again. It proves nothing about leadership.
type Status struct {
	Leader      bool // this replica believes to lead
	Ready       bool // and may be asked
	LeaderID    string
	LeaderAddr  string
	Term        uint64
	Commit      uint64
	Applied     uint64 // reached by the state machine
	First, Last uint64 // of the log, 0 when empty
	Marker      uint64 // index of the last marker, 0 when there is none
	Peers       []Peer
	LastContact time.Time // with a leader; only for followers
}

package raftgroup

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// voters is the latest configuration, kept for reads, which are too many to ask Raft each time.
//
// On a leader a configuration takes effect when it is appended, and its way leads through the log store (appending), before Raft
// uses it; so between two changes the view here is at most one change away from Raft's, and majorities of two
// configurations in a row overlap: a quorum of either proves the same. A replica that becomes the leader reads the
// configuration from Raft first (reset), for as a follower it may have dropped one that was appended.
type voters struct {
	self raft.ServerID
	view atomic.Pointer[view]

	mu      sync.Mutex
	index   uint64 // of the entry that the view comes from; 0 when read from Raft
	changes uint64 // how often an entry has set it
}

// view is who has a vote, by who is asked.
type view struct {
	others []string // addresses
	self   bool
	quorum int // of all with a vote
}

func newView(self raft.ServerID, c raft.Configuration) *view {
	v := &view{}
	for _, s := range c.Servers {
		switch {
		case s.Suffrage != raft.Voter:
		case s.ID == self:
			v.self = true
		default:
			v.others = append(v.others, string(s.Address))
		}
	}
	n := len(v.others)
	if v.self {
		n++
	}
	v.quorum = n/2 + 1
	return v
}

// entry takes over the configuration of a log entry, appended or committed, unless a later one is known.
func (v *voters) entry(l *raft.Log) {
	configuration := raft.DecodeConfiguration(l.Data)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	if l.Index >= v.index {
		v.index = l.Index
		v.view.Store(newView(v.self, configuration))
	}
}

// reset takes over the configuration that Raft has, unless an entry comes in meanwhile.
func (v *voters) reset(r *raft.Raft) {
	v.mu.Lock()
	before := v.changes
	v.mu.Unlock()
	configuration := r.GetConfiguration().Configuration()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changes == before {
		v.index = 0
		v.view.Store(newView(v.self, configuration))
	}
}

func (v *voters) load() *view { return v.view.Load() }

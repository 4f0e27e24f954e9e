package raftgroup

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// peers is what a leader's transport knows of the logs of its followers, from what they answered. An idle leader sends each
// follower, again and again, a request that can change nothing: its log ends where the leader's does, and it knows the commit
// index. Such a request is answered here (idle), so that idle groups cost heartbeats only.
//
// What makes that right: a follower that has once acknowledged, in this term, that its log is the leader's up to match keeps it so
// for the term, as only the leader could make it drop entries. That it still has them, and which commit index it knows, is in the answers to
// heartbeats; one that was started again, and has to be told the commit index anew, says so there. No answer is made up when the
// latest heartbeat was answered longer than fresh ago, so that a leader without followers steps down, if later by that much. No
// read rests on when it does.
type peers struct {
	fresh time.Duration

	mu sync.Mutex
	by map[raft.ServerAddress]*peerLog
}

type peerLog struct {
	term, match uint64     // in this term it has acknowledged the log up to match
	said        beatAnswer // to the latest heartbeat
	at          time.Time  // when that came
}

func (p *peers) of(addr raft.ServerAddress) *peerLog {
	if p.by == nil {
		p.by = map[raft.ServerAddress]*peerLog{}
	}
	if p.by[addr] == nil {
		p.by[addr] = &peerLog{}
	}
	return p.by[addr]
}

// heard notes the answer to a heartbeat.
func (p *peers) heard(addr raft.ServerAddress, a beatAnswer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.of(addr)
	l.said, l.at = a, time.Now()
}

// acknowledged notes what a follower answered to a request with entries, or with none. An error leaves nothing known.
func (p *peers) acknowledged(addr raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.of(addr)
	if err != nil || !resp.Success || resp.Term != req.Term {
		l.term, l.match = 0, 0
		return
	}
	l.term, l.match = req.Term, req.PrevLogEntry+uint64(len(req.Entries))
}

// idle answers a request that can change nothing. False: it is to be sent.
func (p *peers) idle(addr raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) bool {
	if len(req.Entries) > 0 || req.PrevLogEntry == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.of(addr)
	known := l.term == req.Term && l.match == req.PrevLogEntry
	same := l.said.success && l.said.term == req.Term && l.said.last == req.PrevLogEntry && l.said.commit >= req.LeaderCommitIndex
	if !known || !same || time.Since(l.at) > p.fresh {
		return false
	}
	resp.Term, resp.LastLog, resp.Success = req.Term, l.said.last, true
	return true
}

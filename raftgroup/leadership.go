package raftgroup

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// watch calls OnLeader and OnFollower until the group is stopped. What counts is Raft's state, looked at after each sign of a
// change: signs may be lost, the last one never is.
func (g *Group) watch() {
	var led uint64 // term that OnLeader was called for; 0: OnFollower was called since
	for {
		inst := g.instance.Load()
		led = g.follow(inst, led)
		retry := false
		if term := leads(inst); term != 0 && led == 0 {
			if g.becomeReady(inst, term) {
				led = term
				g.onLeader(term)
			} else {
				retry = leads(inst) != 0
			}
		}
		if !g.awaitChange(inst, retry) {
			g.follow(nil, led)
			return
		}
	}
}

// awaitChange returns false when the group was stopped.
func (g *Group) awaitChange(inst *instance, retry bool) bool {
	var changes <-chan bool
	if inst != nil {
		changes = inst.raft.LeaderCh()
	}
	var again <-chan time.Time
	if retry {
		again = time.After(g.host.cfg.Timing.ElectionTimeout / 4)
	}
	select {
	case <-changes:
	case <-g.replaced:
	case <-again:
	case <-g.stopped:
		return false
	}
	return true
}

// leads is the term that an instance leads in, 0 if it does not.
func leads(inst *instance) uint64 {
	if inst == nil || inst.raft.State() != raft.Leader {
		return 0
	}
	term := inst.raft.CurrentTerm()
	if inst.raft.State() != raft.Leader {
		return 0
	}
	return term
}

// follow ends the leadership of a term if it has ended, and returns the term otherwise.
func (g *Group) follow(inst *instance, led uint64) uint64 {
	if led == 0 || leads(inst) == led {
		return led
	}
	g.ready.Store(0)
	if g.cfg.OnFollower != nil {
		g.cfg.OnFollower()
	}
	return 0
}

func (g *Group) onLeader(term uint64) {
	if g.cfg.OnLeader != nil {
		g.cfg.OnLeader(term)
	}
}

// becomeReady waits until a barrier of the term was applied. It is false when the term ended before, or the barrier was refused.
func (g *Group) becomeReady(inst *instance, term uint64) bool {
	f := inst.raft.Barrier(0)
	if err := await(context.Background(), inst, f); err != nil {
		if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			g.refusedByTransfer(inst)
		}
		return false
	}
	if g.failure() != nil || leads(inst) != term {
		return false
	}
	g.watchdog.clear()
	g.progress.advance(f.(raft.IndexFuture).Index())
	g.voters.reset(inst.raft)
	g.ready.Store(term)
	return true
}

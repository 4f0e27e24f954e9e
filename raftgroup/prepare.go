package raftgroup

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// prepare brings what is on disk into a form that Raft can start from, or refuses it.
func (g *Group) prepare() error {
	if err := g.finishInstall(); err != nil {
		return err
	}
	fresh, err := g.fresh()
	if err != nil {
		return err
	}
	if fresh {
		if err := g.create(); err != nil {
			return err
		}
	}
	if err := g.check(); err != nil {
		return err
	}
	g.progress.advance(max(g.snapshots.index(), g.cfg.Machine.Applied()))
	return nil
}

// fresh tells whether the replica has no state: no log, no term, no marker.
func (g *Group) fresh() (bool, error) {
	_, last, err := g.log.bounds()
	if err != nil || last > 0 || g.snapshots.index() > 0 {
		return false, err
	}
	term, err := g.log.currentTerm()
	return term == 0, err
}

// create makes the first state of a new group, if it is to be made here.
func (g *Group) create() error {
	if applied := g.cfg.Machine.Applied(); applied > g.cfg.BornAt {
		return fmt.Errorf("%w: the state machine is at %d, and there is no log", ErrLostState, applied)
	}
	if len(g.cfg.Bootstrap) == 0 {
		return nil
	}
	configuration, err := configurationOf(g.cfg.Bootstrap)
	if err != nil {
		return err
	}
	if g.cfg.BornAt == 0 {
		return g.log.bootstrap(configuration)
	}
	durable, err := g.callDurable()
	if err != nil {
		return err
	}
	m := &marker{index: g.cfg.BornAt, term: 1, configurationIndex: g.cfg.BornAt, durable: durable, configuration: configuration}
	return g.snapshots.set(m)
}

// check completes an interrupted start of the group, and refuses a log, a marker and a state that do not fit together.
func (g *Group) check() error {
	first, last, err := g.log.bounds()
	if err != nil {
		return err
	}
	base := uint64(0)
	if m := g.snapshots.current.Load(); m != nil {
		base = m.index
		if applied := g.cfg.Machine.Applied(); applied < m.durable {
			return fmt.Errorf("%w: the state machine is at %d, and was durable up to %d", ErrLostState, applied, m.durable)
		}
		if err := g.log.raiseTerm(m.term); err != nil {
			return err
		}
	}
	if last == 0 {
		return nil
	}
	if first > base+1 || last < base {
		return fmt.Errorf("%w: the log has %d to %d, the marker is at %d", ErrLostState, first, last, base)
	}
	var entry raft.Log
	if err := g.log.GetLog(last, &entry); err != nil {
		return err
	}
	return g.log.raiseTerm(entry.Term)
}

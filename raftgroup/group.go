package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/rs/zerolog"
)

// Group is one replica of a Raft group. Its methods are for any goroutine.
type Group struct {
	host      *Host
	cfg       GroupConfig
	logger    zerolog.Logger
	log       *groupLog
	snapshots *snapshots
	voters    *voters
	progress  progress
	watchdog  watchdog

	instance atomic.Pointer[instance] // nil while Raft is stopped
	ready    atomic.Uint64            // term whose barrier was applied; 0: none
	refuses  atomic.Bool              // the state is being replaced: no votes, no confirmations
	fault    atomic.Pointer[error]
	outworn  atomic.Pointer[instance] // that is to be replaced by a new one

	failed    chan struct{} // closed by fail
	restarts  chan struct{} // a sign that outworn was set
	replaced  chan struct{} // a sign that instance has changed
	closing   chan struct{} // closed by Close
	stopped   chan struct{} // closed when Raft has stopped for good after Close
	closeOnce sync.Once
	running   sync.WaitGroup
}

func openGroup(h *Host, cfg GroupConfig) (*Group, error) {
	g := &Group{host: h, cfg: cfg, logger: h.cfg.Logger.With().Uint32("group", cfg.ID).Logger(),
		failed: make(chan struct{}), restarts: make(chan struct{}, 1), replaced: make(chan struct{}, 1),
		closing: make(chan struct{}), stopped: make(chan struct{})}
	g.voters = &voters{self: raft.ServerID(h.cfg.NodeID)}
	g.log = &groupLog{LogStore: h.cfg.Logs(cfg.ID), voters: g.voters, stored: cfg.OnStored}
	g.watchdog.start = time.Now()
	g.log.stall.start = g.watchdog.start
	var err error
	if g.snapshots, err = openSnapshots(cfg.Dir, cfg.Machine, cfg.Admit); err != nil {
		return nil, err
	}
	if err := g.prepare(); err != nil {
		return nil, err
	}
	if err := g.start(); err != nil {
		return nil, err
	}
	g.running.Go(g.keep)
	g.running.Go(g.watch)
	return g, nil
}

// Close stops the replica and joins all it started. OnFollower is called if OnLeader was. What was proposed and has no result
// yet ends as uncertain.
func (g *Group) Close() error {
	g.closeOnce.Do(func() {
		g.progress.stop(ErrClosed)
		close(g.closing)
	})
	g.running.Wait()
	g.snapshots.streams.Wait()
	g.host.forget(g)
	return nil
}

// fail stops the group for good. The first error counts.
func (g *Group) fail(err error) {
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	if g.fault.CompareAndSwap(nil, &err) {
		g.progress.stop(err)
		close(g.failed)
	}
}

// failure is nil as long as the group has not failed.
func (g *Group) failure() error {
	if err := g.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Leader is who leads, as far as this replica knows; empty when it knows nobody.
func (g *Group) Leader() (id, addr string) {
	inst := g.instance.Load()
	if inst == nil {
		return "", ""
	}
	a, i := inst.raft.LeaderWithID()
	return string(i), string(a)
}

// Term is the replica's current term; 0 while it is stopped.
func (g *Group) Term() uint64 {
	if inst := g.instance.Load(); inst != nil {
		return inst.raft.CurrentTerm()
	}
	return 0
}

// Status tells how the replica is.
func (g *Group) Status() Status {
	s := Status{Applied: g.progress.index.Load(), Marker: g.snapshots.index()}
	s.First, s.Last, _ = g.log.bounds()
	inst := g.instance.Load()
	if inst == nil {
		return s
	}
	s.LeaderID, s.LeaderAddr = g.Leader()
	s.Leader = leads(inst) != 0
	s.Term = inst.raft.CurrentTerm()
	s.Ready = s.Leader && g.ready.Load() == s.Term
	s.Commit = inst.raft.CommitIndex()
	s.Peers = peersOf(inst.raft.GetConfiguration().Configuration())
	s.LastContact = inst.raft.LastContact()
	return s
}

// Compact writes a marker at what has been applied and removes the log entries before it, but for the trailing ones. It is
// ErrNothingToCompact, with the reason, when there is nothing new, or not yet.
func (g *Group) Compact() error {
	inst := g.instance.Load()
	if inst == nil {
		return errors.Join(ErrClosed, g.failure())
	}
	if at := g.progress.index.Load(); at <= g.snapshots.index() {
		return fmt.Errorf("%w: the marker is at %d", ErrNothingToCompact, at)
	}
	err := await(context.Background(), inst, inst.raft.Snapshot())
	switch {
	case err == nil:
		return nil
	case g.failure() != nil:
		return g.failure()
	case errors.Is(err, raft.ErrNothingNewToSnapshot), isSkip(err):
		return fmt.Errorf("%w: %w", ErrNothingToCompact, err)
	}
	return fmt.Errorf("raftgroup: compacting group %d: %w", g.cfg.ID, err)
}

// CompactPast removes the log up to an index that the state machine has applied, with no trailing entries, so that a replica that is
// made anew gets a snapshot and nothing of what was before. Errors are those of Compact: ErrNothingToCompact when the marker can't
// be put there yet.
func (g *Group) CompactPast(index uint64) error {
	first, _, err := g.log.bounds()
	if err != nil || first == 0 || first > index {
		return err
	}
	if err := g.Compact(); err != nil && g.snapshots.index() < index {
		return err
	}
	if at := g.snapshots.index(); at < index {
		return fmt.Errorf("%w: the marker is at %d, not at %d", ErrNothingToCompact, at, index)
	}
	if first, _, err = g.log.bounds(); err != nil || first == 0 || first > index {
		return err
	}
	return g.log.DeleteRange(first, index)
}

// isSkip tells, by their text, which of Raft's errors mean that a snapshot can be made later.
func isSkip(err error) bool {
	text := err.Error()
	return strings.Contains(text, ErrNothingToCompact.Error()) || strings.Contains(text, "cannot take snapshot now") ||
		strings.Contains(text, raft.ErrLeadershipTransferInProgress.Error())
}

// groupGuard is what the transport asks before Raft sees a message.
type groupGuard struct{ g *Group }

// Applied is what Raft has handed to the state machine: all of it is committed, and the log or the marker has it.
func (w groupGuard) Applied() uint64 {
	if inst := w.g.instance.Load(); inst != nil {
		return inst.raft.AppliedIndex()
	}
	return w.g.snapshots.index()
}

func (w groupGuard) FirstIndex() uint64 {
	first, _ := w.g.log.FirstIndex()
	return first
}

func (w groupGuard) EntryTerm(index uint64) (uint64, bool) {
	if m := w.g.snapshots.current.Load(); m != nil && m.index == index {
		return m.term, true
	}
	var entry raft.Log
	if err := w.g.log.GetLog(index, &entry); err != nil {
		return 0, false
	}
	return entry.Term, true
}

func (w groupGuard) Follows() (commit uint64, yes bool) {
	inst := w.g.instance.Load()
	if inst == nil {
		return 0, false
	}
	return inst.raft.CommitIndex(), inst.raft.State() == raft.Follower
}

func (w groupGuard) Refuses() bool { return w.g.refuses.Load() || !w.Filled() }

func (w groupGuard) Filled() bool { return w.g.cfg.Filled == nil || w.g.cfg.Filled() }

package raftgroup

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/hashicorp/raft"
)

// adapter is the state machine that Raft is given. All its methods but Persist are called by Raft's goroutine for it.
//
// After a fault it answers at once and changes nothing: if it stopped here instead, Raft could not be shut down.
type adapter struct {
	group    *Group
	instance *instance // whose state machine it is
	last     uint64    // of the entries that were given to it, or the marker's when Raft started
	members  []Peer    // of the group, at last
	entries  []Entry   // reused
	at       []int     // where the results of entries belong
}

// begin puts the adapter behind the marker.
func (a *adapter) begin() {
	if m := a.group.snapshots.current.Load(); m != nil {
		a.last, a.members = m.index, peersOf(m.configuration)
	}
}

// errRestarting makes Raft refuse a snapshot that has been installed, so that it is started anew from what is on disk.
var errRestarting = errors.New("raftgroup: installed; the replica restarts")

func (a *adapter) Apply(l *raft.Log) any { return a.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies committed entries. Those that the state machine has already, which Raft delivers again after a restart, are
// skipped; nobody waits for their results.
func (a *adapter) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	if err := a.group.failure(); err != nil {
		return faults(results, err)
	}
	a.choose(logs)
	if err := a.apply(results); err != nil {
		a.group.fail(err)
		return faults(results, a.group.failure())
	}
	a.last = logs[len(logs)-1].Index
	a.group.progress.advance(a.last)
	return results
}

func faults(results []any, err error) []any {
	for i := range results {
		results[i] = fault{err}
	}
	return results
}

func (a *adapter) choose(logs []*raft.Log) {
	applied := a.group.cfg.Machine.Applied()
	a.entries, a.at = a.entries[:0], a.at[:0]
	for i, l := range logs {
		switch {
		case l.Type == raft.LogConfiguration:
			a.group.voters.entry(l)
			a.members = peersOf(raft.DecodeConfiguration(l.Data))
		case l.Type == raft.LogCommand && l.Index > applied:
			a.entries = append(a.entries, Entry{Index: l.Index, Term: l.Term, Data: l.Data, Members: a.members})
			a.at = append(a.at, i)
		}
	}
}

func (a *adapter) apply(results []any) error {
	if len(a.entries) == 0 {
		return nil
	}
	defer clear(a.entries)
	var out []any
	err := guarded(func() (err error) {
		out, err = a.group.cfg.Machine.Apply(a.entries)
		return err
	})
	if err == nil && len(out) != len(a.entries) {
		err = fmt.Errorf("state machine gave %d results for %d entries", len(out), len(a.entries))
	}
	if err != nil {
		return fmt.Errorf("applying entries %d to %d: %w", a.entries[0].Index, a.entries[len(a.entries)-1].Index, err)
	}
	for i, at := range a.at {
		results[at] = out[i]
	}
	return nil
}

// guarded turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// StoreConfiguration makes Raft count configuration entries as seen by the state machine; without it an idle group could not
// be compacted after a change of its members. They come through ApplyBatch.
func (a *adapter) StoreConfiguration(uint64, raft.Configuration) {}

// Snapshot captures nothing but what must be durable before the marker may say so.
func (a *adapter) Snapshot() (raft.FSMSnapshot, error) {
	if err := a.group.failure(); err != nil {
		return nil, err
	}
	return &machineSnapshot{group: a.group, needs: a.group.cfg.Machine.Applied()}, nil
}

// machineSnapshot becomes a marker.
type machineSnapshot struct {
	group *Group
	needs uint64 // the last command at or below the marker's index
}

// Persist makes the state durable, then writes the marker.
func (s *machineSnapshot) Persist(to raft.SnapshotSink) error {
	durable, err := s.group.durable()
	if err != nil {
		return err
	}
	if durable < s.needs {
		return fmt.Errorf("%w: durable up to %d only, not %d", ErrNothingToCompact, durable, s.needs)
	}
	return to.(*sink).mark(durable)
}

func (s *machineSnapshot) Release() {}

// Restore replaces the state by the spool that was just completed. Raft offers an older snapshot than the state only if
// the guard in front of it failed (hashicorp/raft would go back in time): that is a fault.
func (a *adapter) Restore(io.ReadCloser) error {
	if err := a.group.failure(); err != nil {
		return err
	}
	again, err := a.group.replaceState(a.last)
	if err != nil {
		a.group.fail(err)
		return err
	}
	a.begin()
	if again {
		// Until it is started again, Raft would vouch for entries that are gone.
		a.instance.transport.sever()
		a.group.requestRestart(a.instance)
		return errRestarting
	}
	return nil
}

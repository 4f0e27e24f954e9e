package raftgroup

import (
	"errors"
	"fmt"
)

// replaceState installs the spool while Raft runs, and tells whether Raft must be started again: it remembers its last entry, and
// if that lies behind the snapshot, entries that are gone now would count as there (hashicorp/raft#697).
//
// given is the last entry that the state machine was given. A snapshot below it would take it back in time; the guard in front of Raft does not let it come so far, so it is a
// fault. One below the state only is right when the state came from a stream that was ahead of its marker.
func (g *Group) replaceState(given uint64) (again bool, err error) {
	s, err := openSpool(g.snapshots.spoolPath())
	if err != nil || s == nil {
		return false, errors.Join(err, errNoSpool(s))
	}
	_, last, err := g.log.bounds()
	if err == nil && s.marker.index < given {
		err = fmt.Errorf("snapshot at %d is older than entry %d, which was applied", s.marker.index, given)
	}
	if err != nil {
		return false, errors.Join(err, s.close())
	}
	g.refuses.Store(true)
	again = last > s.marker.index
	if err := g.install(s, s.marker.index > g.cfg.Machine.Applied()); err != nil {
		return false, err
	}
	g.refuses.Store(again)
	return again, nil
}

func errNoSpool(s *spool) error {
	if s == nil {
		return errors.New("there is no spool to restore from")
	}
	return nil
}

// finishInstall installs a spool that a crash left, before Raft starts. The state may be the old one, the new one, or half of each.
func (g *Group) finishInstall() error {
	s, err := openSpool(g.snapshots.spoolPath())
	if err != nil || s == nil {
		return err
	}
	g.logger.Warn().Uint64("index", s.marker.index).Msg("an interrupted snapshot is installed again")
	return g.install(s, true)
}

// install replaces the state by a spool, unless the state has it all, and closes it. Each step can be done again, and the spool
// goes last: restore the state; make it durable; write the marker; drop the log, which lies before the marker or is in doubt.
func (g *Group) install(s *spool, restore bool) error {
	var err error
	if restore {
		err = guarded(func() error { return g.cfg.Machine.Restore(s.stream(), s.marker.index) })
	}
	if err = errors.Join(err, s.close()); err != nil {
		return fmt.Errorf("restoring the state at %d: %w", s.marker.index, err)
	}
	if s.marker.durable, err = g.callDurable(); err != nil {
		return err
	}
	if err := g.snapshots.set(s.marker); err != nil {
		return err
	}
	if err := g.log.drop(); err != nil {
		return err
	}
	if err := remove(g.snapshots.spoolPath()); err != nil {
		return err
	}
	g.progress.advance(max(s.marker.index, g.cfg.Machine.Applied()))
	return nil
}

func (g *Group) callDurable() (index uint64, err error) {
	err = guarded(func() (err error) {
		index, err = g.cfg.Machine.Durable()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("making the state durable: %w", err)
	}
	return index, nil
}

// durable makes the state durable; an error is a fault.
func (g *Group) durable() (uint64, error) {
	if err := g.failure(); err != nil {
		return 0, err
	}
	index, err := g.callDurable()
	if err != nil {
		g.fail(err)
		return 0, g.failure()
	}
	return index, nil
}

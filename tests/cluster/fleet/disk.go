package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// HasDisks tells whether the nodes have disks of their own.
func (f *Fleet) HasDisks() bool { return f.o.DiskBytes > 0 }

// Cut cuts the power of nodes at one moment: what they had not synced is lost. They don't run then, and see another boot id when
// they are started again. Nobody hears from them after the cut: they stand still before it.
func (f *Fleet) Cut(nodes ...int) error {
	for _, i := range nodes {
		if err := errors.Join(f.Thaw(i), f.Signal(i, syscall.SIGSTOP), f.unsynced(i)); err != nil {
			return err
		}
	}
	for _, i := range nodes {
		if err := f.still(i); err != nil {
			return err
		}
	}
	for _, i := range nodes {
		if err := f.nodes[i].disk.Cut(); err != nil {
			return err
		}
	}
	f.Kill(nodes...)
	for _, i := range nodes {
		if err := f.nodes[i].disk.Restore(); err != nil {
			return err
		}
		if err := errors.Join(f.boot(i), f.lost(i)); err != nil {
			return err
		}
	}
	return nil
}

// unsynced leaves something on a disk that is not synced, by which lost tells whether a cut has had effect.
func (f *Fleet) unsynced(i int) error {
	return os.WriteFile(filepath.Join(f.nodes[i].disk.Mount, "unsynced"), []byte("this was never synced"), 0o600)
}

func (f *Fleet) lost(i int) error {
	if b, err := os.ReadFile(filepath.Join(f.nodes[i].disk.Mount, "unsynced")); err == nil && len(b) > 0 {
		return fmt.Errorf("the power cut of node %d had no effect: what was never synced is there", i)
	}
	return nil
}

// still waits until no thread of a node runs: one that is in the kernel does not come back from there.
func (f *Fleet) still(i int) error {
	if !f.Running(i) {
		return nil
	}
	return f.Await(10*time.Second, func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", f.PID(i)))
		if err != nil {
			return err
		}
		for _, path := range threads {
			b, err := os.ReadFile(path)
			if err != nil {
				continue // the thread has ended
			}
			if state := b[bytes.LastIndexByte(b, ')')+2]; state == 'R' || state == 'S' {
				return fmt.Errorf("a thread of node %d does not stand still: %c", i, state)
			}
		}
		return nil
	})
}

// Freeze makes a node's disk hang.
func (f *Fleet) Freeze(i int) error {
	if f.nodes[i].frozen {
		return nil
	}
	f.nodes[i].frozen = true
	return f.nodes[i].disk.Freeze()
}

// Thaw ends Freeze, if the disk hangs.
func (f *Fleet) Thaw(i int) error {
	if !f.nodes[i].frozen {
		return nil
	}
	f.nodes[i].frozen = false
	return f.nodes[i].disk.Thaw()
}

func (f *Fleet) thawAll() {
	for i := range f.nodes {
		_ = f.Thaw(i) // it is closed next
	}
}

// Fill fills a node's disk in one go, save so many bytes.
func (f *Fleet) Fill(i int, leave uint64) error { return f.nodes[i].disk.Fill(leave) }

// Empty takes away what Fill has made.
func (f *Fleet) Empty(i int) error {
	if f.nodes[i].disk == nil {
		return nil
	}
	return f.nodes[i].disk.Empty()
}

// Wipe removes all that a node has, which must not run. It is no member any more; started again, it is another one.
func (f *Fleet) Wipe(i int) error {
	f.nodes[i].member, f.nodes[i].fragile = false, false
	return os.RemoveAll(f.DataDir(i))
}

// ClockVariable names the file from which a node takes how far its wall clock is off, in nanoseconds.
const ClockVariable = "KAHUNA_TEST_CLOCK_FILE"

func (f *Fleet) clockFile(i int) string { return filepath.Join(f.nodes[i].dir, "clock") }

// HasClocks tells whether the nodes' wall clocks can be set.
func (f *Fleet) HasClocks() bool { return f.o.Clocks }

// SetClock sets how far a node's wall clock is off, from within some milliseconds on.
func (f *Fleet) SetClock(i int, off time.Duration) error {
	if !f.o.Clocks {
		return nil
	}
	next := f.clockFile(i) + ".next" // never seen half
	if err := os.WriteFile(next, fmt.Appendln(nil, off.Nanoseconds()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.clockFile(i))
}

package storage

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// faults remembers the first fault of a store.
type faults struct {
	first  atomic.Pointer[FaultError]
	once   sync.Once
	raised chan struct{} // closed with the first fault
	armed  atomic.Bool   // false while Badger opens: its errors are then returned by Open
	log    zerolog.Logger
	notify func(error)
	mark   func(*DamagedError) // leaves a mark on disk, so that the damage is known to the next Open
}

// raise makes err the store's fault, if it is the first, and returns the fault in force.
func (f *faults) raise(err error) error {
	f.once.Do(func() {
		f.first.Store(&FaultError{Cause: err})
		f.log.Error().Err(err).Msg("storage fault: the store stops")
		if damage, ok := err.(*DamagedError); ok && f.mark != nil {
			f.mark(damage)
		}
		close(f.raised)
		if f.notify != nil {
			f.notify(err)
		}
	})
	return f.first.Load()
}

// check is the fault in force, or nil.
func (f *faults) check() error {
	if e := f.first.Load(); e != nil {
		return e
	}
	return nil
}

// Badger reports what fails in its background work only to its logger. Errorf is used for failed I/O alone (DB.doWrites,
// flushMemtable, memTable.OnClose, subcompactions); a failed compaction is a warning, recognised by its text.
func (f *faults) Errorf(format string, args ...any) {
	f.background(fmt.Errorf("badger: "+strings.TrimSpace(format), args...))
}

func (f *faults) Warningf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	if strings.Contains(format, "doCompact") || strings.Contains(format, "Compact FAILED") {
		f.background(fmt.Errorf("badger: %s", text))
		return
	}
	f.log.Warn().Msg("badger: " + text)
}

func (f *faults) Infof(string, ...any)  {}
func (f *faults) Debugf(string, ...any) {}

func (f *faults) background(err error) {
	if f.armed.Load() {
		_ = f.raise(err)
	}
}

// caught turns a panic of Badger on damaged data to an error.
func caught(file string, r any) *DamagedError {
	text := strings.TrimSpace(fmt.Sprint(r))
	if i := strings.IndexByte(text, '\n'); i > 0 {
		text = text[:i]
	}
	return &DamagedError{File: file, Reason: "it can't be read (" + text + ")"}
}

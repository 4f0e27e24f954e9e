package storage

import (
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4/y"
)

// Badger's readers take a block whose checksum is wrong for the end of a table (table.Iterator.Valid is false, and nobody
// looks at why), so a point read, a scan and even a compaction would go on without the keys in it. The only trace is
// y.ErrChecksumMismatch, which y.VerifyChecksum formats into its error. checksumAlarm takes that variable's place and counts how
// often it is formatted. Every read and commit looks at the count, and any change is a fault.
//
// The count is the process's, not a store's: with several stores in one process, as in a simulation, all of them stop.
type checksumAlarm struct{ rung atomic.Uint64 }

var alarm checksumAlarm

func init() { y.ErrChecksumMismatch = &alarm }

// Error is called by y.Wrap when a checksum is found wrong, before Badger can lose the error.
func (a *checksumAlarm) Error() string {
	if !verifying() {
		a.rung.Add(1)
	}
	return "checksum mismatch"
}

// verifying tells whether the mismatch was met by verifyTable, which returns it as an error of its own.
func verifying() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "storage.verifyTable") {
			return true
		}
		if !more {
			return false
		}
	}
}

package storage

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed answers what is asked after Close.
	ErrClosed = errors.New("storage: closed")
	// ErrTooBig answers a batch that does not fit in one transaction; nothing of it was written. It is not a fault.
	ErrTooBig = errors.New("storage: the batch is too big")
	// ErrBadEntry answers a batch with an empty key, or with a key or value above KeyBytesMax or MaxValueBytes; nothing of
	// it was written. It is not a fault.
	ErrBadEntry = errors.New("storage: a key or value is empty or too big")
	// ErrInUse says that another process has the store open.
	ErrInUse = errors.New("storage: the directory is in use")
)

// DamagedError says that what is on disk is not what was written. The store is not opened, or not used any further, and
// nothing is repaired: the caller rebuilds it from other replicas.
type DamagedError struct {
	File   string // base name; empty when it is not known which
	Offset int64  // bytes from the start of File, where that is known
	Reason string
}

func (e *DamagedError) Error() string {
	if e.File == "" {
		return "storage: damaged: " + e.Reason
	}
	return fmt.Sprintf("storage: damaged: %s at byte %d: %s", e.File, e.Offset, e.Reason)
}

// ErrNewerFormat says that the store was written by a later version of the program. It was not touched.
type ErrNewerFormat struct {
	Found int
	Known int
}

func (e ErrNewerFormat) Error() string {
	return fmt.Sprintf("storage: the store has format %d, this program knows formats up to %d", e.Found, e.Known)
}

// FaultError answers everything after the first error of a disk or a checksum. The store is to be closed.
type FaultError struct{ Cause error }

func (e *FaultError) Error() string { return "storage: stopped by a fault: " + e.Cause.Error() }

func (e *FaultError) Unwrap() error { return e.Cause }

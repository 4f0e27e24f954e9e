package wal

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("wal: closed")
	// ErrFailed: a write, a sync or a checksum failed and the log has stopped for good. Wraps the cause. Whether the call that
	// met it is durable is unknown.
	ErrFailed = errors.New("wal: failed and stopped")
	// ErrNoSpace: the disk is full. Nothing of the call was written; it may be repeated when there is room.
	ErrNoSpace = errors.New("wal: no space for a new segment")
	// ErrNewerFormat: the files were written by a newer version. They are left untouched.
	ErrNewerFormat = errors.New("wal: written in a newer format")
	// ErrNotContiguous: the entries do not follow the group's last entry one by one. Nothing was written.
	ErrNotContiguous = errors.New("wal: entries not contiguous")
	// ErrMiddle: a range that is neither a prefix nor a suffix of the group's entries cannot be deleted.
	ErrMiddle = errors.New("wal: range is in the middle of the log")
	// ErrTooLarge: the call is above a limit of the format.
	ErrTooLarge = errors.New("wal: call too large")

	// errNotFound has the text that hashicorp/raft compares with.
	errNotFound = errors.New("not found")
)

// CorruptError says that what was durable is damaged. The log is neither repaired nor used. Segment is 0 for the mark file.
type CorruptError struct {
	Segment uint64
	Offset  int64 // bytes from the start of the segment
	Reason  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("wal: corrupt segment %d at byte %d: %s", e.Segment, e.Offset, e.Reason)
}

// LostTailError says that the log ends before a batch that was durable. This replica has lost votes and entries it promised:
// it must not vote, and has to be filled anew under another identity.
type LostTailError struct {
	Last uint64 // sequence of the last batch found
	Mark uint64 // sequence that was durable
}

func (e *LostTailError) Error() string {
	return fmt.Sprintf("wal: lost its tail: ends at batch %d, batch %d was durable", e.Last, e.Mark)
}

// isNoSpace tells a full disk from a broken one.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ErrNoSpace)
}

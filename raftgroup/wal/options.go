package wal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"
)

const (
	defaultSegmentBytes  = 64 << 20
	defaultMaxBatchBytes = 8 << 20
	minSegmentBytes      = 4 << 10
	maxSegmentBytes      = 1 << 30
	maxCallBytes         = 1 << 30 // one call is one batch, and offsets in a segment have 32 bits
	maxKeyBytes          = 1<<16 - 1

	markInterval  = time.Second // at most one lazy write of the mark in this time
	retryInterval = time.Second // between attempts to make a segment on a full disk

	cacheEntries = 4096
	cacheBytes   = 16 << 20 // of data and extensions, all groups together

	reserveMaxBytes = 8 << 20   // kept for urgent records when there is no next segment
	passMaxBytes    = 256 << 10 // copied by one pass of collection
	fillBytes       = 4 << 20   // zeros written between two syncs of a new segment
)

// Options of a log.
type Options struct {
	Dir           string
	SegmentBytes  int64                // size of a segment, 4 KiB to 1 GiB; 0 means 64 MiB. Existing segments keep theirs
	MaxBatchBytes int                  // calls are gathered up to this many bytes per write and sync; 0 means 8 MiB. A larger call is a batch of its own
	Logger        zerolog.Logger       //
	Sync          func(*os.File) error // makes what was written to a file durable; nil means fdatasync, and fsync for Dir. A file being made has a name that ends in .tmp
	OnFault       func(error)          // called once, without locks, when the log stops for good; it must not call Close. May be nil

	syncDirectory func(*os.File) error
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("wal: no directory given")
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes {
		return o, fmt.Errorf("wal: SegmentBytes %d is not in %d..%d", o.SegmentBytes, int64(minSegmentBytes), int64(maxSegmentBytes))
	}
	if o.MaxBatchBytes == 0 {
		o.MaxBatchBytes = defaultMaxBatchBytes
	}
	if o.MaxBatchBytes < 0 || o.MaxBatchBytes > maxCallBytes {
		return o, fmt.Errorf("wal: MaxBatchBytes %d is not in 1..%d", o.MaxBatchBytes, maxCallBytes)
	}
	o.syncDirectory = o.Sync
	if o.Sync == nil {
		o.Sync, o.syncDirectory = fdatasync, (*os.File).Sync
	}
	return o, nil
}

// Stats are counters since Open and the present size.
type Stats struct {
	Syncs       uint64        // batches written and synced
	Bytes       uint64        // bytes written in batches
	Records     uint64        // records written, copies included
	CopiedBytes uint64        // bytes of records that collection copied forward
	Sequence    uint64        // of the last durable batch
	Segments    int           // files, the pre-allocated one included
	DiskBytes   int64         // size of those files
	LastSync    time.Duration // time of the last batch's sync
}

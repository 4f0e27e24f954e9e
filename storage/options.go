package storage

import (
	badger "github.com/dgraph-io/badger/v4"
	badgeroptions "github.com/dgraph-io/badger/v4/options"
	"github.com/rs/zerolog"
)

// Options say where a store is and how much memory it may use.
type Options struct {
	Dir string
	// MemTableBytes is the size of a memtable, 0: 32 MiB, at least 1 MiB. A store uses up to four of them under load, and
	// a batch may have 15 % of it.
	MemTableBytes int64
	// BlockCacheBytes is for blocks of tables, 0: none. Tables are not compressed and are mapped into memory, so that a
	// cache saves only their checksum, while Badger counts a block by the rest of its file and keeps few of them.
	BlockCacheBytes int64
	Logger          zerolog.Logger
	// BootID names the boot of the machine; empty: the kernel's. Tests set it to make a power cut of a restart.
	BootID string
	// OnFault is called once, at the first fault, from any goroutine. It must not block, nor call the store.
	OnFault func(error)
}

// Limits that are the same for every store.
const (
	// KeyBytesMax is the longest key.
	KeyBytesMax = 65000 - 8

	memTableBytesDefault = 32 << 20
	memTableBytesMin     = 1 << 20
	valueThresholdMax    = 1 << 20 // Badger's maxValueThreshold
	blockBytes           = 4 << 10
	tableBytes           = 8 << 20 // larger tables, fewer open files
	memTablesMax         = 3       // full ones waiting to be flushed
	nodeBytes            = 96      // skl.MaxNodeSize
	commitOverhead       = 64      // Badger's own entry that ends a transaction, rounded up
)

// limits are those of a store's batches.
type limits struct {
	batchBytes int
	batchKeys  int
	valueBytes int
	threshold  int64
}

func (o *Options) setDefaults() {
	if o.MemTableBytes == 0 {
		o.MemTableBytes = memTableBytesDefault
	}
	o.MemTableBytes = max(o.MemTableBytes, memTableBytesMin)
	if o.BootID == "" {
		o.BootID = bootID()
	}
}

// limits follow Badger's (checkAndSetOptions, Txn.checkSize). A value at the threshold would go to the value log.
func (o *Options) limits() limits {
	batch := 15 * o.MemTableBytes / 100
	threshold := min(valueThresholdMax, batch-commitOverhead)
	return limits{
		batchBytes: int(batch - commitOverhead),
		batchKeys:  int(batch/nodeBytes) - 3,
		valueBytes: int(min(threshold-1, batch-commitOverhead-KeyBytesMax-entryOverhead)), // fits in a batch with any key
		threshold:  threshold,
	}
}

func (o *Options) badger(l limits, logger badger.Logger) badger.Options {
	b := badger.DefaultOptions(o.Dir).
		WithLogger(logger).
		WithMemTableSize(o.MemTableBytes).
		WithNumMemtables(memTablesMax).
		WithBaseTableSize(min(tableBytes, o.MemTableBytes)).
		WithBaseLevelSize(2 * o.MemTableBytes).
		WithBlockSize(blockBytes).
		WithValueThreshold(l.threshold).
		WithValueLogFileSize(valueThresholdMax). // stays empty; the least that Badger takes
		WithCompression(badgeroptions.None).
		WithBlockCacheSize(o.BlockCacheBytes).
		WithIndexCacheSize(0).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithNumCompactors(2).
		WithMetricsEnabled(false).
		WithCompactL0OnClose(false)
	// verifyTables has read all of the tables before; from then on every block is checked whenever it is read.
	return b.WithChecksumVerificationMode(badgeroptions.OnBlockRead)
}

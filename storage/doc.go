// Package storage keeps a node's data: one Badger store with atomic batches, consistent snapshots, and the key schema. It
// is the only package that imports Badger.
//
// # Writing
//
// A Batch is one atomic write that reads its own writes. It commits as one Badger transaction, so after a crash it is there
// as a whole or not at all. Commits are not synced: the Raft log is the truth, and the store may be behind it.
//
// # What survives what
//
// After kill -9 nothing that was committed is lost: it is in the kernel's page cache. After a power cut the store is at some
// point of its past, a prefix of what was committed, never a mixture, and never before the last Checkpoint that returned.
//
// How a prefix is made sure. Badger writes a commit to the log of its memtable (a *.mem file, mapped into memory), and turns
// full memtables, one after the other, to tables (*.sst). A power cut may keep the end of a newer *.mem and lose a piece of
// an older one. Checkpoint therefore syncs every *.mem and writes down, in the file CHECKPOINT, how long each was. Open,
// finding another boot id there and no clean stop, cuts them back to these lengths and removes those that are not listed.
// What is left is a prefix, because:
//
//   - a transaction is in one *.mem (DB.ensureRoomForWrite runs once per request, then DB.writeToLSM writes all of it), and
//     transactions come in the order of their versions (Txn.commitAndSend holds writeChLock);
//   - memtables are flushed in order, one at a time (DB.flushMemtable); a table is synced (table.CreateTable calls Msync) and
//     its record in MANIFEST is synced (manifestFile.addChanges calls syncFunc) before its *.mem is deleted (memTable.DecrRef
//     after handleMemTableFlush). So the tables hold all of the memtables up to some one, and the unflushed ones that were
//     listed follow it without a gap;
//   - a *.mem that a reader still holds outlives its flush. Cut back, it could bring back a key whose deletion was already
//     collected from the tables. Open knows such a file by its first version, which is not above the largest version in the
//     tables, and removes it. That test needs that the last transaction of the tables left a trace in them that compaction
//     keeps, which is so as every transaction sets at least one key (Batch.Commit adds one when there are only deletions).
//
// # Faults
//
// The first error of a disk or a checksum ends the store: OnFault is called once and everything after it fails. A store
// found damaged is not opened and not changed. See DamagedError.
package storage

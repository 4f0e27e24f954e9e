// Package wal is one segmented write-ahead log per node, shared by all its Raft groups. Groups that write at the same moment
// share one write and one sync (group commit). Each Group is a hashicorp/raft LogStore and StableStore.
//
// # Files
//
//	mark                     the last batch known to be durable, the oldest segment, and whether the log was closed cleanly
//	0000000000000001.wal     segments, numbered without holes; filled with zeros and synced before they are used
//	*.tmp                    a file being made; removed when the log is opened
//
// A segment is a header and then frames. A frame is one batch: a header (sequence, previous sequence, body length, checksum)
// and a body of records, each with its own checksum. All integers are little endian. A batch is one pwrite and one sync, and
// batch n+1 is written only after batch n was synced.
//
// # A torn tail is not corruption
//
// So at most the last batch can be incomplete after a crash, and behind it are only zeros. A bad frame with a valid frame
// header of a later sequence anywhere behind it, or with bytes behind its own end, is corruption: Open refuses with
// *CorruptError and changes nothing. A bad frame with nothing behind it is a torn tail, never acknowledged to anyone; it is
// overwritten with zeros. A torn tail that the mark says was durable is lost data: *LostTailError, nothing is changed.
// Frame checksums are seeded with a random salt of their segment, so no stored value can look like a frame.
// It is assumed that a write of one 512-byte sector is atomic (of the mark, and of the sector that two frames share).
//
// # Replay, copies and removal of segments
//
// Think of the state as cells: one per (group, index) and one per (group, key). Every record sets or clears cells: an entry
// sets one; deleting a prefix or a suffix clears all cells of the group at or below, or at or above, a bound; removing a group
// clears all its cells. What a cell holds is what the last record that touched it, in log order, did. Hence the invariants:
//
//  1. Without the oldest segment, replay gives the same state if and only if no cell is set by a record in it, for a cell that
//     is last cleared there is empty at the start as well. Deletions and removals never need to be kept alive.
//  2. A copy sets a cell to what it holds already, at that point of the log. The writer makes copies between batches, from the
//     state that exactly the batches written so far give, so a copy never brings back what was deleted before it.
//  3. Only the oldest segment is removed, never one in the middle (its deletions may hide records in front of it), only after
//     everything live in it was copied and synced, and only after the mark says that the log starts behind it.
//  4. The state that replay of the rest of the log has at any point is a subset of the true state at that point. So an ordinary
//     entry never meets a cell that is set, and a copy meets an empty cell or the same term. At the end the two are equal,
//     and a group's entries are without a hole. Open checks all of it.
//
// # Collection
//
// After each batch the writer looks at the oldest sealed segment. With nothing live in it, it is handed to the background
// goroutine for removal. Its live records are copied to the end of the log if they are at most 1/8 of its size, or if there
// are at least 4 sealed segments and at most half of what was written in all of them is live. One pass copies at most 256 KiB
// (or 1/8 of a segment), then waiting calls go first.
//
// # Full disk
//
// The next segment is made ahead. When that fails for lack of space the log goes on in the current segment, and a last part of
// it (1/8, at most 8 MiB) is kept for what must not fail: stable keys, deletions and removals. Appends get ErrNoSpace then, with nothing
// written, and the log works on as soon as there is room. Any other write error stops the log for good (ErrFailed).
package wal

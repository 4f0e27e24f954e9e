// Package mvcc keeps versions of names: a current record and a history, intents of transactions, and reads as of a
// timestamp.
//
// What holds, for every name:
//
//  1. The current record has the largest timestamp of all versions; every version that was current before stands in the
//     history, newest first, until it is collected. A NOREV version leaves only its head there, so that a read that lands on
//     it says "collected" and never an older value.
//  2. A version is never written at a timestamp at or below that of one that exists (Working refuses it with ErrOrder), so
//     what a read at a timestamp saw stays what it was.
//  3. At most one intent stands at a name. While it does, nobody else writes the name, and reads that might have to see it
//     stop with IntentError. The current record says that there is one: a read without an intent is one Get.
//  4. A version whose expiry is at or below the timestamp of the reader is not there.
//
// A revision counts the writes of a name, deletions too; a change of the expiry alone is a version of the same revision.
// The shape is Percolator's (Peng and Dabek, 2010) with the newest version kept apart, so that the common read is one Get.
package mvcc

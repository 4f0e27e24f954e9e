// Package coord drives transactions: it runs their operations on a snapshot with a working set on top, and commits that by
// two-phase commit over the partitions.
//
// The steps, and why the result is strictly serializable:
//
//	S := a fresh timestamp; reads see the snapshot at S and the transaction's own writes
//	prewrite all partitions, in parallel: refused where a version newer than S or another's intent stands
//	C := a fresh timestamp, after all intents are in place
//	check what was read and not written: still the version of S at C, and nothing will be written at or below C any more
//	decide, at the home name: pending -> committed at C. This is the commit point; the client is answered
//	resolve the intents, then forget the record, in the background
//
// What was read holds at C, what is written appears at C, and C is a timestamp between the call and the answer. The decision
// is one entry of one log. Before it nobody sees the writes; after it everybody who might does: an intent in the way sends the
// reader to the record. A coordinator that dies leaves intents whose record is pending: whoever meets them after the deadline
// ends the transaction as aborted, by the same kind of entry, so exactly one of the two wins.
//
// Transactions whose operations are known beforehand (EXEC) need neither a snapshot nor checks: see direct.go.
//
// Interactive transactions (Tx) go the same way, one step at a time. A pessimistic one locks what it touches, which is advice only,
// and may move its snapshot on: S is then the moment of the last move, at which all that it has seen still held.
//
// Nothing was changed, and is said so, unless Decide was sent: only then can the end be uncertain.
package coord

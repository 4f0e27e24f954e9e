// Package fsm is one partition's state machine: log entries in, results and effects out, and reads of its state. It is
// deterministic: the same log gives the same bytes in every replica's store, so it knows no clock, no randomness, no network
// and no goroutine. Partition 0 is the meta group; it owns no names.
//
// What holds after each Apply:
//
//  1. The store holds the effects of the entries up to State.Index and of no other; both change in one storage batch.
//  2. An operation is judged once, at its place in the log. One that bounces (Moved, Blocked, Again) has changed nothing.
//  3. Whether the partition owns a name is judged here, not where the operation was routed.
//
// What goes wrong is either an outcome (a Result, part of the replicated history) or a fault (an error: the group stops).
package fsm

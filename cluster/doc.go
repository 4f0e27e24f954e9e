// Package cluster is a node: its store and log, its partitions' replicas, the range map, the global clock, and the Router that
// takes operations by name to the partition that owns it.
//
// The Router gives every operation exactly one end: an outcome, or one of this package's errors. ErrTryAgain, ErrClusterDown,
// ErrTooLarge and ErrFuture are given only when the operation is certainly in no log.
package cluster

package partition

import "errors"

// How a unit can end without results.
var (
	// ErrNotLeader: this replica does not lead, or not yet. Nothing was changed.
	ErrNotLeader = errors.New("partition: this node does not lead the partition")
	// ErrFull: the queue is full. Nothing was changed.
	ErrFull = errors.New("partition: the queue is full")
	// ErrStopped: the replica is shutting down. Nothing was changed.
	ErrStopped = errors.New("partition: the replica is stopping")
	// ErrNoClock: no timestamp could be had. Nothing was changed.
	ErrNoClock = errors.New("partition: no timestamp from the cluster's clock")
	// ErrWaiters: too many wait for the lock, or on this node. Nothing was changed.
	ErrWaiters = errors.New("partition: too many wait")
	// ErrUncertain: the unit was sent to the log but its end was not seen.
	ErrUncertain = errors.New("partition: the end of the write was not seen")
)

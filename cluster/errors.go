package cluster

import "errors"

// How an operation can end without a result. Each is one prefix of the command contract; they are wrapped with what
// happened and what to do next, and told apart by errors.Is.
var (
	// ErrTryAgain: not now (a leader is being chosen, a range is moving, a queue or the disk is full). Nothing was changed.
	ErrTryAgain = errors.New("try again")
	// ErrClusterDown: no quorum for the range within the time allowed. Nothing was changed.
	ErrClusterDown = errors.New("cluster down")
	// ErrUncertain: the write was sent to the log but its end was not seen. It may or may not take effect.
	ErrUncertain = errors.New("uncertain")
	// ErrTooLarge: the request is larger than a log entry may be. Nothing was changed.
	ErrTooLarge = errors.New("too large")
	// ErrFault: what this node has stored can't be read. Nothing was changed.
	ErrFault = errors.New("the node has a fault")
	// ErrFuture: a time that is not yet past was asked for.
	ErrFuture = errors.New("in the future")
)

var errStopping = errors.New("the node is stopping")

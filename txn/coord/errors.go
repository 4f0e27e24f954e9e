package coord

import (
	"errors"
	"fmt"

	"kahuna/cluster"
)

var (
	// ErrConflict: the transaction lost to others, also when it was run again, and changed nothing.
	ErrConflict = errors.New("the transaction conflicts with another")
	// ErrReadOnly: a write in a transaction that only reads.
	ErrReadOnly = errors.New("the transaction is READONLY")
	// ErrTimedOut: an interactive transaction outlived its timeout, and was rolled back.
	ErrTimedOut = errors.New("the transaction outlived its timeout and was rolled back: nothing was changed")
	// ErrOver: an interactive transaction was rolled back for what an earlier error said.
	ErrOver = errors.New("the transaction was rolled back: nothing was changed")
	// ErrTooMany: this node has as many interactive transactions as it takes.
	ErrTooMany = errors.New("too many open transactions")
)

var errStopping = fmt.Errorf("%w: the node is stopping, and the transaction was rolled back", cluster.ErrTryAgain)

package commands

import (
	"context"
	"time"

	"kahuna/op"
	"kahuna/txn/coord"
)

// Doer runs operations. Those with one name go to its partition, in order per partition; Scan, Count and DeleteRange go over
// all partitions of their range. There is one outcome for each operation, in their order. An outcome's Err wraps one of the
// errors of the error table.
type Doer interface {
	Do(ctx context.Context, ops []op.Op) []op.Outcome
}

// Backend is what the commands stand on.
type Backend interface {
	Doer
	// Transact runs fn as one strictly serializable transaction, and again when it conflicts. Everything done through tx
	// takes effect at one point, or not at all. An error of fn ends it without effect. done is false when a watch no longer
	// holds.
	Transact(ctx context.Context, watches []op.Seen, fn func(tx Doer) error) (done bool, err error)
	// Atomic runs ops as one transaction. done is false, and nothing was changed, when a watch no longer holds. There is a
	// result for each operation.
	Atomic(ctx context.Context, ops []op.Op, watches []op.Seen) (results []op.Result, done bool, err error)
	// Snapshot gives a Doer whose reads all see the state at one timestamp, which it returns; at 0 means now.
	Snapshot(ctx context.Context, at op.Timestamp) (Doer, op.Timestamp, error)
	// Begin starts an interactive transaction, which its user ends.
	Begin(ctx context.Context, o coord.BeginOptions) (Txn, error)
	// TxnStatus tells what became of the interactive transaction that began at start.
	TxnStatus(ctx context.Context, start op.Timestamp) (coord.Status, error)
	// Timestamps takes n unique timestamps of the global order and returns the first; the others follow it without a gap.
	Timestamps(ctx context.Context, n int) (op.Timestamp, error)
	// Wait runs a LockAcquire that waits for its turn, first come first served, until the time of ctx is over, and then ends with
	// the owner not getting the lock. When ctx is cancelled, nobody waits any more, and the owner is left without it. It does not wait
	// itself: then is told the outcome, once, from any goroutine, and does not wait either.
	Wait(ctx context.Context, o *op.LockAcquire, then func(op.Outcome))
	// Info describes the node. It must not block.
	Info() NodeInfo
}

// NodeInfo is what INFO, HELLO and ROLE tell about the node.
type NodeInfo struct {
	Program      string // the name of the server program, in lower case
	Version      string // of the program
	RedisVersion string // the version of Redis whose commands these are, for clients that look at it
	NodeID       string // 40 hexadecimal digits
	NodeName     string
	ClusterID    string
	Started      time.Time
	Port         int // of the main listener
	ClusterPort  int
	PeerPort     int
	AdminPort    int
	ClientsMax   int
	IdleSeconds  int64 // after which a silent client is closed; 0: never
	ProcessID    int
	OS           string
	Commands     int64 // of clients, since the start
	BytesIn      int64 // from clients
	BytesOut     int64
	Rejected     int64 // connections beyond ClientsMax
	Keys         int64 // on this node, about
	Nodes        int
	Partitions   int
	Leaders      int // partitions led by this node
	Replicas     int // nodes that hold each partition
	StoreBytes   int64
	MemoryBytes  int64
	CPUUser      time.Duration // that the process has used
	CPUSystem    time.Duration
	LogBytes     int64
	Extra        []Field // further lines for INFO's section "Cluster"
}

// Field is a named value of INFO.
type Field struct{ Name, Value string }

// Setting is a configuration setting as CONFIG GET shows it.
type Setting struct{ Name, Value string }

// Package workload holds what is done to each system: one table of workloads, and per system a driver that makes workers
// for them. Every worker checks the replies it gets.
package workload

import (
	"fmt"
	"strings"
)

// Kind is what one operation is.
type Kind int

// The kinds. Lock counts an acquire and its release as one operation; in the transactions one operation writes two keys.
const (
	Set         Kind = iota // write 128 bytes to one of Keys keys
	Get                     // linearizable read of one of Keys keys
	CAS                     // compare-and-set on a key of the worker
	Lock                    // acquire and release a lock of the worker
	Sequence                // next number of one counter that all workers share
	TxnOneSlot              // two keys of the worker with one hash tag
	TxnTwoSlots             // two keys of the worker in far apart hash slots
	LockHot                 // wait for the lock that all workers share, and release it
	Snapshot                // read one of Keys keys as of a timestamp that is past
	Scan                    // read ScanKeys keys in key order
	SetAndScan              // Set, while the first worker goes through all keys at one timestamp, again and again
)

// Keys is how many keys Set and Get use; ValueBytes is the size of every value but where a workload says otherwise; ScanKeys is how many
// keys one Scan reads.
const (
	Keys       = 10_000
	ValueBytes = 128
	ScanKeys   = 100
)

// Workload is one row of the comparison.
type Workload struct {
	ID       string
	Kind     Kind
	Clients  int // connections (etcd: goroutines that share a few connections), each with one request under way
	Pipeline int // commands sent at once by each
	Value    int // bytes of a value that is written; 0: ValueBytes
}

// valueBytes is the size of the values that the workload writes.
func (w Workload) valueBytes() int {
	if w.Value > 0 {
		return w.Value
	}
	return ValueBytes
}

// IDs of the workloads that the goals speak of.
const (
	IDSet        = "set"
	IDSetPiped   = "set-p16"
	IDGet        = "get"
	IDLock       = "lock"
	IDSequence   = "seq"
	IDSnapshot   = "snapshot"
	IDSetAndScan = "set-scan"
)

// All is the table, with clients connections where the workload is not about their number.
func All(clients int) []Workload {
	return []Workload{
		{ID: IDSet, Kind: Set, Clients: clients, Pipeline: 1},
		{ID: "set-c1", Kind: Set, Clients: 1, Pipeline: 1},
		{ID: "set-c200", Kind: Set, Clients: 200, Pipeline: 1},
		{ID: "set-c500", Kind: Set, Clients: 500, Pipeline: 1},
		{ID: IDSetPiped, Kind: Set, Clients: clients, Pipeline: 16},
		{ID: "set-p64", Kind: Set, Clients: clients, Pipeline: 64},
		{ID: "set-4k", Kind: Set, Clients: clients, Pipeline: 1, Value: 4 << 10},
		{ID: "set-64k", Kind: Set, Clients: clients, Pipeline: 1, Value: 64 << 10},
		{ID: IDGet, Kind: Get, Clients: clients, Pipeline: 1},
		{ID: "get-c1", Kind: Get, Clients: 1, Pipeline: 1},
		{ID: "get-c500", Kind: Get, Clients: 500, Pipeline: 1},
		{ID: "get-p16", Kind: Get, Clients: clients, Pipeline: 16},
		{ID: "cas", Kind: CAS, Clients: clients, Pipeline: 1},
		{ID: IDLock, Kind: Lock, Clients: clients, Pipeline: 1},
		{ID: "lock-hot", Kind: LockHot, Clients: clients, Pipeline: 1},
		{ID: IDSequence, Kind: Sequence, Clients: clients, Pipeline: 1},
		{ID: "txn-1slot", Kind: TxnOneSlot, Clients: clients, Pipeline: 1},
		{ID: "txn-2slots", Kind: TxnTwoSlots, Clients: clients, Pipeline: 1},
		{ID: IDSnapshot, Kind: Snapshot, Clients: clients, Pipeline: 1},
		{ID: "scan", Kind: Scan, Clients: clients, Pipeline: 1},
		{ID: IDSetAndScan, Kind: SetAndScan, Clients: clients + 1, Pipeline: 1},
	}
}

var titles = map[Kind]string{
	Set: "SET", Get: "GET", CAS: "compare-and-set", Lock: "LOCK+UNLOCK pair", LockHot: "one lock passed on", Sequence: "next of one sequence",
	TxnOneSlot: "2 keys, one slot", TxnTwoSlots: "2 keys, two slots",
	Snapshot: "GET of the past", Scan: "scan of 100 keys", SetAndScan: "SET beside a scan of all",
}

// Title names the workload in a table.
func (w Workload) Title() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s c=%d", titles[w.Kind], w.Clients)
	if w.Pipeline > 1 {
		fmt.Fprintf(&b, " P=%d", w.Pipeline)
	}
	if w.Value > 0 {
		fmt.Fprintf(&b, " %d KiB", w.Value>>10)
	}
	return b.String()
}

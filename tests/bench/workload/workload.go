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
)

// Keys is how many keys Set and Get use; ValueBytes is the size of every value.
const (
	Keys       = 10_000
	ValueBytes = 128
)

// Workload is one row of the comparison.
type Workload struct {
	ID       string
	Kind     Kind
	Clients  int // connections (etcd: goroutines that share a few connections), each with one request under way
	Pipeline int // commands sent at once by each
}

// IDs of the workloads that the goals speak of.
const (
	IDSet      = "set"
	IDSetPiped = "set-p16"
	IDGet      = "get"
	IDLock     = "lock"
	IDSequence = "seq"
)

// All is the table, with clients connections where the workload is not about their number.
func All(clients int) []Workload {
	return []Workload{
		{ID: IDSet, Kind: Set, Clients: clients, Pipeline: 1},
		{ID: "set-c1", Kind: Set, Clients: 1, Pipeline: 1},
		{ID: "set-c200", Kind: Set, Clients: 200, Pipeline: 1},
		{ID: IDSetPiped, Kind: Set, Clients: clients, Pipeline: 16},
		{ID: IDGet, Kind: Get, Clients: clients, Pipeline: 1},
		{ID: "get-p16", Kind: Get, Clients: clients, Pipeline: 16},
		{ID: "cas", Kind: CAS, Clients: clients, Pipeline: 1},
		{ID: IDLock, Kind: Lock, Clients: clients, Pipeline: 1},
		{ID: "lock-hot", Kind: LockHot, Clients: clients, Pipeline: 1},
		{ID: IDSequence, Kind: Sequence, Clients: clients, Pipeline: 1},
		{ID: "txn-1slot", Kind: TxnOneSlot, Clients: clients, Pipeline: 1},
		{ID: "txn-2slots", Kind: TxnTwoSlots, Clients: clients, Pipeline: 1},
	}
}

var titles = map[Kind]string{
	Set: "SET", Get: "GET", CAS: "compare-and-set", Lock: "LOCK+UNLOCK pair", LockHot: "one lock passed on", Sequence: "next of one sequence",
	TxnOneSlot: "2 keys, one slot", TxnTwoSlots: "2 keys, two slots",
}

// Title names the workload in a table.
func (w Workload) Title() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s c=%d", titles[w.Kind], w.Clients)
	if w.Pipeline > 1 {
		fmt.Fprintf(&b, " P=%d", w.Pipeline)
	}
	return b.String()
}

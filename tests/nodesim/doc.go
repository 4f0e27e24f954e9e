// Package nodesim simulates whole nodes: everything from the router and the coordinator of transactions down to the log and the
// store on disk, for three nodes in one process, in virtual time and over a faulty network. Beside it, tests/sim does the same
// for partitions alone, finer and with more faults, and tests/cluster runs real processes.
//
// A run is made from a seed: faults (nodes cut off, one-way cuts, loss, lost answers, duplicates, delays, nodes stopped or killed,
// all nodes killed, wall clocks that jump) and clients (package tests/cluster/load), who use all nodes. It ends with everything
// healed: the cluster must answer, all leases run out, and each store must not contradict itself.
//
//	go test ./tests/nodesim -seeds 50        more seeds
//	go test ./tests/nodesim -seed 17         one seed
//
// The seed decides the faults, the clients' choices and the network's; the order in which goroutines run is not in it.
package nodesim

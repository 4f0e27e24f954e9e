// Package sim simulates clusters: the partitions of several nodes, with the production code from the queue of writes down to the
// write-ahead log and the store on disk, in virtual time and over a faulty network.
//
// A run is made from a seed: a plan of faults (partitions, loss, crashes, power cuts, transfers, compaction, clocks that jump, disks
// and the global clock being slow) and clients with registers, locks, sequences and counters. It ends with everything healed: the
// cluster must then answer, the leases must run out, and all replicas must be the same byte for byte. What the clients saw is judged
// by tests/sim/check, outside of the bubble. A run that did too little, or whose faults did not bite, fails too.
//
//	go test ./tests/sim -run TestSim -seeds 50        more seeds
//	go test ./tests/sim -run TestSim -seed 17         one seed
//
// The seed decides the plan, the clients' choices and the network's. The order in which goroutines run is not in it, so a seed that
// failed may have to be run a few times (-count).
package sim

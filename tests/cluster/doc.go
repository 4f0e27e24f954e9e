// Package cluster runs a cluster of real processes, each in a network namespace of its own, brings faults over it while clients work
// through all nodes, and judges what the clients saw: registers with compare-and-set by porcupine, counters, locks with fencing
// tokens, sequences, the global clock and transactions by checkers of tests/cluster/load and tests/sim/check, which have their
// negative controls beside them.
//
// Faults: halves, one-way cuts, a ring in which each sees a majority, the leader alone, loss, narrow and slow links, SIGSTOP of
// leaders, kill -9 of one, of a leader, of the majority, of all, and orderly restarts. A run in which no leader changed, no packet was
// dropped, or no operation was answered before, during (where a majority is connected) or after a fault, is a failed run.
//
//	go test ./tests/cluster                            a short run
//	go test ./tests/cluster -minutes 60 -nodes 5 -timeout 0    for as long as asked
//	go test ./tests/cluster -seed 17                   the same choices again
//	go test ./tests/cluster -run Failover -failovers 20 -v     measures how soon writes go on after kill -9 of a leader
//	go test ./tests/cluster -run Idle -idle -v         measures what idle partitions cost
//
// It needs root and the commands ip and nft, and is skipped without, unless REQUIRE_RIG=1.
package cluster

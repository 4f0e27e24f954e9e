package commands

import (
	"kahuna/cluster"
	"kahuna/placement"
)

// rangeFigures are what a partition's leader has measured.
func rangeFigures(all *cluster.Overview, r *placement.Range) []detail {
	_, said := all.Leader(r.ID)
	if said == nil {
		said = &placement.ReplicaReport{}
	}
	return []detail{{"bytes", said.Bytes}, {"operations-per-second", said.OpsPerSec}, {"writes-per-second", said.WritesPerSec}}
}

// nodeFigures are what a node says of its load and its disk; zero where it does not answer.
func nodeFigures(all *cluster.Overview, id string) []detail {
	r := all.Reports[id]
	return []detail{{"operations-per-second", r.OpsPerSec}, {"disk-used-bytes", uint64(r.DiskUsed)}, {"disk-free-bytes", uint64(r.DiskFree)}}
}

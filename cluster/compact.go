package cluster

import (
	"errors"

	"kahuna/internal/clock"
	"kahuna/raftgroup"
)

// compactEntries is after how many entries a partition's log is compacted; what is kept behind is Raft's trailing log.
const compactEntries = 16384

// compact makes the store durable and the logs short, from time to time, until the node stops.
func (n *Node) compact() {
	for clock.Pause(n.ctx, n.cfg.CheckpointInterval) {
		large := n.log.Stats().Segments > 4
		for _, r := range n.Replicas() {
			s := r.Group().Status()
			if s.Applied-s.Marker < compactEntries && !(large && s.Applied > s.Marker) {
				continue
			}
			err := r.Group().Compact()
			if err != nil && !errors.Is(err, raftgroup.ErrNothingToCompact) {
				n.cfg.Logger.Warn().Err(err).Uint32("partition", r.ID()).Msg("the log was not compacted")
			}
		}
	}
}

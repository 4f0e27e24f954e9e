package cluster

import (
	"fmt"
	"sync/atomic"
	"time"

	"kahuna/internal/clock"
)

// diskGuard refuses writes while the disk is nearly full. The store is mapped into memory, so a write to a disk that is really
// full ends the process; and Raft needs room for its own writes.
type diskGuard struct {
	free    func() (uint64, error)
	reserve uint64
	left    atomic.Uint64
	low     atomic.Bool
}

// diskInterval is how often the free space is looked at; the reserve has to last for what is written in between.
const diskInterval = 100 * time.Millisecond

// check tells why writes are refused; nil when they are not.
func (g *diskGuard) check() error {
	if !g.low.Load() {
		return nil
	}
	return fmt.Errorf("%w: the disk is nearly full (%d bytes are free and %d are kept in reserve); make room and repeat, "+
		"nothing was changed", ErrTryAgain, g.left.Load(), g.reserve)
}

func (g *diskGuard) look() {
	left, err := g.free()
	if err != nil {
		return
	}
	g.left.Store(left)
	g.low.Store(left < g.reserve)
}

// watchDisk looks at the free space, and keeps what the store writes next reserved, until the node stops.
func (n *Node) watchDisk() {
	if n.disk.free == nil {
		return
	}
	was := false
	for ok := true; ok; ok = clock.Pause(n.ctx, diskInterval) {
		n.disk.look()
		if err := n.store.Reserve(); err != nil {
			n.cfg.Logger.Debug().Err(err).Msg("no disk space could be reserved for the store")
		}
		if low := n.disk.low.Load(); low != was {
			was = low
			n.cfg.Logger.Warn().Bool("refusing", low).Uint64("free_bytes", n.disk.left.Load()).
				Uint64("reserve_bytes", n.disk.reserve).Msg("free disk space decides whether writes are taken")
		}
	}
}

package cluster

import (
	"context"
	"errors"
	"time"

	"kahuna/fsm"
	"kahuna/placement"
)

// A node that is removed learns it from the log of the meta group, if that still reaches it. One that was cut off meanwhile hears
// nothing any more: its group has gone on without it. So a node that follows nobody asks.

// lostAfter is for how long a node has followed no leader of the meta group before it asks the others whether it is still a member.
const lostAfter = 10 * time.Second

// watchMembership finds out that the node was removed, until the node stops.
func (n *Node) watchMembership() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	since := n.cfg.Clock.Mono()
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		if n.router.known(fsm.Meta) != "" {
			since = n.cfg.Clock.Mono()
			continue
		}
		if n.cfg.Clock.Mono()-since < lostAfter {
			continue
		}
		since = n.cfg.Clock.Mono()
		if err := n.askMembership(); errors.Is(err, placement.ErrRemoved) {
			n.fault(err)
			return
		}
	}
}

// askMembership tells the cluster about this node once more, which a removed one may not.
func (n *Node) askMembership() error {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
	defer cancel()
	_, err := n.admit(ctx, n.self())
	return err
}

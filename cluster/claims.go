package cluster

import (
	"fmt"
	"sync"

	"kahuna/fsm"
	"kahuna/op"
)

// claims are ranges that replicas of this node are about to have: one that is being made, or is about to be filled by a snapshot of a
// range that it has no record of yet. With the records in the store, and the graves that are not cleared, they see to it that no two
// replicas here ever have the same name (fsm/claims.go).
type claims struct {
	mu sync.Mutex
	by map[uint32]placeSpan
}

type placeSpan struct{ from, to op.Position }

// take claims a range for a partition, unless another one is about to have some of it. What the partition has claimed before is given up.
func (c *claims) take(id uint32, from, to op.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, s := range c.by {
		if other != id && fsm.Overlap(s.from, s.to, from, to) {
			return false
		}
	}
	if c.by == nil {
		c.by = map[uint32]placeSpan{}
	}
	c.by[id] = placeSpan{from, to}
	return true
}

func (c *claims) release(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, id)
}

// admitState lets a snapshot of a range be installed as a partition's state, or says that another replica here still has some of it: the
// snapshot is to be sent again later. The claim lasts until it is released.
func (n *Node) admitState(id uint32, from, to op.Position) error {
	if id == fsm.Meta {
		return nil
	}
	if !n.claims.take(id, from, to) {
		return fmt.Errorf("%w: another replica is being made here", fsm.ErrClaimed)
	}
	by, err := fsm.Claimed(n.store, id, from, to)
	if err == nil && by == id {
		return nil
	}
	n.claims.release(id)
	if err == nil {
		err = fmt.Errorf("%w: partition %d", fsm.ErrClaimed, by)
	}
	n.cfg.Logger.Info().Err(err).Uint32("partition", id).Msg("a snapshot has to wait")
	return err
}

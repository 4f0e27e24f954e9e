package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/placement"
	"kahuna/raftgroup"
)

// The cluster's state says which partitions are to be split. The leader of each carries that out in its log, and then has the state
// follow. It keeps nothing: where a split is, the partition's own state says, so another leader goes on from there.

// stepsAtOnce bounds how many steps this node carries out at a time.
const stepsAtOnce = 8

// splitRests is for how long neither half of a split is changed by the planner.
const splitRests = time.Minute

func (n *Node) signalSteps() {
	select {
	case n.stepping <- struct{}{}:
	default:
	}
}

// step carries out the steps of partitions that this node leads, until the node stops.
func (n *Node) step() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		n.stepOnce()
		select {
		case <-n.stepping:
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) stepOnce() {
	var running sync.WaitGroup
	places := make(chan struct{}, stepsAtOnce)
	for _, c := range n.router.routes.Load().state.Changes {
		r := n.Replica(c.Range)
		if c.Kind != placement.Split || r == nil || !r.Leads() {
			continue
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
			defer cancel()
			if err := n.splitStep(ctx, r, &c); err != nil && n.ctx.Err() == nil {
				n.cfg.Logger.Warn().Err(err).Uint32("partition", c.Range).Msg("the split did not come to its end yet")
			}
		})
	}
	running.Wait()
	for _, r := range n.Replicas() {
		n.recount(r)
	}
}

// splitStep carries a split on from where it is.
func (n *Node) splitStep(ctx context.Context, r *partition.Replica, c *placement.Change) error {
	if child := childOf(r, c.Other); child != nil {
		return n.reportSplit(ctx, c.Range, child)
	}
	s := r.Machine().State()
	var o op.Op = &op.Split{Child: c.Other, At: c.At, Epoch: s.Epoch}
	if c.Cancel || !s.Splits(c.At) {
		o = &op.Fence{Epoch: s.Epoch} // after it, nothing that was proposed before can happen
	} else {
		n.prepareSplit(ctx, r)
	}
	results, err := r.Write(ctx, fsm.Unit{o})
	if err != nil {
		return err
	}
	if child := childOf(r, c.Other); child != nil {
		n.cfg.Logger.Info().Uint32("partition", c.Range).Uint32("child", c.Other).Msg("the partition was split")
		return n.reportSplit(ctx, c.Range, child)
	}
	if _, fenced := o.(*op.Fence); fenced && results[0].Done {
		return n.editState(ctx, func(s *placement.State) error {
			if was := s.Change(c.Range); was == nil || was.Other != c.Other {
				return errNoChange
			}
			return s.Drop(c.Range, 0)
		})
	}
	return fmt.Errorf("partition %d is at epoch %d, not %d", c.Range, results[0].Rev, s.Epoch)
}

// childOf is what a partition knows of a child; nil when it has none of that id.
func childOf(r *partition.Replica, id uint32) *fsm.Child {
	s := r.Machine().State()
	for i := range s.Children {
		if s.Children[i].ID == id {
			return &s.Children[i]
		}
	}
	return nil
}

// reportSplit has the cluster's state follow a split that happened.
func (n *Node) reportSplit(ctx context.Context, parent uint32, child *fsm.Child) error {
	now, err := n.router.Now(ctx, 1)
	if err != nil {
		return err
	}
	return n.editState(ctx, func(s *placement.State) error {
		if c := s.Change(parent); c == nil || c.Kind != placement.Split || c.Other != child.ID {
			return errNoChange
		}
		if err := s.EndSplit(parent, now.Add(splitRests.Milliseconds())); err != nil {
			return err
		}
		// The partitions' own count of epochs is what counts: it may be ahead of the state's.
		s.FindRange(parent).Epoch, s.FindRange(child.ID).Epoch = child.Epoch, child.Epoch
		return nil
	})
}

// errNoChange ends an edit that is not needed any more.
var errNoChange = errors.New("cluster: there is nothing to change")

// editState changes the cluster's state, again and again until nobody changed it meanwhile.
func (n *Node) editState(ctx context.Context, fn func(s *placement.State) error) error {
	err := n.documents.Change(ctx, stateKey, func(value []byte) ([]byte, error) {
		s, err := placement.Decode(value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFault, err)
		}
		if err := fn(s); err != nil {
			return nil, err
		}
		if err := s.Check(); err != nil {
			return nil, err
		}
		return s.Encode(), nil
	})
	if errors.Is(err, errNoChange) {
		return nil
	}
	return err
}

// prepareSplit makes the stores of all members durable, so that there is little left to do when the child's log begins, which it may
// only behind a state that a power cut does not take away. It is of no matter whether it succeeds.
func (n *Node) prepareSplit(ctx context.Context, r *partition.Replica) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, p := range r.Group().Status().Peers {
		if p.ID != n.identity.Node() {
			asking.Go(func() { _, _ = n.hub.Call(ctx, p.ID, callPrepare, nil) })
		}
	}
	_ = n.store.Checkpoint(nil)
	asking.Wait()
}

// handlePrepare makes the store durable.
func (n *Node) handlePrepare(context.Context, []byte) ([]byte, error) {
	return nil, n.store.Checkpoint(nil)
}

// recount finds out how many names a partition has whose range has changed, if this node leads it.
func (n *Node) recount(r *partition.Replica) {
	if s := r.Machine().State(); !s.Uncounted || !r.Leads() {
		return
	}
	o, err := r.Machine().Recount()
	if err != nil {
		n.fault(err)
		return
	}
	if o != nil {
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		defer cancel()
		_, _ = r.Write(ctx, fsm.Unit{o}) // if it does not get there, the next round counts again
	}
}

// passRanged removes from a group's log what a replica that is made anew must not be given: what is about another range.
func (n *Node) passRanged(r *partition.Replica) error {
	err := r.Group().CompactPast(r.Machine().State().Ranged)
	if errors.Is(err, raftgroup.ErrNothingToCompact) {
		err = fmt.Errorf("the log still has the former range: %w", err)
	}
	return err
}

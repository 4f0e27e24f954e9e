package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kahuna/fsm"
	"kahuna/placement"
	"kahuna/raftgroup"
)

// What operators ask for. It changes the cluster's state, which the controller and the groups' leaders then carry out. Nodes are
// given as Overview.Find takes them.

// Drain relieves a node of leaderships and then of replicas, or, if off, lets it have some again, also when it was to leave.
func (n *Node) Drain(ctx context.Context, node string, off bool) error {
	if off {
		return n.setStatus(ctx, node, placement.Active)
	}
	return n.setStatus(ctx, node, placement.Draining)
}

// Leave drains a node and then removes it from the cluster, for good.
func (n *Node) Leave(ctx context.Context, node string) error {
	return n.setStatus(ctx, node, placement.Leaving)
}

func (n *Node) setStatus(ctx context.Context, node string, status placement.NodeStatus) error {
	return n.edit(ctx, func(o *Overview) (*placement.State, error) {
		at, err := o.Find(node)
		switch {
		case err != nil:
			return nil, err
		case at.Status == status || at.Status == placement.Left && status == placement.Leaving:
			return o.State, nil
		case at.Status == placement.Leaving && status == placement.Draining:
			return nil, refused("the node is leaving, which drains it too; NODE DRAIN ... OFF keeps it")
		}
		if status != placement.Active {
			if err := o.CanLeave(at.ID); err != nil {
				return nil, err
			}
		}
		next := o.State.Clone()
		return next, refusal(next.SetStatus(at.ID, status))
	})
}

// refusal makes an error of package placement one for operators.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, placement.ErrBusy):
		return fmt.Errorf("%w: %w; PARTITION INFO shows it", ErrTryAgain, err)
	}
	return refused("%s", strings.TrimPrefix(err.Error(), "placement: "))
}

// edit changes the cluster's state, again and again until nobody changed it meanwhile. fn gives the state itself for no change.
func (n *Node) edit(ctx context.Context, fn func(o *Overview) (*placement.State, error)) error {
	for {
		o, err := n.Overview(ctx)
		if err != nil {
			return err
		}
		next, err := fn(o)
		if err != nil || next == o.State {
			return err
		}
		if err := next.Check(); err != nil {
			return refusal(err)
		}
		if _, err = n.documents.Put(ctx, stateKey, next.Encode(), o.Version); !errors.Is(err, ErrVersion) {
			return err
		}
	}
}

// Lead hands the leadership of a partition, or of the meta group, to a node that has a replica of it which votes. The controller may
// hand it on later, to even out what nodes lead.
func (n *Node) Lead(ctx context.Context, id uint32, node string) error {
	o, err := n.Overview(ctx)
	if err != nil {
		return err
	}
	to, err := o.Find(node)
	if err != nil {
		return err
	}
	leader, said := o.Leader(id)
	switch {
	case id != fsm.Meta && o.State.FindRange(id) == nil:
		return refused("there is no such partition; PARTITION LIST shows them")
	case leader == "":
		return fmt.Errorf("%w: the partition has no leader now", ErrTryAgain)
	case leader == to.ID:
		return nil
	case !slices.ContainsFunc(said.Members, func(m placement.Member) bool { return m.ID == to.ID && m.Voter }):
		return refused("node %s has no replica of it that votes; PARTITION MOVE gives it one", to.ID)
	case !o.Live(to.ID):
		return refused("node %s does not answer", to.ID)
	}
	err = n.order(ctx, leader, transferOrder{id, to.ID})
	switch {
	case errors.Is(err, raftgroup.ErrUnreachable):
		return fmt.Errorf("%w: the leader could not be asked: %w", ErrTryAgain, err)
	case err != nil:
		return fmt.Errorf("%w: the leadership did not move yet, PARTITION INFO tells whether it does: %w", ErrUncertain, err)
	}
	return nil
}

// Move has a partition's replica go from one node to another. It is there first, and here no more then.
func (n *Node) Move(ctx context.Context, id uint32, from, to string) error {
	now, err := n.router.Now(ctx, 1)
	if err != nil {
		return err
	}
	return n.edit(ctx, func(o *Overview) (*placement.State, error) {
		source, err := o.Find(from)
		if err != nil {
			return nil, err
		}
		target, err := o.Find(to)
		if err != nil {
			return nil, err
		}
		if err := o.movable(id, source, target); err != nil {
			return nil, err
		}
		next, err := placement.Apply(o.State, []placement.Step{{Kind: placement.SetReplicas, Range: id, From: source.ID, To: target.ID, Why: "an operator"}}, now)
		return next, refusal(err)
	})
}

// movable tells why a replica can't go from one node to another.
func (o *Overview) movable(id uint32, from, to *placement.Node) error {
	r := o.State.FindRange(id)
	leader, said := o.Leader(id)
	switch {
	case id == fsm.Meta:
		return refused("the cluster itself decides who votes in the meta group; NODE DRAIN moves that too")
	case r == nil:
		return refused("there is no such partition; PARTITION LIST shows them")
	case !slices.Contains(r.Replicas, from.ID):
		return refused("node %s has no replica of it", from.ID)
	case slices.Contains(r.Replicas, to.ID):
		return refused("node %s has a replica of it already", to.ID)
	case to.Status != placement.Active:
		return refused("node %s is %s, and gets no replicas", to.ID, to.Status)
	case !o.Live(to.ID):
		return refused("node %s does not answer", to.ID)
	case leader == "":
		return fmt.Errorf("%w: the partition has no leader now", ErrTryAgain)
	}
	live, voters := 0, 0
	for _, m := range said.Members {
		switch {
		case !slices.Contains(r.Replicas, m.ID) || !m.Voter:
			return fmt.Errorf("%w: its replicas are being moved; PARTITION INFO shows them", ErrTryAgain)
		case m.ID != from.ID:
			voters++
			if o.Live(m.ID) {
				live++
			}
		}
	}
	if voters+1 < len(r.Replicas) {
		return fmt.Errorf("%w: its replicas are being moved; PARTITION INFO shows them", ErrTryAgain)
	}
	if 2*(live+1) <= voters+1 {
		return refused("it would have %d of %d replicas live; bring the others back first", live+1, voters+1)
	}
	return nil
}

package cluster

import (
	"context"
	"fmt"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/placement"
)

// splitPoll is how often it is looked whether a split has come to its end.
const splitPoll = 5 * time.Millisecond

// Split has a partition give the end of its range, from a position on, to a new partition, whose id it returns. nil is for the middle of
// its slots, or, of a range within one slot, of its names. It returns when the cluster's state has the new one. An error that does not
// wrap ErrUncertain says that nothing was changed; with ErrUncertain the split goes on, or has happened.
func (n *Node) Split(ctx context.Context, id uint32, at *op.Position) (child uint32, err error) {
	now, err := n.router.Now(ctx, 1)
	if err != nil {
		return 0, err
	}
	err = n.edit(ctx, func(o *Overview) (*placement.State, error) {
		r := o.State.FindRange(id)
		switch leader, _ := o.Leader(id); {
		case id == fsm.Meta:
			return nil, refused("the meta group is not split")
		case r == nil:
			return nil, refused("there is no such partition; PARTITION LIST shows them")
		case leader == "":
			return nil, fmt.Errorf("%w: the partition has no leader now", ErrTryAgain)
		}
		where, err := n.splitPoint(ctx, r, at)
		if err != nil {
			return nil, err
		}
		child = o.State.NextID
		next, err := placement.Apply(o.State, []placement.Step{{Kind: placement.Split, Range: id, At: where, Why: "an operator"}}, now)
		return next, refusal(err)
	})
	if err != nil {
		return 0, err
	}
	return child, n.awaitSplit(ctx, id, child)
}

// awaitSplit waits until this node's copy of the cluster's state knows how a split has ended.
func (n *Node) awaitSplit(ctx context.Context, id, child uint32) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.RequestTimeout)
	defer cancel()
	for {
		routes := n.router.routes.Load()
		switch c := routes.state.Change(id); {
		case routes.learned == 0 && routes.byID[child] != nil:
			return nil
		case routes.learned == 0 && routes.state.NextID > child && (c == nil || c.Other != child):
			return fmt.Errorf("%w: the split was given up", ErrTryAgain)
		}
		if !clock.Pause(ctx, splitPoll) {
			return fmt.Errorf("%w: the split is on its way, PARTITION INFO shows it", ErrUncertain)
		}
	}
}

// splitPoint is where a range is to be cut.
func (n *Node) splitPoint(ctx context.Context, r *placement.Range, at *op.Position) (op.Position, error) {
	if at != nil {
		return *at, nil
	}
	end := int(r.To.Slot)
	if fsm.IsEnd(r.To) {
		end = op.Slots
	}
	if first := int(r.From.Slot) + 1; first < end || first == end && len(r.To.Name) > 0 {
		return op.Position{Slot: uint16((first + end) / 2)}, nil
	}
	return n.middleName(ctx, r)
}

// middleNames is how many names of a range are looked at to find the one in the middle. Of more it is not the middle, but inside.
const middleNames = 1 << 16

// middleName is the name in the middle of those in a range within a slot.
func (n *Node) middleName(ctx context.Context, r *placement.Range) (op.Position, error) {
	var names [][]byte
	for from := &r.From; from != nil && len(names) < middleNames; {
		out := n.router.Do(ctx, []op.Op{&op.Scan{Space: op.SpaceKey, From: *from, To: r.To, Limit: 1024}})[0]
		if out.Err != nil {
			return op.Position{}, out.Err
		}
		for i := range out.Items {
			names = append(names, out.Items[i].Key)
		}
		from = out.Next
	}
	if len(names) < 2 {
		return op.Position{}, refused("there are not two keys in it between which it could be split; AT says where")
	}
	return op.Position{Slot: r.From.Slot, Name: names[len(names)/2]}, nil
}

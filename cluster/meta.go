package cluster

import (
	"context"
	"fmt"

	"kahuna/fsm"
	"kahuna/op"
)

// leadMeta is called when this node leads the meta group and has applied everything before.
func (n *Node) leadMeta(term uint64) {
	snap := n.store.Snapshot()
	bound, err := fsm.ClockBound(snap)
	snap.Close()
	if err != nil {
		n.fault(err)
		return
	}
	if err := n.oracle.lead(term, bound); err != nil {
		n.fault(err)
	}
}

// confirmMeta confirms that this node leads the meta group.
func (n *Node) confirmMeta(ctx context.Context) error {
	r := n.Replica(fsm.Meta)
	if r == nil {
		return errStopping
	}
	return r.Group().ReadIndex(ctx)
}

// raiseBound raises the clock's bound through the meta group's log.
func (n *Node) raiseBound(ctx context.Context, until op.Timestamp) (op.Timestamp, error) {
	results, err := n.metaWrite(ctx, &op.ClockBound{Until: until})
	if err != nil {
		return 0, err
	}
	return results.TS, nil
}

func (n *Node) metaWrite(ctx context.Context, o op.Op) (op.Result, error) {
	r := n.Replica(fsm.Meta)
	if r == nil {
		return op.Result{}, errStopping
	}
	results, err := r.Write(ctx, fsm.Unit{o})
	if err != nil {
		return op.Result{}, err
	}
	if results[0].Status != op.OK {
		return op.Result{}, fmt.Errorf("the meta group answered with status %d", results[0].Status)
	}
	return results[0], nil
}

// leadsMeta tells whether this node believes to lead the meta group.
func (n *Node) leadsMeta() bool {
	r := n.Replica(fsm.Meta)
	return r != nil && r.Leads()
}

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
)

// waitSlice is how long one call waits at another node. The place in the line is kept from one to the next.
const waitSlice = 5 * time.Second

// waitAt waits at the node that leads a partition, for a slice of the time. When the slice is over and the time is not, ended is
// false. When ctx is cancelled, so is the call, and the owner leaves the line there.
func (r *Router) waitAt(ctx context.Context, node string, id uint32, o *op.LockAcquire) (res op.Result, ended bool, err error) {
	slice := waitSlice
	if until, ok := ctx.Deadline(); ok {
		slice = min(slice, time.Until(until))
	}
	body := binary.AppendUvarint(nil, uint64(id))
	body = binary.AppendUvarint(body, uint64(max(slice, time.Millisecond).Milliseconds()))
	// The answer is waited for longer than the slice: what was granted at its end is on its way.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), slice+r.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})()
	answer, err := r.hub.Call(call, node, callWait, op.Append(body, o))
	switch {
	case errors.Is(err, raftgroup.ErrUnreachable):
		r.hints.set(id, "")
		return res, false, fmt.Errorf("%w: %w", partition.ErrNotLeader, err)
	case err != nil:
		r.hints.set(id, "")
		return res, false, fmt.Errorf("%w: %w", partition.ErrUncertain, err)
	}
	results, err := r.readAnswer(id, node, answer, 1)
	if err != nil {
		return res, false, err
	}
	res = results[0]
	return res, res.Done || res.Status != op.OK || ctx.Err() != nil, nil
}

// handleWait has another node's client wait at a partition that this node leads.
func (n *Node) handleWait(ctx context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil {
		return nil, notDone(err)
	}
	slice, rest, err := takeUint(rest)
	if err != nil || slice > uint64(time.Minute.Milliseconds()) {
		return nil, notDone(errRequest)
	}
	o, rest, err := op.Decode(rest)
	ask, ok := o.(*op.LockAcquire)
	if err != nil || !ok || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	r := n.Replica(id)
	if r == nil {
		return []byte{endNotLeader}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(slice)*time.Millisecond)
	defer cancel()
	res, err := r.Wait(ctx, ask)
	return appendEnd(r, []op.Result{res}, err), nil
}

// leaveAt tells the node that leads a partition that an owner waits no more. When that does not arrive, the place is passed over
// a little later.
func (r *Router) leaveAt(node string, id uint32, o *op.LockAcquire) {
	r.running.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.attempt())
		defer cancel()
		_, err := r.hub.Call(ctx, node, callLeave, op.Append(binary.AppendUvarint(nil, uint64(id)), o))
		_ = err
	})
}

// handleLeave is the other end of leaveAt.
func (n *Node) handleLeave(_ context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil {
		return nil, notDone(err)
	}
	o, rest, err := op.Decode(rest)
	ask, ok := o.(*op.LockAcquire)
	if err != nil || !ok || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	if r := n.Replica(id); r != nil {
		r.Leave(ask.Name, ask.Owner)
	}
	return nil, nil
}

package cluster

import (
	"context"
	"errors"
	"fmt"

	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
)

// sent is a batch on its way, here or to another node.
type sent interface {
	Done() <-chan struct{}
	Result() ([]op.Result, error)
}

// forwarded is a batch on its way to another node.
type forwarded struct {
	done    chan struct{}
	results []op.Result
	err     error
}

func (f *forwarded) Done() <-chan struct{}        { return f.done }
func (f *forwarded) Result() ([]op.Result, error) { return f.results, f.err }

// leader is the node that leads a partition, as far as this node knows; empty when it is this one, or nobody is known.
func (r *Router) leader(id uint32) string {
	if replica := r.replica(id); replica != nil {
		if node, _ := replica.Group().Leader(); node != "" {
			if node == r.self {
				return ""
			}
			return node
		}
	}
	if node := r.hints.get(id); node != "" && node != r.self {
		return node
	}
	members := r.routes.Load().members(id)
	for range members {
		if node := members[r.turn.Add(1)%uint64(len(members))]; node != r.self {
			return node
		}
	}
	return ""
}

// forward sends a batch to the node that leads its partition.
func (r *Router) forward(ctx context.Context, at op.Timestamp, b *batch) (*forwarded, error) {
	node := r.leader(b.id)
	if node == "" {
		return nil, partition.ErrNotLeader
	}
	f := &forwarded{done: make(chan struct{})}
	r.running.Go(func() {
		defer close(f.done)
		f.results, f.err = r.ask(ctx, node, at, b.id, b.ops, b.reads)
	})
	return f, nil
}

// ask has another node run operations on a partition that it seems to lead.
func (r *Router) ask(ctx context.Context, node string, at op.Timestamp, id uint32, ops []op.Op, reads bool) ([]op.Result, error) {
	kind, body := callWrite, []byte(nil)
	if reads {
		kind, body = callRead, appendRead(nil, id, at, ops)
	} else {
		body = appendWrite(nil, id, ops)
	}
	answer, err := r.hub.Call(ctx, node, kind, body)
	if err != nil {
		r.hints.set(id, "")
		if reads || errors.Is(err, raftgroup.ErrUnreachable) {
			return nil, fmt.Errorf("%w: %w", partition.ErrNotLeader, err)
		}
		return nil, fmt.Errorf("%w: %w", partition.ErrUncertain, err)
	}
	results, leader, err := readEnd(answer, len(ops))
	switch {
	case err == nil:
		r.hints.set(id, node)
	case errors.Is(err, partition.ErrNotLeader):
		r.hints.set(id, leader)
	case errors.Is(err, errAnswer) && !reads:
		err = errors.Join(partition.ErrUncertain, err)
	}
	return results, err
}

// close waits for what was sent. Nobody asks any more.
func (r *Router) close() { r.running.Wait() }

package cluster

import (
	"context"

	"kahuna/mvcc"
	"kahuna/op"
)

// sent is a batch on its way, here or to another node.
type sent interface {
	Done() <-chan struct{}
	// Withdraw takes it back if it was not sent yet. It will change nothing then.
	Withdraw() bool
	Result() ([]op.Result, error)
}

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
	until, _ := ctx.Deadline()
	switch {
	case !b.reads:
		return r.lane(b.id, false).put(b.ops, until), nil
	case at == mvcc.Latest && points(b.ops):
		return r.lane(b.id, true).put(b.ops, until), nil
	}
	f := &forwarded{done: make(chan struct{})}
	r.running.Go(func() {
		defer close(f.done)
		f.results, f.err = r.askRead(ctx, at, b.id, b.ops)
	})
	return f, nil
}

// points tells whether reads are short ones of single names, which may share a message with those of others.
func points(ops []op.Op) bool {
	for _, o := range ops {
		switch o := o.(type) {
		case *op.Version, *op.HashGet, *op.LockInfo, *op.SeqGet, *op.MetaGet, *op.TxnRead:
		case *op.Get:
			if o.AtRev > 0 {
				return false
			}
		case *op.Look:
			if o.AtRev > 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// close waits for what was sent. Nobody asks any more.
func (r *Router) close() { r.running.Wait() }

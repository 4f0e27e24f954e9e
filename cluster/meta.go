package cluster

import (
	"context"
	"errors"
	"fmt"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/mvcc"
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

// join brings the node to where it can serve: it learns the range map, which the leader of a new cluster makes, opens replicas
// of the partitions in it, and waits until they have leaders.
func (n *Node) join() {
	for wait := backoffMin; ; wait = min(2*wait, backoffMax) {
		err := n.joinOnce()
		if err == nil {
			n.setReady(nil)
			return
		}
		n.setReady(err)
		if !clock.Pause(n.ctx, wait) {
			return
		}
	}
}

func (n *Node) joinOnce() error {
	m, err := n.learnMap()
	if err != nil {
		return fmt.Errorf("the range map is not known yet: %w", err)
	}
	for _, r := range m.Ranges {
		if n.Replica(r.ID) != nil {
			continue
		}
		// It exists when an earlier attempt came no further.
		if err := fsm.Create(n.store, r.ID, r.From, r.To); err != nil && !errors.Is(err, fsm.ErrExists) {
			return err
		}
		if err := n.openReplica(r.ID); err != nil {
			return err
		}
	}
	n.router.ranges.Store(m)
	return n.ledAll(m)
}

// ledAll tells whether every partition of the map has a leader.
func (n *Node) ledAll(m *RangeMap) error {
	for _, r := range m.Ranges {
		replica := n.Replica(r.ID)
		if replica.Leads() {
			continue
		}
		if id, _ := replica.Group().Leader(); id == "" || id == n.identity.Node {
			return fmt.Errorf("partition %d has no leader yet", r.ID)
		}
	}
	return nil
}

// learnMap reads the range map. In a new cluster the meta group's leader makes it.
func (n *Node) learnMap() (*RangeMap, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
	defer cancel()
	m, found, err := n.localMap()
	if err != nil || found {
		return m, err
	}
	if !n.Replica(fsm.Meta).Leads() {
		return nil, errors.New("the meta group has no leader that made one")
	}
	res, err := n.metaWrite(ctx, &op.InitCluster{ClusterID: []byte(n.cfg.RandomID()), Map: NewRangeMap(n.cfg.Partitions).Encode()})
	if err != nil {
		return nil, err
	}
	return DecodeRangeMap(res.Value)
}

// localMap is the range map as far as this node's replica of the meta group has it.
func (n *Node) localMap() (*RangeMap, bool, error) {
	snap := n.store.Snapshot()
	defer snap.Close()
	res, err := fsm.Read(snap, mvcc.Latest, &op.RangeMap{})
	if err != nil || !res.Found {
		return nil, false, err
	}
	m, err := DecodeRangeMap(res.Value)
	return m, err == nil, err
}

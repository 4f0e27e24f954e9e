package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/placement"
)

// join makes the node a member of its cluster, and the cluster, if there is none, and tells the others where it can be reached now.
func (n *Node) join() {
	for wait := backoffMin; ; wait = min(2*wait, joinPauseMax) {
		err := n.joinOnce()
		if err == nil {
			n.setReady(nil)
			return
		}
		if errors.Is(err, placement.ErrRemoved) {
			n.fault(err)
			return
		}
		n.setReady(err)
		if !clock.Pause(n.ctx, wait) {
			return
		}
	}
}

// joinPauseMax is the longest pause between attempts to join.
const joinPauseMax = 10 * backoffMax

// self is what the cluster is to know about this node.
func (n *Node) self() placement.Node {
	return placement.Node{ID: n.identity.Node(), Name: n.cfg.Name, PeerAddr: n.cfg.Network.LocalAddr(), ClientAddr: n.cfg.ClientAddr,
		ClusterAddr: n.cfg.ClusterAddr, Zone: n.cfg.Zone, Status: placement.Active}
}

func (n *Node) joinOnce() error {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
	defer cancel()
	s, version, err := n.localState()
	switch {
	case err != nil:
		return err
	case version == 0 && n.identity.mayFound() && len(n.cfg.Join) == 0:
		return n.makeCluster(ctx)
	case version == 0:
		return n.askToJoin()
	}
	if known := s.Node(n.identity.Node()); known != nil && sameNode(*known, n.self()) {
		return nil
	}
	return n.announce(ctx)
}

// sameNode tells whether what is known of a node is right.
func sameNode(known, now placement.Node) bool {
	now.Status = known.Status
	return known == now
}

// makeCluster writes the first state of a new cluster, when this node leads its meta group.
func (n *Node) makeCluster(ctx context.Context) error {
	if !n.leadsMeta() {
		return errors.New("the meta group has no leader yet")
	}
	s, err := placement.New(n.cfg.RandomID(), []placement.Node{n.self()}, n.cfg.Partitions, n.cfg.Replication)
	if err != nil {
		return err
	}
	if _, err = n.documents.Put(ctx, stateKey, s.Encode(), 0); errors.Is(err, ErrVersion) {
		return nil // it was made by an attempt whose end was not seen
	}
	return err
}

// announce tells the cluster, of which this node knows the others, about this node.
func (n *Node) announce(ctx context.Context) error {
	if _, err := n.admit(ctx, n.self()); err == nil {
		return nil
	}
	return n.askToJoin()
}

// admit makes a node a member, or takes over what it says about itself.
func (n *Node) admit(ctx context.Context, node placement.Node) (state []byte, err error) {
	err = n.documents.Change(ctx, stateKey, func(value []byte) ([]byte, error) {
		s, err := placement.Decode(value)
		if err != nil {
			return nil, fmt.Errorf("the cluster's state is not known yet: %w", err)
		}
		if err := s.Join(node); err != nil {
			return nil, err
		}
		state = s.Encode()
		return state, nil
	})
	return state, err
}

// askToJoin asks the nodes that are given in the settings, one after the other, each for as long as one operation may take: the
// first of them may be one that doesn't answer.
func (n *Node) askToJoin() error {
	request, err := json.Marshal(n.self())
	if err != nil {
		return err
	}
	if len(n.cfg.Join) == 0 && n.identity.Cluster() == "" {
		return errors.New("this node has asked to join a cluster before and has no answer: start it with the setting join again, or with an empty data directory")
	}
	if err := n.identity.Join(); err != nil {
		return err
	}
	errs := []error{errors.New("the cluster can't be reached; is one of the addresses of the setting join right, and its node up?")}
	for _, addr := range n.cfg.Join {
		ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RequestTimeout)
		answer, err := n.hub.CallAddress(ctx, addr, callJoin, request)
		cancel()
		if err == nil {
			return n.joined(answer)
		}
		if err.Error() == placement.ErrRemoved.Error() {
			return placement.ErrRemoved
		}
		errs = append(errs, fmt.Errorf("%s: %w", addr, err))
	}
	return errors.Join(errs...)
}

// joined takes over where the cluster's nodes are. Everything else comes with the log of the meta group.
func (n *Node) joined(answer []byte) error {
	s, err := placement.Decode(answer)
	if err != nil {
		return err
	}
	if err := n.belong(s.ClusterID); err != nil {
		return err
	}
	for _, node := range s.Nodes {
		if node.Status != placement.Left {
			n.hub.AddAddress(node.ID, node.PeerAddr)
		}
	}
	return errors.New("the cluster has taken this node in; its state has not arrived yet")
}

// handleJoin makes another node a member.
func (n *Node) handleJoin(ctx context.Context, body []byte) ([]byte, error) {
	var node placement.Node
	if err := json.Unmarshal(body, &node); err != nil || node.ID == "" {
		return nil, notDone(errRequest)
	}
	if n.Replica(fsm.Meta) == nil || n.router.routes.Load().version == 0 {
		return nil, notDone(errors.New("that node has not joined the cluster itself yet"))
	}
	if known := n.router.State().Node(node.ID); known != nil && known.Status != placement.Left {
		// When all nodes have moved, they can't agree on where they are before they find each other.
		n.hub.AddAddress(node.ID, node.PeerAddr)
	}
	return n.admit(ctx, node)
}

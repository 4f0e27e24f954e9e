package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"kahuna/fsm"
	"kahuna/placement"
)

// stateKey is the document that says who the cluster's nodes are and which of them has what.
const stateKey = "cluster"

// keepInterval is how often a node looks at the cluster's state without having been told that it changed: what it could not do
// about it may work now.
const keepInterval = 500 * time.Millisecond

// keepState follows the cluster's state until the node stops.
func (n *Node) keepState() {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for {
		changed := n.documents.Changed()
		if err := n.follow(); err != nil {
			n.fault(err)
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
	}
}

// follow takes over the cluster's state, opens the replicas that it gives to this node, and removes those that it takes away.
func (n *Node) follow() error {
	if err := n.adopt(); err != nil {
		return err
	}
	routes := n.router.routes.Load()
	for _, r := range routes.state.Ranges {
		if n.Replica(r.ID) != nil || !slices.Contains(r.Replicas, n.identity.Node()) {
			continue
		}
		if err := n.add(&r); err != nil {
			return err
		}
	}
	return n.retireUnwanted(routes)
}

// add makes a replica of a range and opens it, unless another one here still has some of that range: then it waits. That it is there
// already is an earlier attempt that came no further, or a birth.
func (n *Node) add(r *placement.Range) error {
	if !n.births.begin(r.ID) {
		return nil
	}
	defer n.births.end(r.ID)
	if n.Replica(r.ID) != nil || !n.claims.take(r.ID, r.From, r.To) {
		return nil
	}
	create := fsm.Create
	if r.Epoch > 1 {
		create = fsm.CreateEmpty // its log is about more than the range of now
	}
	err := create(n.store, r.ID, r.From, r.To)
	n.claims.release(r.ID)
	switch {
	case errors.Is(err, fsm.ErrClaimed), errors.Is(err, fsm.ErrClearing):
		return nil
	case err != nil && !errors.Is(err, fsm.ErrExists):
		return err
	}
	return n.openReplica(r.ID)
}

// adopt takes over the cluster's state from this node's replica of the meta group, if that has a newer one.
func (n *Node) adopt() error {
	s, version, err := n.localState()
	old := n.router.routes.Load()
	if err != nil || version < old.version || version == old.version && (old.learned == 0 || n.cfg.Clock.Mono() < old.learned) {
		return err
	}
	if err := n.belong(s.ClusterID); err != nil {
		return err
	}
	addresses := map[string]string{}
	for _, node := range s.Nodes {
		if node.Status != placement.Left {
			addresses[node.ID] = node.PeerAddr
		} else if node.ID == n.identity.Node() {
			return placement.ErrRemoved
		}
	}
	n.hub.SetAddresses(addresses)
	if !maps.Equal(addresses, n.addresses) {
		// Where the others are has to survive a power cut: when all nodes have one, the log can't tell before they have found each other.
		if err := n.store.Checkpoint(nil); err != nil {
			return err
		}
		n.addresses = addresses
	}
	n.router.routes.Store(newRoutes(s, version))
	n.feeds.links.members()
	n.sights.keep(s.Members())
	n.presence.keep(s.Members())
	if len(s.Changes) > 0 {
		n.signalSteps()
	}
	return nil
}

// belong notes which cluster this node belongs to.
func (n *Node) belong(cluster string) error {
	before := n.identity.Cluster()
	err := n.identity.Belong(cluster)
	if err == nil && before == "" && n.cfg.OnBelong != nil {
		n.cfg.OnBelong()
	}
	return err
}

// localState is the cluster's state in this node's replica of the meta group; version 0: there is none yet.
func (n *Node) localState() (s *placement.State, version uint64, err error) {
	doc, found, err := n.documents.LocalGet(stateKey)
	if errors.Is(err, errFilling) {
		return nil, 0, nil
	}
	if err != nil || !found {
		return nil, 0, err
	}
	if s, err = placement.Decode(doc.Value); err != nil {
		return nil, 0, fmt.Errorf("the cluster's state can't be read: %w", err)
	}
	return s, doc.Version, nil
}

// Member tells whether this node's replica of the meta group has the cluster's state: it is in, and knows what the others agree on.
func (n *Node) Member() bool {
	_, version, err := n.localState()
	return err == nil && version > 0
}

package cluster

import (
	"context"
	"fmt"
	"time"

	"kahuna/fsm"
	"kahuna/partition"
	"kahuna/placement"
	"kahuna/raftgroup"
)

// tendTimeout bounds one change of a group's members.
const tendTimeout = 5 * time.Second

// tend brings the groups that this node leads to what the cluster's state says, one change at a time for each group, until the
// node stops. A change that is not finished when the leadership or the node ends is taken up by the next leader: what is to be done
// follows from the state and the group's members alone.
func (n *Node) tend() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		changed := n.documents.Changed()
		n.lookAround()
		for n.tendGroups() {
			n.lookAround()
		}
		select {
		case <-changed:
		case <-n.looking:
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
	}
}

// serves is told that this node leads a partition. It has to know at once how the members are: until it does, they seem not to answer.
func (n *Node) serves() {
	n.feeds.table.WakeAll()
	select {
	case n.looking <- struct{}{}:
	default:
	}
}

// tendGroups makes one change in each group that needs one, and tells whether it made any.
func (n *Node) tendGroups() (acted bool) {
	routes := n.router.routes.Load()
	for _, r := range n.Replicas() {
		goal, ok := n.goal(routes, r.ID())
		if r.Leads() && n.hasEmpty(r) {
			_ = n.passRanged(r)
		}
		if !ok || !r.Leads() || n.ctx.Err() != nil {
			continue
		}
		action := placement.Reconcile(goal, n.identity.Node(), n.members(r))
		if action.Kind != placement.Nothing && n.act(r, action) {
			acted = true
		}
	}
	return acted
}

// members are a group's members as its leader sees them.
func (n *Node) members(r *partition.Replica) []placement.Member {
	status := r.Group().Status()
	return n.membersOf(r, &status)
}

func (n *Node) membersOf(r *partition.Replica, status *raftgroup.Status) (members []placement.Member) {
	now := n.cfg.Clock.Mono()
	for _, p := range status.Peers {
		m := placement.Member{ID: p.ID, Addr: p.Addr, Voter: p.Voter}
		if p.ID == n.identity.Node() {
			m.Live, m.CaughtUp = true, true
		} else if seen, ok := n.sights.get(p.ID); ok && now-seen.at < liveFor {
			m.Live = true
			if s := seen.sight.replica(r.ID()); s != nil {
				m.CaughtUp = s.Applied+caughtUpWithin >= status.Commit
			}
		}
		members = append(members, m)
	}
	return members
}

// hasEmpty tells whether a member has a replica that waits for a snapshot.
func (n *Node) hasEmpty(r *partition.Replica) bool {
	for _, p := range r.Group().Status().Peers {
		if seen, ok := n.sights.get(p.ID); ok {
			if s := seen.sight.replica(r.ID()); s != nil && s.Empty {
				return true
			}
		}
	}
	return false
}

// act carries out a change of a group, and tells whether it was made.
func (n *Node) act(r *partition.Replica, a placement.Action) bool {
	ctx, cancel := context.WithTimeout(n.ctx, tendTimeout)
	defer cancel()
	peer := raftgroup.Peer{ID: a.Peer.ID, Addr: a.Peer.Addr}
	var err error
	switch a.Kind {
	case placement.AddNonvoter:
		if err = n.passRanged(r); err == nil {
			err = r.Group().AddNonvoter(ctx, peer)
		}
	case placement.AddVoter:
		peer.Voter = true
		err = r.Group().AddVoter(ctx, peer)
	case placement.Demote:
		err = r.Group().Demote(ctx, peer.ID)
	case placement.Remove:
		err = r.Group().Remove(ctx, peer.ID)
	case placement.Transfer:
		err = r.Group().TransferLeadership(ctx, peer.ID)
	}
	log := n.cfg.Logger.Info()
	if err != nil {
		log = n.cfg.Logger.Warn().Err(err)
	}
	log.Uint32("partition", r.ID()).Stringer("action", a.Kind).Str("node", a.Peer.ID).Str("why", a.Why).Msg("the group's members are changed")
	return err == nil
}

// Placed tells what is still to be done in the groups that this node leads; nil: nothing.
func (n *Node) Placed() error {
	routes := n.router.routes.Load()
	for _, r := range n.Replicas() {
		if !r.Leads() {
			continue
		}
		goal, ok := n.goal(routes, r.ID())
		if a := placement.Reconcile(goal, n.identity.Node(), n.members(r)); ok && (a.Kind != placement.Nothing || a.Why != "") {
			return fmt.Errorf("partition %d: %v %s: %s", r.ID(), a.Kind, a.Peer.ID, a.Why)
		}
	}
	return nil
}

// goal is what the cluster's state says about the members of a group; false when it says nothing. Nodes have their ids as
// addresses: that is what groups know them by.
func (n *Node) goal(routes *routes, id uint32) (g placement.Goal, ok bool) {
	switch at := routes.byID[id]; {
	case routes.version == 0:
		return g, false
	case id == fsm.Meta:
		g = routes.state.MetaGoal()
	case at != nil:
		g = routes.state.RangeGoal(at)
	default:
		return g, false
	}
	for _, peers := range [][]placement.Peer{g.Voters, g.Nonvoters} {
		for i := range peers {
			peers[i].Addr = peers[i].ID
		}
	}
	return g, true
}

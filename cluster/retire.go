package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"kahuna/fsm"
	"kahuna/partition"
)

// retireUnwanted removes replicas that this node is not to have any more, once their group has dropped them.
func (n *Node) retireUnwanted(routes *routes) error {
	for _, r := range n.Replicas() {
		if r.ID() == fsm.Meta || routes.version == 0 || slices.Contains(routes.members(r.ID()), n.identity.Node()) {
			continue
		}
		if routes.byID[r.ID()] == nil && routes.state.Awaits(r.ID()) {
			continue // a child of which the state does not know yet
		}
		if r.Leads() || !n.dropped(r.ID()) {
			continue
		}
		if err := n.retire(r); err != nil {
			return err
		}
	}
	return nil
}

// dropped tells whether the leader of a group says that this node is not a member. Who that is may not be known here: the group
// tells its former members nothing any more. So all are asked, the one that led last first.
func (n *Node) dropped(id uint32) bool {
	asked := map[string]bool{"": true, n.identity.Node(): true}
	for _, node := range append([]string{n.router.known(id), n.router.hints.get(id)}, n.router.routes.Load().members(id)...) {
		if asked[node] {
			continue
		}
		asked[node] = true
		if members := n.whoIs(node, id); len(members) > 0 {
			n.router.hints.set(id, node)
			return !slices.Contains(members, n.identity.Node())
		}
	}
	return false
}

// whoIs asks a node for the members of a group that it leads; none when it does not.
func (n *Node) whoIs(node string, id uint32) (members []string) {
	ctx, cancel := context.WithTimeout(n.ctx, lookTimeout)
	defer cancel()
	answer, err := n.hub.Call(ctx, node, callWhoIs, binary.AppendUvarint(nil, uint64(id)))
	if err != nil || json.Unmarshal(answer, &members) != nil {
		return nil
	}
	return members
}

// handleWhoIs tells the members of a group that this node leads, of a configuration that is committed.
func (n *Node) handleWhoIs(ctx context.Context, body []byte) ([]byte, error) {
	id, rest, err := takeID(body)
	if err != nil || len(rest) > 0 {
		return nil, notDone(errRequest)
	}
	r := n.Replica(id)
	if r == nil {
		return nil, notDone(partition.ErrNotLeader)
	}
	peers, err := r.Group().CommittedMembers(ctx)
	if err != nil {
		return nil, notDone(err)
	}
	var members []string
	for _, p := range peers {
		members = append(members, p.ID)
	}
	return json.Marshal(members)
}

// retire removes a replica from this node. It is stopped, and then the group is asked once more: a leader that took the node in again
// meanwhile may count on what the replica had until then. After that a new replica starts from nothing. What is left of it is a grave, made durable before its log goes: a store that a power
// cut has taken back must not hold a replica without a log.
func (n *Node) retire(r *partition.Replica) error {
	n.replicas.remove(r.ID())
	if err := r.Close(); err != nil {
		return err
	}
	if !n.dropped(r.ID()) {
		return n.openReplica(r.ID())
	}
	r.Machine().Leave() // a read that was confirmed while this node led must not see it cleared
	if err := fsm.Bury(n.store, r.ID()); err != nil {
		return err
	}
	if err := n.store.Checkpoint(func() {}); err != nil {
		return err
	}
	n.cfg.Logger.Info().Uint32("partition", r.ID()).Msg("the replica was removed from this node")
	return n.clearGrave(r.ID())
}

// clearGraves finishes what a stop has interrupted.
func (n *Node) clearGraves() error {
	graves, err := fsm.Graves(n.store)
	if err != nil {
		return err
	}
	for _, g := range graves {
		if g.Cleared {
			continue // a log is that of a replica that was made here since
		}
		if err := n.clearGrave(g.ID); err != nil {
			return err
		}
	}
	return nil
}

// clearGrave removes what a replica has left. That it is cleared is durable when it returns: else, after a power cut, the log of the
// next replica here would be taken for this one's.
func (n *Node) clearGrave(id uint32) error {
	if err := n.log.RemoveGroup(id); err != nil {
		return err
	}
	if err := os.RemoveAll(n.groupDir(id)); err != nil {
		return err
	}
	if err := fsm.Clear(n.store, id); err != nil {
		return err
	}
	return n.store.Checkpoint(func() {})
}

func (n *Node) groupDir(id uint32) string {
	return filepath.Join(n.cfg.DataDir, "groups", fmt.Sprint(id))
}

// buried tells whether this node had a replica of a partition that was removed.
func (n *Node) buried(id uint32) bool {
	snap := n.store.Snapshot()
	defer snap.Close()
	_, found, err := fsm.LoadGrave(snap, id)
	return found || err != nil
}

package cluster

import (
	"slices"

	"kahuna/op"
	"kahuna/placement"
)

// A cluster-aware client thinks in slots, each of which one node answers for. Here that is the node that leads the partition in which
// the slot begins: of a slot that is cut between names it answers for all, and passes on what others lead.

// SlotRange is slots for which the same node answers.
type SlotRange struct {
	From, To uint16 // both belong to it
	Node     int    // its place in Topology.Nodes
	Led      bool   // the node is known to lead; if not, it is one that will find the leader
	Replicas []int  // the places of the other nodes that have a replica
}

// Topology is what a cluster-aware client is told.
type Topology struct {
	Self   int              // the place of this node in Nodes
	Nodes  []placement.Node // all members; at least this one
	Slots  []SlotRange      // all slots, in order
	Silent []bool           // by place in Nodes: it has stopped to answer, as far as this node knows
	Epoch  uint64           // rises with the cluster's state
}

// slotPartitions gives the partition that answers for each slot.
func slotPartitions(ranges []placement.Range) *[op.Slots]uint32 {
	slots := new([op.Slots]uint32)
	at := 0
	for slot := range slots {
		for at+1 < len(ranges) && !after(&ranges[at+1], uint16(slot)) {
			at++
		}
		slots[slot] = ranges[at].ID
	}
	return slots
}

// after tells whether a range begins behind the beginning of a slot.
func after(r *placement.Range, slot uint16) bool {
	return r.From.Slot > slot || r.From.Slot == slot && len(r.From.Name) > 0
}

// Elsewhere is the address at which a cluster-aware client reaches the node that answers for a slot; empty when that is this node, or
// when it is not known to be another one. It does not wait, and is a hint: whoever is asked looks again.
func (r *Router) Elsewhere(slot uint16) string {
	routes := r.routes.Load()
	id := routes.slots[slot]
	if replica := r.replica(id); replica != nil && replica.Leads() {
		return ""
	}
	node := r.known(id)
	if node == "" || node == r.self {
		return ""
	}
	return routes.clusterAddrs[node]
}

// Elsewhere is that of the Router.
func (n *Node) Elsewhere(slot uint16) string { return n.router.Elsewhere(slot) }

// known is the node that leads a partition, this one too; empty when none is known.
func (r *Router) known(id uint32) string {
	if replica := r.replica(id); replica != nil {
		if replica.Leads() {
			return r.self
		}
		node, _ := replica.Group().Leader()
		return node
	}
	return r.hints.get(id)
}

// Topology tells which node answers for which slots. It does not wait.
func (n *Node) Topology() Topology {
	routes := n.router.routes.Load()
	t := Topology{Epoch: routes.version, Self: -1}
	places := map[string]int{}
	for i := range routes.state.Nodes {
		node := routes.state.Nodes[i]
		if node.Status == placement.Left {
			continue
		}
		if node.ID == n.identity.Node() {
			t.Self = len(t.Nodes)
		}
		places[node.ID] = len(t.Nodes)
		t.Nodes = append(t.Nodes, node)
	}
	if t.Self < 0 {
		t.Self = len(t.Nodes)
		places[n.identity.Node()] = t.Self
		t.Nodes = append(t.Nodes, n.self())
	}
	for i := range t.Nodes {
		t.Silent = append(t.Silent, i != t.Self && n.presence.silent(t.Nodes[i].ID))
	}
	n.addSlots(&t, routes, places)
	return t
}

func (n *Node) addSlots(t *Topology, routes *routes, places map[string]int) {
	var last uint32
	for slot, id := range routes.slots {
		if slot > 0 && id == last {
			t.Slots[len(t.Slots)-1].To = uint16(slot)
			continue
		}
		last = id
		r := SlotRange{From: uint16(slot), To: uint16(slot)}
		r.Node, r.Led = n.answers(id, t, places)
		r.Replicas = followers(routes.byID[id], places, r.Node)
		if end := len(t.Slots) - 1; end >= 0 && t.Slots[end].Node == r.Node && t.Slots[end].Led == r.Led && slices.Equal(t.Slots[end].Replicas, r.Replicas) {
			t.Slots[end].To = r.To
			continue
		}
		t.Slots = append(t.Slots, r)
	}
}

// followers are the places of the nodes that have a replica of a range and do not answer for it.
func followers(r *placement.Range, places map[string]int, answers int) (all []int) {
	if r == nil {
		return nil
	}
	for _, id := range r.Replicas {
		if place, found := places[id]; found && place != answers {
			all = append(all, place)
		}
	}
	slices.Sort(all)
	return all
}

// answers is the node that a client is told for a partition: its leader, or who led it last, or this node, which passes on.
func (n *Node) answers(id uint32, t *Topology, places map[string]int) (place int, led bool) {
	node := n.router.known(id)
	if node != "" {
		n.router.last.set(id, node)
		led = true
	} else {
		node = n.router.last.get(id)
	}
	place, found := places[node]
	if !found || place != t.Self && t.Nodes[place].ClusterAddr == "" {
		return t.Self, led
	}
	return place, led
}

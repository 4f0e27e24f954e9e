package placement

import (
	"cmp"
	"fmt"
	"slices"

	"kahuna/op"
)

// New gives the first State of a cluster: the slots evenly divided among partitions numbered from 1, their replicas evenly
// divided among the nodes. Nodes without a status are active. The voters of the meta group are the first nodes in order of ids.
func New(clusterID string, nodes []Node, partitions, replication int) (*State, error) {
	if partitions < 1 || partitions > op.Slots {
		return nil, fmt.Errorf("placement: %d partitions: a new cluster may have 1 to %d", partitions, op.Slots)
	}
	s := &State{ClusterID: clusterID, Replication: replication, Floor: partitions, NextID: uint32(partitions + 1), Nodes: slices.Clone(nodes)}
	for i := range s.Nodes {
		if s.Nodes[i].Status == 0 {
			s.Nodes[i].Status = Active
		}
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	ids := byTurns(s.Nodes)
	if n := min(len(ids), MaxMetaVoters); n > 0 {
		s.MetaVoters = slices.Clone(ids[:odd(n)])
		slices.Sort(s.MetaVoters)
	}
	s.Ranges = make([]Range, partitions)
	for i := range s.Ranges {
		replicas := window(ids, i, replication)
		s.Ranges[i] = Range{ID: uint32(i + 1), Epoch: 1, From: slotStart(i * op.Slots / partitions), To: slotStart((i + 1) * op.Slots / partitions),
			Replicas: replicas, Born: slices.Clone(replicas)}
	}
	return s, s.Check()
}

func slotStart(slot int) op.Position {
	if slot == op.Slots {
		return op.Position{}
	}
	return op.Position{Slot: uint16(slot)}
}

// odd is the largest odd number up to n, which is at least 1: an even number of voters survives no more failures than one less.
func odd(n int) int { return n - 1 + n%2 }

// byTurns lists nodes so that neighbours are in different zones, as far as that goes: the first of each zone, then the second
// of each, and so on.
func byTurns(nodes []Node) []string {
	type turn struct {
		round int
		zone  string
		id    string
	}
	rounds := map[string]int{}
	turns := make([]turn, len(nodes))
	for i, n := range nodes {
		turns[i] = turn{rounds[n.Zone], n.Zone, n.ID}
		rounds[n.Zone]++
	}
	slices.SortFunc(turns, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(a.zone, b.zone), cmp.Compare(a.id, b.id))
	})
	ids := make([]string, len(turns))
	for i, t := range turns {
		ids[i] = t.id
	}
	return ids
}

// window takes n ids, or all, beginning at place i and around. They come in order.
func window(ids []string, i, n int) []string {
	n = min(n, len(ids))
	if n < 1 {
		return nil
	}
	w := make([]string, n)
	for j := range w {
		w[j] = ids[(i+j)%len(ids)]
	}
	slices.Sort(w)
	return w
}

func contains(ids []string, id string) bool { return slices.Contains(ids, id) }

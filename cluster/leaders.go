package cluster

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// A node knows the leaders of partitions of which it has a replica. It asks those who may lead the others, so that
// cluster-aware clients are sent to the right node at once. Others are asked too, in turn, to know which nodes are silent.

// How many nodes are asked in one round; the others have their turn in later ones.
const (
	askedAtOnce = 16
	askedBeside = 4 // of those that lead nothing that is of interest here
)

// followLeaders learns who leads until the node stops.
func (n *Node) followLeaders() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for round := 0; ; round++ {
		select {
		case <-tick.C:
			n.learnLeaders(round)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) learnLeaders(round int) {
	absent := n.absent()
	nodes := make([]string, 0, len(absent))
	for node := range absent {
		nodes = append(nodes, node)
	}
	others := slices.DeleteFunc(n.Others(), func(node string) bool { return absent[node] != nil })
	nodes = append(inTurn(nodes, round, askedAtOnce), inTurn(others, round, askedBeside)...)
	ctx, cancel := context.WithTimeout(n.ctx, lookTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, node := range nodes {
		asking.Go(func() { n.learnFrom(ctx, node, absent[node]) })
	}
	asking.Wait()
}

// inTurn takes some of the nodes, others in each round.
func inTurn(nodes []string, round, most int) []string {
	slices.Sort(nodes)
	if len(nodes) <= most {
		return nodes
	}
	from := round * most % len(nodes)
	return slices.Concat(nodes[from:], nodes[:from])[:most]
}

// absent gives the partitions that have no replica here, by the nodes that may lead them.
func (n *Node) absent() map[string][]uint32 {
	routes := n.router.routes.Load()
	nodes := map[string][]uint32{}
	for i := range routes.state.Ranges {
		r := &routes.state.Ranges[i]
		if n.Replica(r.ID) != nil {
			continue
		}
		for _, node := range r.Replicas {
			nodes[node] = append(nodes[node], r.ID)
		}
	}
	return nodes
}

// learnFrom asks one node what it leads of some partitions. What was believed of it and is not so, or not to be found out, is
// believed no more.
func (n *Node) learnFrom(ctx context.Context, node string, ids []uint32) {
	leads := map[uint32]bool{}
	answer, err := n.hub.Call(ctx, node, callLeaders, nil)
	if n.ctx.Err() == nil {
		n.presence.note(node, err == nil)
	}
	if err == nil {
		for len(answer) > 0 {
			id, rest, err := takeID(answer)
			if err != nil {
				break
			}
			leads[id], answer = true, rest
		}
	}
	for _, id := range ids {
		switch {
		case leads[id]:
			n.router.hints.set(id, node)
		case n.router.hints.get(id) == node:
			n.router.hints.set(id, "")
		}
	}
}

// handleLeaders tells which partitions this node leads.
func (n *Node) handleLeaders(context.Context, []byte) (ids []byte, err error) {
	for _, r := range n.Replicas() {
		if r.Leads() {
			ids = binary.AppendUvarint(ids, uint64(r.ID()))
		}
	}
	return ids, nil
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"kahuna/placement"
)

// ErrRefused is for what an operator asked for and can't have; the text says why. Nothing was changed.
var ErrRefused = errors.New("refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Overview is the cluster's state with what the nodes say of themselves. The state is the latest one; what the nodes say is what each
// believed when it was asked.
type Overview struct {
	State   *placement.State
	Version uint64
	Reports placement.Reports // of members that answered, or did so lately

	limits placement.Limits
}

// Overview asks the meta group and then all nodes, those that do not answer for lookTimeout.
func (n *Node) Overview(ctx context.Context) (*Overview, error) {
	doc, found, err := n.documents.Get(ctx, stateKey)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: the cluster is being made", ErrTryAgain)
	}
	s, err := placement.Decode(doc.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFault, err)
	}
	o := &Overview{State: s, Version: doc.Version, limits: n.limits()}
	o.Reports = n.askAll(ctx, s)
	return o, nil
}

// askAll asks all members how they are, at the same time.
func (n *Node) askAll(ctx context.Context, s *placement.State) placement.Reports {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	reports := placement.Reports{}
	for _, id := range s.Members() {
		asking.Go(func() {
			report, ok := n.ask(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				reports[id] = report
			}
		})
	}
	asking.Wait()
	return reports
}

// ask asks a node how it is. Of one that does not answer it is known only for how long that is, if it was seen before.
func (n *Node) ask(ctx context.Context, id string) (r placement.NodeReport, ok bool) {
	if id == n.identity.Node() {
		return n.ownReport(true), true
	}
	if what, err := n.look(ctx, id, newSight()); err == nil {
		return what.report(n.cfg.Clock.Mono()), true
	}
	seen, ok := n.sights.get(id)
	return placement.NodeReport{Age: max(n.cfg.Clock.Mono()-seen.at, n.limits().LiveWithin+1)}, ok
}

// Live tells whether a node answered.
func (o *Overview) Live(node string) bool {
	r, ok := o.Reports[node]
	return ok && r.Age <= o.limits.LiveWithin
}

// Replica is what a node said of its replica of a partition; nil: it has none, or did not answer.
func (o *Overview) Replica(node string, id uint32) *placement.ReplicaReport {
	replicas := o.Reports[node].Replicas
	for i := range replicas {
		if replicas[i].Range == id {
			return &replicas[i]
		}
	}
	return nil
}

// Leader is the node that leads a partition, and what it said of it; empty when no node says so.
func (o *Overview) Leader(id uint32) (node string, said *placement.ReplicaReport) {
	for _, member := range o.State.Members() {
		if r := o.Replica(member, id); r != nil && r.Leads && (said == nil || r.Term > said.Term) {
			node, said = member, r
		}
	}
	return node, said
}

// Drained tells how many of the groups that a node had when it began to drain it is rid of.
func (o *Overview) Drained(node string) (done, total int) {
	return placement.Drained(o.State, o.Reports, o.limits, node)
}

// CanLeave tells why a node must stay, as an ErrRefused; nil: it may go.
func (o *Overview) CanLeave(node string) error {
	return refusal(placement.CanLeave(o.State, o.Reports, o.limits, node))
}

// Find is the node that is meant by an id, a name, or the beginning of one that no other node's has.
func (o *Overview) Find(what string) (*placement.Node, error) {
	if n := o.State.Node(what); n != nil {
		return n, nil
	}
	whole := func(n *placement.Node) bool { return n.Name == what && n.Status != placement.Left }
	begins := func(n *placement.Node) bool {
		return strings.HasPrefix(n.ID, what) || strings.HasPrefix(n.Name, what) && n.Status != placement.Left
	}
	for _, fits := range []func(*placement.Node) bool{whole, begins} {
		var found []*placement.Node
		for i := range o.State.Nodes {
			if fits(&o.State.Nodes[i]) {
				found = append(found, &o.State.Nodes[i])
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, refused("%d nodes are called so, %s and %s among them; give more of the id", len(found), found[0].ID, found[1].ID)
		}
	}
	return nil, refused("there is no such node; NODE LIST shows the nodes")
}

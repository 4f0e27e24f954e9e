package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"kahuna/partition"
	"kahuna/placement"
)

// The controller runs where the meta group is led. It plans from the cluster's state and from what the nodes say of themselves,
// changes the state, and orders leaderships to be handed over. What its plans say about a group is carried out by the group's own
// leader (tend.go). It keeps nothing: the next one goes on from the state.

// control plans until the node stops.
func (n *Node) control() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.ctx.Done():
			return
		}
		if !n.leadsMeta() {
			n.controlling = 0
			continue
		}
		if n.controlling == 0 {
			n.controlling = max(1, n.cfg.Clock.Mono())
		}
		if err := n.controlOnce(); err != nil && n.ctx.Err() == nil {
			n.cfg.Logger.Warn().Err(err).Msg("the cluster's plan was not carried out; it will be made anew")
		}
	}
}

func (n *Node) controlOnce() error {
	ctx, cancel := context.WithTimeout(n.ctx, tendTimeout)
	defer cancel()
	doc, found, err := n.documents.Get(ctx, stateKey)
	if err != nil || !found {
		return err
	}
	s, err := n.decodeState(doc)
	if err != nil {
		return err
	}
	now := n.oracle.about()
	if now == 0 {
		return nil
	}
	steps := placement.Plan(s, n.reports(s), now, n.limits())
	if len(steps) == 0 {
		return nil
	}
	for _, step := range steps {
		n.cfg.Logger.Info().Stringer("step", step).Msg("planned")
	}
	next, err := placement.Apply(s, steps, now)
	if err != nil {
		return err
	}
	if next != s {
		if _, err := n.documents.Put(ctx, stateKey, next.Encode(), doc.Version); err != nil {
			return err
		}
	}
	var errs []error
	for _, step := range steps {
		if step.Kind == placement.TransferLeader && !n.cfg.KeepLeaders {
			errs = append(errs, n.order(ctx, step.From, transferOrder{step.Range, step.To}))
		}
	}
	return errors.Join(errs...)
}

// limits bound what is planned.
func (n *Node) limits() placement.Limits {
	l := n.cfg.Limits
	l.DeadAfter = n.cfg.DeadAfter
	l.MergeAfter = 0 // a leader carries out splits, not merges
	return l
}

// decodeState gives the cluster's state that a document has: the one that is known here, if it is that.
func (n *Node) decodeState(doc Document) (*placement.State, error) {
	if routes := n.router.routes.Load(); routes.version == doc.Version && routes.learned == 0 {
		return routes.state, nil
	}
	return placement.Decode(doc.Value)
}

// reports are what the members of the cluster said of themselves lately. Of one that has said nothing since this node began to lead,
// it is known only for how long that is.
func (n *Node) reports(s *placement.State) placement.Reports {
	r := placement.Reports{}
	now := n.cfg.Clock.Mono()
	for _, id := range s.Members() {
		seen, ok := n.sights.get(id)
		switch {
		case id == n.identity.Node():
			r[id] = n.ownReport(false)
		case ok && seen.at >= n.controlling:
			report := seen.sight.report(now)
			report.Age = now - seen.at
			r[id] = report
		default:
			r[id] = placement.NodeReport{Age: now - n.controlling, Unheard: true}
		}
	}
	return r
}

// transferOrder tells the node that leads a partition to hand the leadership over.
type transferOrder struct {
	Range uint32 `json:"range"`
	To    string `json:"to"`
}

// order has a node hand over a leadership.
func (n *Node) order(ctx context.Context, node string, o transferOrder) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = n.hub.Call(ctx, node, callTransfer, body)
	return err
}

// handleTransfer hands over a leadership.
func (n *Node) handleTransfer(ctx context.Context, body []byte) ([]byte, error) {
	var o transferOrder
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, notDone(errRequest)
	}
	r := n.Replica(o.Range)
	if r == nil || !r.Group().Status().Leader {
		return nil, notDone(partition.ErrNotLeader)
	}
	return nil, r.Group().TransferLeadership(ctx, o.To)
}

package nemesis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kahuna/tests/cluster/fleet"
)

// placedMax is how long the cluster may take to move replicas while clients work.
const placedMax = 3 * time.Minute

// Membership are changes of who belongs to the cluster and of who has and leads what. They are made while clients work, and must go
// unnoticed.
var Membership = []Fault{
	{Name: "leaders move", Begin: func(n *Nemesis) ([]int, bool, error) { n.moveLeaders(6); return nil, false, nil }},
	{Name: "a replica moves", Lacks: func(n *Nemesis) string {
		if len(n.Members()) <= n.Replication {
			return "every node has every partition"
		}
		return ""
	}, Begin: func(n *Nemesis) ([]int, bool, error) { n.moveReplica(); return nil, false, nil }},
	{Name: "a node joins, another drains and leaves", Alone: true, Lacks: func(n *Nemesis) string {
		if _, ok := n.Spare(); !ok {
			return "there is no room for another node"
		}
		return ""
	}, Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.changeMember() }},
	{Name: "a rolling upgrade", Alone: true, Lacks: func(n *Nemesis) string {
		if n.Builds[0] == "" || n.Builds[1] == "" {
			return "there is one build only"
		}
		return ""
	}, Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.upgrade() }},
	{Name: "a partition splits, and merges again", Lacks: lacksSplits, Begin: func(n *Nemesis) ([]int, bool, error) {
		n.split()
		return nil, false, nil
	}},
}

// order has any node do an operator's command, again until it is done: it may be refused, or its end unknown, for a while.
func (n *Nemesis) order(args ...string) error {
	return n.Await(RecoverMax, func() error {
		_, err := n.Do(n.any(), 10*time.Second, args...)
		return err
	})
}

// hint has any node do an operator's command, once. It may be refused.
func (n *Nemesis) hint(args ...string) {
	if _, err := n.Do(n.any(), 10*time.Second, args...); err == nil {
		n.Watch.Count(strings.ToLower(args[0]+" "+args[1]), 1)
	}
}

// Partition is what PARTITION LIST tells of one.
type Partition struct {
	ID       string
	Leader   string
	Replicas []string
}

// Partitions are all partitions with data, as the first node that can tells; none: no node can now.
func (n *Nemesis) Partitions() (all []Partition) {
	for _, i := range n.mixed() {
		if !n.Running(i) || n.Stopped(i) {
			continue
		}
		r, err := n.Do(i, 10*time.Second, "PARTITION", "LIST")
		if err != nil {
			continue
		}
		for _, p := range r.Parts {
			one := Partition{ID: fmt.Sprint(p.Field("id").Int), Leader: p.Field("leader").Text}
			for _, name := range p.Field("replicas").Parts {
				one.Replicas = append(one.Replicas, name.Text)
			}
			if one.ID != "0" {
				all = append(all, one)
			}
		}
		return all
	}
	return nil
}

func (n *Nemesis) moveLeaders(times int) {
	all := n.Partitions()
	for range times {
		if len(all) == 0 {
			return
		}
		p := all[n.Rng.IntN(len(all))]
		n.hint("PARTITION", "LEADER", p.ID, p.Replicas[n.Rng.IntN(len(p.Replicas))])
		n.Leads()
		n.Pause(50, 400)
	}
}

func (n *Nemesis) moveReplica() {
	all := n.Partitions()
	if len(all) == 0 {
		return
	}
	p := all[n.Rng.IntN(len(all))]
	for _, to := range n.mixed() {
		if !slices.Contains(p.Replicas, fleet.Name(to)) {
			n.hint("PARTITION", "MOVE", p.ID, "FROM", p.Replicas[n.Rng.IntN(len(p.Replicas))], "TO", fleet.Name(to))
			return
		}
	}
}

// changeMember has a node join, and then another one, any of them, drained and sent away.
func (n *Nemesis) changeMember() error {
	i, _ := n.Spare()
	if err := n.Start(i); err != nil {
		return err
	}
	if err := n.Await(placedMax, n.Placed); err != nil {
		return fmt.Errorf("after %s joined: %w", fleet.Name(i), err)
	}
	n.Watch.Count("nodes joined", 1)
	leaving := n.any()
	id, err := n.id(leaving)
	if err != nil {
		return err
	}
	if n.Rng.IntN(2) == 0 {
		if err := n.order("NODE", "DRAIN", id); err != nil {
			return err
		}
		n.Pause(200, 2000)
	}
	return n.leave(leaving, id)
}

// leave sends a running node away, and waits until it has gone.
func (n *Nemesis) leave(i int, id string) error {
	n.Fragile(i, true)
	if err := n.order("NODE", "LEAVE", id); err != nil {
		return err
	}
	if !n.endsWithin(i, placedMax) {
		return fmt.Errorf("%s was told to leave and does not end", fleet.Name(i))
	}
	if err := n.Wipe(i); err != nil {
		return err
	}
	n.Watch.Count("nodes left", 1)
	return n.Await(placedMax, n.Placed)
}

// anew starts a node whose data is gone, and has the cluster forget the one that it was.
func (n *Nemesis) anew(i int, old string) error {
	if err := n.Start(i); err != nil {
		return err
	}
	if err := n.order("NODE", "LEAVE", old); err != nil {
		return err
	}
	if err := n.Await(placedMax, n.Placed); err != nil {
		return err
	}
	n.Watch.Count("nodes replaced", 1)
	return nil
}

// upgrade has one node after the other run the other build.
func (n *Nemesis) upgrade() error {
	to := n.Builds[0]
	if n.Program(n.Members()[0]) == to {
		to = n.Builds[1]
	}
	for _, i := range n.mixed() {
		n.Run(i, to)
		if err := n.Stop(i); err != nil {
			return err
		}
		if err := n.Start(i); err != nil {
			return err
		}
		if err := n.answer("after its upgrade", []int{i}); err != nil {
			return err
		}
		n.Watch.Count("nodes upgraded", 1)
	}
	if spare, ok := n.Spare(); ok {
		n.Run(spare, to)
	}
	return nil
}

// lacksSplits asks whether the server can split partitions.
func lacksSplits(n *Nemesis) string {
	r, err := n.Do(n.any(), 5*time.Second, "PARTITION", "HELP")
	if err != nil || !strings.Contains(strings.ToUpper(r.String()), "SPLIT") {
		return "the server has no PARTITION SPLIT"
	}
	return ""
}

// split splits a partition, moves leaders about, and merges two neighbours.
func (n *Nemesis) split() {
	all := n.Partitions()
	if len(all) > 0 && len(all) < partitionsMax {
		n.hint("PARTITION", "SPLIT", all[n.Rng.IntN(len(all))].ID)
	}
	n.Pause(100, 1500)
	n.moveLeaders(2)
	if all = n.Partitions(); len(all) > 1 {
		left := n.Rng.IntN(len(all) - 1)
		n.hint("PARTITION", "MERGE", all[left].ID, all[left+1].ID)
	}
}

// partitionsMax is up to how many partitions are split.
const partitionsMax = 12

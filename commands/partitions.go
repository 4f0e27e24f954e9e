package commands

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"kahuna/cluster"
	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

func partitionRow() Command {
	return operatorRow("partition", "The partitions of the cluster. Partition 0 is the meta group, which keeps what the cluster agrees on about itself.", []Command{
		{Name: "list", Arity: 2, Summary: "All partitions: a map each, with where it begins and ends, its leader, and the nodes that are to have its replicas.", parse: parsePartitionList},
		{Name: "info", Arity: 3, Syntax: "partition", Summary: "One partition: a map, with all replicas as its leader sees them.", parse: parsePartitionInfo},
		{Name: "leader", Arity: 4, Syntax: "partition node", Summary: "Hands the leadership to a node with a replica. The cluster may hand it on later, to even out what nodes lead.", parse: parsePartitionLeader},
		{Name: "move", Arity: 7, Syntax: "partition FROM node TO node", Summary: "Moves a replica from one node to another.", parse: parsePartitionMove},
		{Name: "split", Arity: -3, Syntax: "partition [AT slot|key]", Summary: "Splits a partition in two at a slot, or at a key within one, or in the middle, and tells the new one's number. It has what comes from there on.", parse: parsePartitionSplit},
		{Name: "help", Arity: 2, Summary: "The subcommands.", parse: parseHelp("partition")},
	})
}

// partition takes the id of a partition.
func (p *parser) partition() uint32 {
	id := p.int()
	if id < 0 || id > math.MaxUint32 {
		p.fail(errNotInteger)
	}
	return uint32(id)
}

func parsePartitionLeader(p *parser) request {
	id, node := p.partition(), string(p.next())
	return p.operate(func(ctx context.Context, c *call, o Operators) error { return c.ordered(o.Lead(ctx, id, node)) })
}

func parsePartitionMove(p *parser) request {
	id := p.partition()
	from := p.word("FROM")
	to := p.word("TO")
	return p.operate(func(ctx context.Context, c *call, o Operators) error { return c.ordered(o.Move(ctx, id, from, to)) })
}

func parsePartitionSplit(p *parser) request {
	id := p.partition()
	var at *op.Position
	if p.more() {
		at = splitAt(p.word("AT"))
	}
	return p.operate(func(ctx context.Context, c *call, o Operators) error {
		child, err := o.Split(ctx, id, at)
		if err == nil {
			c.w.Int(int64(child))
		}
		return err
	})
}

// splitAt is a slot, when it is a number that there is a slot of, else the place of a key.
func splitAt(what string) *op.Position {
	if slot, err := strconv.ParseUint(what, 10, 16); err == nil && slot < op.Slots {
		return &op.Position{Slot: uint16(slot)}
	}
	return &op.Position{Slot: op.Slot([]byte(what)), Name: []byte(what)}
}

// word takes what follows a word that must be there.
func (p *parser) word(before string) string {
	if !p.is(before) {
		p.fail(errSyntax)
	}
	return string(p.next())
}

func parsePartitionList(p *parser) request {
	return p.operate(func(ctx context.Context, c *call, o Operators) error {
		all, err := o.Overview(ctx)
		if err != nil {
			return err
		}
		c.w.Array(len(all.State.Ranges) + 1)
		c.details(metaDetails(all))
		for i := range all.State.Ranges {
			c.details(append(rangeDetails(all, &all.State.Ranges[i]), rangeFigures(all, &all.State.Ranges[i])...))
		}
		return nil
	})
}

func metaDetails(all *cluster.Overview) []detail {
	leader, _ := all.Leader(fsm.Meta)
	return []detail{{"id", 0}, {"from", "meta"}, {"to", "meta"}, {"leader", nodeName(all, leader)}, {"replicas", nodeNames(all, all.State.MetaVoters)}}
}

func rangeDetails(all *cluster.Overview, r *placement.Range) []detail {
	leader, _ := all.Leader(r.ID)
	to := "end"
	if !fsm.IsEnd(r.To) {
		to = border(r.To)
	}
	return []detail{{"id", int(r.ID)}, {"from", border(r.From)}, {"to", to}, {"leader", nodeName(all, leader)}, {"replicas", nodeNames(all, r.Replicas)},
		{"epoch", r.Epoch}, {"step", step(all, r.ID)}}
}

// border is where a partition begins, or the next one after it: a slot, and a name where that is cut.
func border(p op.Position) string {
	if len(p.Name) == 0 {
		return fmt.Sprint("slot ", p.Slot)
	}
	return fmt.Sprintf("slot %d %q", p.Slot, p.Name)
}

// nodeName is what people call a node.
func nodeName(all *cluster.Overview, id string) string {
	if n := all.State.Node(id); n != nil && n.Name != "" {
		return n.Name
	}
	return id
}

func nodeNames(all *cluster.Overview, ids []string) (names []string) {
	for _, id := range ids {
		names = append(names, nodeName(all, id))
	}
	return names
}

func parsePartitionInfo(p *parser) request {
	id := p.partition()
	return p.operate(func(ctx context.Context, c *call, o Operators) error {
		all, err := o.Overview(ctx)
		if err != nil {
			return err
		}
		fields := metaDetails(all)
		if id != fsm.Meta {
			r := all.State.FindRange(id)
			if r == nil {
				return userError("ERR there is no such partition; PARTITION LIST shows them")
			}
			fields = append(rangeDetails(all, r), rangeFigures(all, r)...)
		}
		_, said := all.Leader(id)
		c.partitionInfo(all, id, fields, said)
		return nil
	})
}

// step says which change a partition is in; nothing when it is in none.
func step(all *cluster.Overview, id uint32) string {
	c := all.State.Change(id)
	switch {
	case c == nil:
		return ""
	case c.Kind == placement.Split:
		return fmt.Sprintf("split at %s into partition %d", border(c.At), c.Other)
	case c.Kind == placement.Merge:
		return fmt.Sprintf("merge of partitions %d and %d", c.Range, c.Other)
	}
	return "a replica goes" + between(all, c.From, c.To)
}

// between says from where, if it is from somewhere, and to where something goes.
func between(all *cluster.Overview, from, to string) (text string) {
	if from != "" {
		text = " from " + nodeName(all, from)
	}
	if to != "" {
		text += " to " + nodeName(all, to)
	}
	return text
}

// replicaAge is how old what this node's replica of a partition would answer after READONLY is: 0 where it leads, -1 when it would not answer.
func (c *call) replicaAge(id uint32) int {
	switch s := c.s.h.cluster.ReplicaState(id); {
	case s.Leads:
		return 0
	case s.Known:
		return int(s.Age.Milliseconds())
	}
	return -1
}

// partitionInfo writes the fields, and what the leader, if there is one, said of the replicas.
func (c *call) partitionInfo(all *cluster.Overview, id uint32, fields []detail, said *placement.ReplicaReport) {
	if said == nil {
		said = &placement.ReplicaReport{}
	}
	fields = append(fields, detail{"term", said.Term}, detail{"applied", said.Applied}, detail{"replica-read-age-ms", c.replicaAge(id)})
	c.w.Map(len(fields) + 1)
	for _, f := range fields {
		c.value(f)
	}
	c.w.BulkString("members")
	c.w.Array(len(said.Members))
	for _, m := range said.Members {
		applied := uint64(0)
		if r := all.Replica(m.ID, id); r != nil {
			applied = r.Applied
		}
		c.details([]detail{{"id", m.ID}, {"name", nodeName(all, m.ID)}, {"votes", yesNo(m.Voter)}, {"answers", yesNo(m.Live)},
			{"caught-up", yesNo(m.CaughtUp)}, {"applied", applied}})
	}
}

package commands

import (
	"context"
	"fmt"

	"kahuna/cluster"
	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

// Operators is what NODE and PARTITION stand on. *cluster.Node is it. Nodes are given by id, name, or the beginning of one.
type Operators interface {
	Overview(ctx context.Context) (*cluster.Overview, error)
	Drain(ctx context.Context, node string, off bool) error
	Leave(ctx context.Context, node string) error
	Lead(ctx context.Context, partition uint32, node string) error
	Move(ctx context.Context, partition uint32, from, to string) error
	Split(ctx context.Context, partition uint32, at *op.Position) (child uint32, err error)
}

// operatorFlags are those of NODE and PARTITION. They are not for transactions: what they change is not in one.
const operatorFlags = "admin noscript no_multi loading stale"

func nodeRow() Command {
	return operatorRow("node", "The nodes of the cluster. A node is given by its id or its name, or by the beginning of one.", []Command{
		{Name: "list", Arity: 2, Summary: "All nodes, those that left last: a map each, with what it is to the cluster, whether it answers, and how many partitions it leads and follows.", parse: parseNodeList},
		{Name: "info", Arity: 3, Syntax: "node", Summary: "One node: a map. Of one that drains it tells how far that is, and what it waits for.", parse: parseNodeInfo},
		{Name: "drain", Arity: -3, Syntax: "node [OFF]", Summary: "Moves leaderships, then replicas, away from a node, so that it can be stopped; OFF lets it have some again, and takes NODE LEAVE back.", parse: parseNodeDrain},
		{Name: "leave", Arity: 3, Syntax: "node", Summary: "Drains a node, dead or alive, and then removes it for good. An error where a partition would lose its quorum.", parse: parseNodeLeave},
		{Name: "help", Arity: 2, Summary: "The subcommands.", parse: parseHelp("node")},
	})
}

func operatorRow(name, summary string, sub []Command) Command {
	for i := range sub {
		sub[i].Flags, sub[i].Complexity = operatorFlags, "O(N) where N is the number of replicas"
	}
	return Command{Name: name, Arity: -2, Flags: operatorFlags, Complexity: "Depends on subcommand.", Summary: summary, Sub: sub}
}

// operate is a request to an operator's command.
func (p *parser) operate(run func(ctx context.Context, c *call, o Operators) error) request {
	p.end()
	return request{run: func(ctx context.Context, c *call) error {
		if c.s.h.operators == nil {
			return userError("ERR this node is not one of a cluster")
		}
		return run(ctx, c, c.s.h.operators)
	}}
}

// ordered answers OK for what was done.
func (c *call) ordered(err error) error {
	if err == nil {
		c.w.SimpleString("OK")
	}
	return err
}

func parseNodeDrain(p *parser) request {
	node := string(p.next())
	off := p.is("OFF")
	return p.operate(func(ctx context.Context, c *call, o Operators) error { return c.ordered(o.Drain(ctx, node, off)) })
}

func parseNodeLeave(p *parser) request {
	node := string(p.next())
	return p.operate(func(ctx context.Context, c *call, o Operators) error { return c.ordered(o.Leave(ctx, node)) })
}

func parseNodeList(p *parser) request {
	return p.operate(func(ctx context.Context, c *call, o Operators) error {
		all, err := o.Overview(ctx)
		if err != nil {
			return err
		}
		nodes := all.State.Nodes
		c.w.Array(len(nodes))
		for _, left := range []bool{false, true} {
			for i := range nodes {
				if (nodes[i].Status == placement.Left) == left {
					c.nodeMap(all, &nodes[i], nil)
				}
			}
		}
		return nil
	})
}

// detail is a field of a map whose value is a text, an int, or a list of partitions.
type detail struct {
	name  string
	value any
}

func (c *call) details(all []detail) {
	c.w.Map(len(all))
	for _, d := range all {
		c.value(d)
	}
}

func (c *call) value(d detail) {
	c.w.BulkString(d.name)
	switch v := d.value.(type) {
	case string:
		c.w.BulkString(v)
	case int:
		c.w.Int(int64(v))
	case uint64:
		c.w.Uint(v)
	case []uint32:
		c.w.Array(len(v))
		for _, id := range v {
			c.w.Int(int64(id))
		}
	case []string:
		writeStrings(c.w, v)
	}
}

// nodeMap writes what NODE LIST tells of a node, and more.
func (c *call) nodeMap(all *cluster.Overview, n *placement.Node, more []detail) {
	leads, follows := groupsOf(all, n.ID)
	fields := []detail{{"id", n.ID}, {"name", n.Name}, {"status", n.Status.String()}, {"answers", yesNo(all.Live(n.ID))}, {"zone", n.Zone},
		{"client-address", n.ClientAddr}, {"cluster-address", n.ClusterAddr}, {"peer-address", n.PeerAddr}, {"meta", metaRole(all, n.ID)},
		{"leads", len(leads)}, {"follows", len(follows)}}
	c.details(append(append(fields, nodeFigures(all, n.ID)...), more...))
}

// groupsOf are the partitions that a node leads, and the others of which it has replicas, as it says itself.
func groupsOf(all *cluster.Overview, node string) (leads, follows []uint32) {
	for i := range all.State.Ranges {
		id := all.State.Ranges[i].ID
		switch said := all.Replica(node, id); {
		case said == nil:
		case said.Leads:
			leads = append(leads, id)
		default:
			follows = append(follows, id)
		}
	}
	return leads, follows
}

// metaRole is what a node is to the meta group.
func metaRole(all *cluster.Overview, node string) string {
	if leader, _ := all.Leader(fsm.Meta); leader == node {
		return "leader"
	}
	for _, id := range all.State.MetaVoters {
		if id == node {
			return "voter"
		}
	}
	if n := all.State.Node(node); n != nil && n.Status != placement.Left {
		return "follower"
	}
	return "none"
}

func parseNodeInfo(p *parser) request {
	name := string(p.next())
	return p.operate(func(ctx context.Context, c *call, o Operators) error {
		all, err := o.Overview(ctx)
		if err != nil {
			return err
		}
		n, err := all.Find(name)
		if err != nil {
			return err
		}
		leads, follows := groupsOf(all, n.ID)
		more := []detail{{"partitions-led", leads}, {"partitions-followed", follows}}
		if n.Status == placement.Draining || n.Status == placement.Leaving {
			done, total := all.Drained(n.ID)
			more = append(more, detail{"drained", fmt.Sprintf("%d of %d", done, total)}, detail{"waits-for", waitsFor(all, n.ID, done < total)})
		}
		c.nodeMap(all, n, more)
		return nil
	})
}

// waitsFor tells what keeps a node from being drained.
func waitsFor(all *cluster.Overview, node string, more bool) string {
	if !more {
		return ""
	}
	if err := all.CanLeave(node); err != nil {
		return err.Error()
	}
	return "its replicas are being moved"
}

package commands

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/placement"
)

// Cluster tells which nodes there are, and which of them answers for which slots. *cluster.Node is it.
type Cluster interface {
	// Elsewhere is the cluster port of the node that answers for a slot; empty when that is this node, or nobody is known. It
	// must not wait, and is called for each command on the cluster port.
	Elsewhere(slot uint16) string
	// Topology must not wait.
	Topology() cluster.Topology
	// Follows tells whether this node has a replica of a slot's partition, led here or not. It must not wait.
	Follows(slot uint16) bool
	// ReadReplicas runs operations for a session that takes reads that are somewhat stale, see cluster.Node.
	ReadReplicas(ctx context.Context, s *cluster.ReplicaSession, ops []op.Op, whole bool) (out []op.Outcome, ok bool)
	// Staleness is the bound of what replicas answer.
	Staleness() time.Duration
	// ReplicaState is how this node's replica of a partition can be read from. It must not wait.
	ReplicaState(partition uint32) cluster.ReplicaState
}

func clusterRow() Command {
	const flags = "loading stale"
	sub := []Command{
		{Name: "slots", Arity: 2, Since: "3.0.0", Complexity: "O(N) where N is the number of partitions", parse: parseClusterSlots,
			Summary: "Which node answers for which slots: first slot, last slot, and the node's host, port and id. All slots are always there; only nodes that lead are, and after READONLY those with replicas behind them."},
		{Name: "shards", Arity: 2, Since: "7.0.0", Complexity: "O(N) where N is the number of partitions", parse: parseClusterShards,
			Summary: "As SLOTS, by node: a map of slots and nodes each."},
		{Name: "nodes", Arity: 2, Since: "3.0.0", Complexity: "O(N) where N is the number of partitions", parse: parseClusterNodes,
			Summary: "All nodes, a line each, in the form of Redis Cluster; see NODE LIST for more."},
		{Name: "info", Arity: 2, Since: "3.0.0", Complexity: "O(N) where N is the number of partitions", parse: parseClusterInfo,
			Summary: "The cluster's figures in the form of Redis Cluster. cluster_state is ok while every slot has a leader that this node knows."},
		{Name: "myid", Arity: 2, Since: "3.0.0", Summary: "The id of this node.", parse: parseClusterMyID},
		{Name: "myshardid", Arity: 2, Since: "7.2.0", Summary: "As MYID.", parse: parseClusterMyID},
		{Name: "keyslot", Arity: 3, Syntax: "key", Since: "3.0.0", Complexity: "O(N) where N is the number of bytes in the key", parse: parseClusterKeySlot,
			Summary: "The slot of a name."},
		{Name: "countkeysinslot", Arity: 3, Syntax: "slot", Since: "3.0.0", parse: parseCountKeysInSlot,
			Complexity: "O(N) where N is the number of keys in the slot", Summary: "How many keys a slot has, wherever it is led."},
		{Name: "getkeysinslot", Arity: 4, Syntax: "slot count", Since: "3.0.0", parse: parseGetKeysInSlot,
			Complexity: "O(N) where N is the number of keys asked for", Summary: "Keys of a slot, in order, wherever it is led."},
		{Name: "replicas", Arity: 3, Flags: "admin " + flags, Syntax: "node-id", Since: "5.0.0", Summary: "Always empty: every node leads some slots and follows in others. See PARTITION LIST.", parse: parseEmptyArray},
		{Name: "slaves", Arity: 3, Flags: "admin " + flags, Syntax: "node-id", Since: "3.0.0", Summary: "As REPLICAS.", parse: parseEmptyArray},
		{Name: "help", Arity: 2, Since: "5.0.0", Summary: "The subcommands.", parse: parseHelp("cluster")},
	}
	for i := range sub {
		if sub[i].Complexity == "" {
			sub[i].Complexity = "O(1)"
		}
	}
	return Command{Name: "cluster", Arity: -2, Flags: flags, Since: "3.0.0", Complexity: "Depends on subcommand.",
		Summary: "What cluster-aware clients ask.", Sub: sub}
}

func clusterRows() []Command {
	const fast = "loading stale fast"
	return append(grouped("cluster", "", []Command{
		clusterRow(),
		nodeRow(),
		partitionRow(),
	}), grouped("cluster", "connection", []Command{
		{Name: "asking", Arity: 1, Flags: fast, Since: "3.0.0", Summary: "OK, without effect: slots do not move key by key.", parse: parseOK},
		{Name: "readonly", Arity: 1, Flags: fast, Since: "3.0.0", Complexity: "O(1)", Summary: "On the cluster port: from now on this node's replicas answer reads of single names, no staler than the setting replica-staleness-ms-max. On the other port: OK, without effect.", direct: startReplicaReads},
		{Name: "readwrite", Arity: 1, Flags: fast, Since: "3.0.0", Complexity: "O(1)", Summary: "Takes READONLY back.", direct: endReplicaReads},
	})...)
}

func parseOK(*parser) request { return replyLocalOK }

// endpoint is where cluster-aware clients reach a node. Of this node it is at least where the client has reached it.
func (c *call) endpoint(t *cluster.Topology, place int) (host string, port int) {
	addr := t.Nodes[place].ClusterAddr
	if addr == "" && place == t.Self {
		addr = c.s.conn.Local
		if host, _, err := net.SplitHostPort(addr); err == nil && !c.s.conn.Cluster {
			addr = net.JoinHostPort(host, strconv.Itoa(c.s.h.backend.Info().ClusterPort))
		}
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

func parseClusterSlots(*parser) request {
	return request{local: func(c *call) {
		t := c.s.h.cluster.Topology()
		c.w.Array(len(t.Slots))
		for _, r := range t.Slots {
			nodes := []int{r.Node}
			if c.s.replicas != nil {
				nodes = append(nodes, r.Replicas...)
			}
			c.w.Array(2 + len(nodes))
			c.w.Int(int64(r.From))
			c.w.Int(int64(r.To))
			for _, place := range nodes {
				c.slotNode(&t, place)
			}
		}
	}}
}

func (c *call) slotNode(t *cluster.Topology, place int) {
	host, port := c.endpoint(t, place)
	c.w.Array(4)
	c.w.BulkString(host)
	c.w.Int(int64(port))
	c.w.BulkString(t.Nodes[place].ID)
	c.w.Map(0)
}

// slotsOf are the slots for which each node answers, in order.
func slotsOf(t *cluster.Topology) [][]cluster.SlotRange {
	of := make([][]cluster.SlotRange, len(t.Nodes))
	for _, r := range t.Slots {
		if had := of[r.Node]; len(had) > 0 && had[len(had)-1].To+1 == r.From {
			had[len(had)-1].To = r.To
			continue
		}
		of[r.Node] = append(of[r.Node], r)
	}
	return of
}

func parseClusterShards(*parser) request {
	return request{local: func(c *call) {
		t := c.s.h.cluster.Topology()
		of := slotsOf(&t)
		c.w.Array(len(t.Nodes))
		for place, slots := range of {
			c.w.Map(2)
			c.w.BulkString("slots")
			c.w.Array(2 * len(slots))
			for _, r := range slots {
				c.w.Int(int64(r.From))
				c.w.Int(int64(r.To))
			}
			c.w.BulkString("nodes")
			c.w.Array(1)
			c.shardNode(&t, place)
		}
	}}
}

func (c *call) shardNode(t *cluster.Topology, place int) {
	host, port := c.endpoint(t, place)
	c.w.Map(7)
	c.field("id", t.Nodes[place].ID)
	c.w.BulkString("port")
	c.w.Int(int64(port))
	c.field("ip", host)
	c.field("endpoint", host)
	c.field("role", "master")
	c.w.BulkString("replication-offset")
	c.w.Int(0)
	health := "online"
	if silent(t, place) {
		health = "fail"
	}
	c.field("health", health)
}

// silent tells whether a node has stopped to answer this one.
func silent(t *cluster.Topology, place int) bool { return place < len(t.Silent) && t.Silent[place] }

// field writes a text of a map.
func (c *call) field(name, value string) {
	c.w.BulkString(name)
	c.w.BulkString(value)
}

func parseClusterNodes(*parser) request {
	return request{local: func(c *call) {
		t := c.s.h.cluster.Topology()
		of := slotsOf(&t)
		var b strings.Builder
		for place := range t.Nodes {
			c.nodeLine(&b, &t, place, of[place])
		}
		c.w.Verbatim("txt", b.String())
	}}
}

func (c *call) nodeLine(b *strings.Builder, t *cluster.Topology, place int, slots []cluster.SlotRange) {
	n := &t.Nodes[place]
	host, port := c.endpoint(t, place)
	_, bus, _ := net.SplitHostPort(n.PeerAddr)
	flags := "master"
	link := "connected"
	switch {
	case place == t.Self:
		flags = "myself,master"
	case silent(t, place):
		flags, link = "master,fail?", "disconnected"
	}
	if bus == "" {
		bus = "0"
	}
	epoch := strconv.FormatUint(t.Epoch, 10)
	b.WriteString(n.ID + " " + host + ":" + strconv.Itoa(port) + "@" + bus + " " + flags + " - 0 0 " + epoch + " " + link)
	for _, r := range slots {
		b.WriteString(" " + strconv.Itoa(int(r.From)))
		if r.To > r.From {
			b.WriteString("-" + strconv.Itoa(int(r.To)))
		}
	}
	b.WriteString("\n")
}

func parseClusterInfo(*parser) request {
	return request{local: func(c *call) {
		t := c.s.h.cluster.Topology()
		led, size := 0, 0
		for _, r := range t.Slots {
			if r.Led {
				led += int(r.To) - int(r.From) + 1
			}
		}
		for _, slots := range slotsOf(&t) {
			if len(slots) > 0 {
				size++
			}
		}
		state := "ok"
		if led < op.Slots {
			state = "fail"
		}
		var b strings.Builder
		for _, f := range []Field{{"cluster_state", state}, number("cluster_slots_assigned", op.Slots), number("cluster_slots_ok", led),
			number("cluster_slots_pfail", 0), number("cluster_slots_fail", op.Slots-led), number("cluster_known_nodes", len(t.Nodes)), number("cluster_size", size),
			{"replica_staleness_ms_max", strconv.FormatInt(c.s.h.cluster.Staleness().Milliseconds(), 10)}, {"cluster_current_epoch", strconv.FormatUint(t.Epoch, 10)}, {"cluster_my_epoch", strconv.FormatUint(t.Epoch, 10)}} {
			b.WriteString(f.Name + ":" + f.Value + "\r\n")
		}
		c.w.Verbatim("txt", b.String())
	}}
}

func parseClusterMyID(*parser) request {
	return request{local: func(c *call) {
		t := c.s.h.cluster.Topology()
		c.w.BulkString(t.Nodes[t.Self].ID)
	}}
}

func parseClusterKeySlot(p *parser) request {
	slot := op.Slot(p.next())
	return request{local: func(c *call) { c.w.Int(int64(slot)) }}
}

// slotBounds are the positions from the first of a slot to that behind its last one; the zero Position: to the end.
func (p *parser) slotBounds() (from, to op.Position) {
	slot := p.int()
	if slot < 0 || slot >= op.Slots {
		p.fail("ERR Invalid slot")
		return from, to
	}
	if slot+1 < op.Slots {
		to.Slot = uint16(slot + 1)
	}
	return op.Position{Slot: uint16(slot)}, to
}

func parseCountKeysInSlot(p *parser) request {
	o := &op.Count{Space: op.SpaceKey}
	o.From, o.To = p.slotBounds()
	return one(o, replyInt)
}

func parseGetKeysInSlot(p *parser) request {
	o := op.Scan{Space: op.SpaceKey, MaxBytes: uint32(p.h.limits.PageBytes)}
	o.From, o.To = p.slotBounds()
	n := p.int()
	if n < 0 || n > int64(p.h.limits.PageItems) {
		p.fail("ERR Invalid number of keys")
	}
	o.Limit = uint32(n)
	return request{run: func(ctx context.Context, c *call) error {
		keys, err := c.firstKeys(ctx, o)
		if err != nil {
			return err
		}
		c.w.Array(len(keys))
		for _, key := range keys {
			c.w.Bulk(key)
		}
		return nil
	}}
}

// firstKeys are the names of a scan up to its limit. It may take several pages.
func (c *call) firstKeys(ctx context.Context, o op.Scan) (keys [][]byte, err error) {
	for o.Limit > 0 {
		page, err := c.one(ctx, &o)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			keys = append(keys, page.Items[i].Key)
		}
		if page.Next == nil {
			break
		}
		next := o
		next.From, next.Limit = *page.Next, o.Limit-uint32(len(page.Items))
		o = next
	}
	return keys, nil
}

// alone is the Cluster of a node that knows no others: it answers for everything.
type alone struct{ backend Backend }

func (alone) Elsewhere(uint16) string { return "" }

func (alone) Follows(uint16) bool { return true }

func (alone) Staleness() time.Duration { return 0 }

func (alone) ReplicaState(uint32) cluster.ReplicaState { return cluster.ReplicaState{} }

func (a alone) ReadReplicas(ctx context.Context, _ *cluster.ReplicaSession, ops []op.Op, whole bool) ([]op.Outcome, bool) {
	if whole {
		return nil, false
	}
	return a.backend.Do(ctx, ops), true
}

func (a alone) Topology() cluster.Topology {
	return cluster.Topology{Nodes: []placement.Node{{ID: a.backend.Info().NodeID, Status: placement.Active}},
		Slots: []cluster.SlotRange{{From: 0, To: op.Slots - 1, Led: true}}}
}

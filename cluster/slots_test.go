package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// agree tells why the nodes do not say the same of all slots: the leader that it is for it, the others where it is.
func agree(c *clustertest.Cluster, not int) error {
	for i, n := range c.Nodes {
		if n == nil {
			continue
		}
		t := n.Topology()
		next := 0
		for _, r := range t.Slots {
			if int(r.From) != next || r.To < r.From {
				return fmt.Errorf("node %d: slots from %d to %d come behind %d", i, r.From, r.To, next-1)
			}
			next = int(r.To) + 1
			if !r.Led {
				return fmt.Errorf("node %d knows no leader for slot %d", i, r.From)
			}
			if t.Nodes[r.Node].Name == fmt.Sprint("n", not) {
				return fmt.Errorf("node %d sends clients to node %d", i, not)
			}
			if err := agreeOn(c, i, r, t.Nodes[r.Node].ClusterAddr); err != nil {
				return err
			}
		}
		if next != op.Slots {
			return fmt.Errorf("node %d tells of %d slots", i, next)
		}
	}
	return nil
}

func agreeOn(c *clustertest.Cluster, teller int, r cluster.SlotRange, addr string) error {
	for i, n := range c.Nodes {
		if n == nil {
			continue
		}
		for _, slot := range []uint16{r.From, r.To} {
			to, own := n.Elsewhere(slot), fmt.Sprint("cluster:", i)
			if own == addr && to != "" || own != addr && to != addr {
				return fmt.Errorf("node %d sends slot %d to %q, node %d says %s", i, slot, to, teller, addr)
			}
		}
	}
	return nil
}

// Clients are sent to leaders, never to the node that they have asked, and after a change of leaders to the new ones: by nodes
// that have no replica of a partition too.
func TestClientsAreSentToLeaders(t *testing.T) {
	inCluster(t, 4, 6, func(t *testing.T, c *clustertest.Cluster) {
		c.Wait(func() error { return agree(c, -1) })
		leader := c.AwaitLeader(1)
		to := -1
		for i, n := range c.Nodes {
			if i != leader && n.Replica(1) != nil {
				to = i
			}
		}
		if err := c.Nodes[leader].Lead(t.Context(), 1, fmt.Sprint("n", to)); err != nil {
			t.Fatal(err)
		}
		c.Wait(func() error {
			if c.Nodes[leader].Elsewhere(0) == "" {
				return errors.New("it still takes itself for the leader")
			}
			return agree(c, -1)
		})
		c.Stop(to)
		for _, n := range c.Nodes {
			if n != nil {
				covered(t, n.Topology())
			}
		}
		c.Wait(func() error { return agree(c, to) })
	})
}

// covered sees that all slots have a node, whoever leads.
func covered(t *testing.T, all cluster.Topology) {
	t.Helper()
	next := 0
	for _, r := range all.Slots {
		if int(r.From) != next {
			t.Errorf("slots from %d on are missing", next)
		}
		next = int(r.To) + 1
	}
	if next != op.Slots {
		t.Errorf("slots from %d on are missing", next)
	}
}

// A node that is no member of a cluster yet answers for all slots.
func TestSlotsOfAStartingNode(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 2)
		cfg.Join = []string{"nowhere"}
		n, err := cluster.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer clustertest.Close(t, n)
		all := n.Topology()
		covered(t, all)
		if all.Nodes[all.Self].ID != n.Stats().NodeID || n.Elsewhere(77) != "" {
			t.Errorf("%+v", all)
		}
	})
}

package cluster_test

import (
	"testing"

	"kahuna/cluster/clustertest"
)

// All nodes may be given the same list: a node passes over itself, those that are not in yet, and those that do not answer.
func TestJoinByAListOfAllNodes(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		c.Nodes = append(c.Nodes, nil, nil)
		for i := 1; i <= 2; i++ {
			cfg := c.Config(i)
			cfg.Join = []string{clustertest.Address(2), clustertest.Address(1), clustertest.Address(9), clustertest.Address(0)}
			c.OpenWith(i, cfg)
		}
		for i := 1; i <= 2; i++ {
			c.WaitReady(i)
		}
		c.WaitPlaced()
		c.Do(2, set("a", "1"))
		if nodes := c.Nodes[2].Router().State().Members(); len(nodes) != 3 {
			t.Errorf("the members are %v", nodes)
		}
	})
}

// A cluster all of whose nodes have got other addresses finds together by the list that they are given.
func TestAllNodesMove(t *testing.T) {
	inCluster(t, 3, 2, func(t *testing.T, c *clustertest.Cluster) {
		c.Do(0, set("a", "1"))
		for i := range c.Nodes {
			c.Stop(i)
		}
		moved := func(i int) string { return clustertest.Address(10 + i) }
		for i := range c.Nodes {
			cfg := c.Config(i)
			cfg.Network = c.Net.Node(moved(i))
			cfg.Join = []string{moved(0), moved(1), moved(2)}
			c.OpenWith(i, cfg)
		}
		for i := range c.Nodes {
			c.WaitReady(i)
			out := c.Do(i, get("a"))
			for tries := 0; out[0].Err != nil && tries < 6; tries++ { // each takes seconds: leaders may still change
				out = c.Do(i, get("a"))
			}
			if string(out[0].Value) != "1" {
				t.Errorf("node %d reads %q, %v", i, out[0].Value, out[0].Err)
			}
		}
	})
}

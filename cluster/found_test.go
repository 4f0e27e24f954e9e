package cluster_test

import (
	"testing"
	"time"

	"kahuna/cluster/clustertest"
)

// A node that has asked to join a cluster, and was taken in without hearing of it, makes no cluster of its own when it is started
// without the setting; with it, it is a member.
func TestWhoAskedToJoinFoundsNothing(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		c.Nodes = append(c.Nodes, nil)
		c.Net.Cut(clustertest.Address(0), clustertest.Address(1))
		cfg := c.Config(1)
		c.OpenWith(1, cfg)
		time.Sleep(2 * time.Second)
		c.Stop(1)
		c.Net.Heal()
		c.Net.CutBoth(clustertest.Address(0), clustertest.Address(1))
		alone := c.Config(1)
		alone.Join = nil
		c.OpenWith(1, alone)
		time.Sleep(5 * time.Second)
		if err := c.Nodes[1].Ready(); err == nil {
			t.Error("it serves a cluster of its own")
		}
		c.Stop(1)
		c.Net.Heal()
		c.Open(1)
		c.WaitReady(1)
		if a, b := c.Nodes[0].Stats().ClusterID, c.Nodes[1].Stats().ClusterID; a != b {
			t.Errorf("clusters %s and %s", a, b)
		}
	})
}

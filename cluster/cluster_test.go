package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/placement"
)

// inCluster runs a test on nodes that are joined by a network with faults, in a bubble.
func inCluster(t *testing.T, nodes, partitions int, test func(t *testing.T, c *clustertest.Cluster)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Start(t, dir, nodes, partitions)
		defer c.Close()
		test(t, c)
	})
}

// spread gives every partition a replica on every node.
func spread(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	err := c.Nodes[0].Documents().Change(context.Background(), "cluster", func(value []byte) ([]byte, error) {
		s, err := placement.Decode(value)
		if err != nil {
			return nil, err
		}
		s.MetaVoters = s.Members()
		for i := range s.Ranges {
			s.Ranges[i].Replicas = s.Members()
		}
		return s.Encode(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.WaitPlaced()
}

func TestAnyNodeAnswers(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 60 {
			c.Do(i%3, set(fmt.Sprint("k", i), fmt.Sprint(i)))
			if out := c.Do((i+1)%3, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(i) {
				t.Fatalf("node %d reads %q after node %d wrote %d", (i+1)%3, out[0].Value, i%3, i)
			}
		}
		spread(t, c)
		last := c.Do(2, set("k1", "again"))[0].TS
		_ = last
		if out := c.Do(1, get("k1")); string(out[0].Value) != "again" {
			t.Errorf("after the replicas were added: %q", out[0].Value)
		}
	})
}

var _ = cluster.ErrTryAgain

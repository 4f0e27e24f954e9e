package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"kahuna/cluster/clustertest"
	"kahuna/placement"
)

// takeAway has the cluster's state give a partition to all nodes but one, and waits until that one's replica is gone.
func takeAway(t *testing.T, c *clustertest.Cluster, id uint32, from int) {
	t.Helper()
	node := c.Nodes[from].Stats().NodeID
	gone := c.Nodes[from].Replica(id)
	err := c.Nodes[0].Documents().Change(t.Context(), "cluster", func(value []byte) ([]byte, error) {
		s, err := placement.Decode(value)
		if err != nil {
			return nil, err
		}
		for i := range s.Ranges {
			if r := &s.Ranges[i]; r.ID == id {
				r.Replicas = slices.DeleteFunc(slices.Clone(r.Replicas), func(n string) bool { return n == node })
			}
		}
		return s.Encode(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Wait(func() error {
		if c.Nodes[from].Replica(id) == gone {
			return errors.New("the replica is still there")
		}
		return nil
	})
}

// A replica that was removed from a node and comes back there is a new one, with a log of its own, which a restart must not take
// for what the old one has left.
func TestAReplicaComesBack(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		away := (c.AwaitLeader(1) + 1) % 3
		for round := range 2 {
			for i := range 10 {
				c.Do(i%3, set(fmt.Sprint("k", i), fmt.Sprint(round, i)))
			}
			takeAway(t, c, 1, away)
			c.WaitReady(away) // the planner gives it back: there are too few replicas
			c.WaitPlaced()
			c.Stop(away)
			c.Open(away)
			c.WaitReady(away)
			for i := range 10 {
				if out := c.Do(away, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(round, i) {
					t.Fatalf("k%d is %q", i, out[0].Value)
				}
			}
		}
	})
}

// A node that has lost its directory comes back as another one at the same address. It takes the lost one's place.
func TestANodeIsMadeAnewAtItsAddress(t *testing.T) {
	inCluster(t, 3, 2, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 10 {
			c.Do(i%3, set(fmt.Sprint("k", i), fmt.Sprint(i)))
		}
		lost := c.Nodes[2].Stats().NodeID
		c.Stop(2)
		cfg := c.Config(2)
		cfg.DataDir, cfg.RandomID = t.TempDir(), func() string { return fmt.Sprintf("%040x", 77) }
		c.OpenWith(2, cfg)
		c.WaitReady(2)
		c.Wait(func() error {
			for _, n := range c.Nodes[0].Router().State().Nodes {
				if n.ID == lost && n.Status != placement.Left {
					return fmt.Errorf("the lost node is %v", n.Status)
				}
			}
			return nil
		})
		c.WaitPlaced()
		c.Stop(0)
		for i := range 10 {
			if out := c.Do(1+i%2, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(i) {
				t.Fatalf("k%d is %q", i, out[0].Value)
			}
		}
	})
}

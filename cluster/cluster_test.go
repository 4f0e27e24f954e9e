package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/fsm"
	"kahuna/op"
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

func TestAnyNodeAnswers(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 60 {
			c.Do(i%3, set(fmt.Sprint("k", i), fmt.Sprint(i)))
			if out := c.Do((i+1)%3, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(i) {
				t.Fatalf("node %d reads %q after node %d wrote %d", (i+1)%3, out[0].Value, i%3, i)
			}
		}
		var last op.Timestamp
		for i := range 30 {
			ts, err := c.Nodes[i%3].Router().Now(t.Context(), 3)
			if err != nil || ts <= last {
				t.Fatalf("timestamp %d after %d, %v", ts, last, err)
			}
			last = ts + 2
		}
	})
}

// A node that stops takes nothing with it: what was written is there, every partition takes writes again, and who writes through
// the others sees no error, and each write once.
func TestANodeIsLost(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 40 {
			c.Do(i%3, set(fmt.Sprint("k", i), fmt.Sprint(i)))
		}
		for victim := range 3 {
			leads := c.Leader(fsm.Meta) == victim
			for id := uint32(1); id <= 4; id++ {
				leads = leads || c.Leader(id) == victim
			}
			c.Stop(victim)
			for i := range 40 {
				key, value := fmt.Sprint("k", i), fmt.Sprint(victim, "-", i)
				other := (victim + 1 + i%2) % 3
				c.Do(other, set(key, value))
				if got := c.Do(other, &op.Incr{Key: []byte("count"), Delta: 1})[0].Int; got != int64(victim*40+i+1) {
					t.Fatalf("the counter is %d after %d increments", got, victim*40+i+1)
				}
				if out := c.Do(other, get(key)); string(out[0].Value) != value {
					t.Fatalf("without node %d: %s is %q", victim, key, out[0].Value)
				}
			}
			if !leads {
				t.Logf("node %d led nothing", victim)
			}
			c.Open(victim)
			c.WaitReady(victim)
			c.WaitPlaced()
		}
	})
}

// A fourth node takes over what a dead one had.
func TestADeadNodeIsReplaced(t *testing.T) {
	inCluster(t, 4, 6, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 40 {
			c.Do(i%4, set(fmt.Sprint("k", i), fmt.Sprint(i)))
		}
		victim := c.AwaitLeader(1)
		dead := c.Nodes[victim].Stats().NodeID
		c.Stop(victim)
		c.Wait(func() error {
			for i, n := range c.Nodes {
				if n == nil {
					continue
				}
				for _, r := range n.Router().State().Ranges {
					for _, id := range r.Replicas {
						if id == dead {
							return fmt.Errorf("node %d: partition %d is still to be on node %d", i, r.ID, victim)
						}
					}
				}
			}
			return nil
		})
		c.Wait(func() error {
			for _, n := range c.Nodes {
				if n != nil && n.Placed() != nil {
					return n.Placed()
				}
			}
			return nil
		})
		for i := range 40 {
			if out := c.Do((victim+1+i%3)%4, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(i) {
				t.Fatalf("k%d is %q", i, out[0].Value)
			}
		}
		time.Sleep(time.Second)
	})
}

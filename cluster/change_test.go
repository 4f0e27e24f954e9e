package cluster_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// Whoever leads, and however often that changes, each write ends without an error and takes effect once: what was forwarded is sent
// again under its number, and a leader that was deposed finds out what has become of what it had proposed.
func TestWritesSurviveChangesOfTheLeader(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprint("cut off ", cut), func(t *testing.T) {
			inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) { changeLeaders(t, c, cut) })
		})
	}
}

func changeLeaders(t *testing.T, c *clustertest.Cluster, cut bool) {
	stop := make(chan struct{})
	ended := make(chan int, 3)
	for i := range 3 {
		go func() {
			done := 0
			for ; ; done++ {
				select {
				case <-stop:
					ended <- done
					return
				default:
				}
				out := c.Nodes[i].Router().Do(t.Context(), []op.Op{&op.Incr{Key: []byte(fmt.Sprint("count", i)), Delta: 1}})[0]
				if out.Err != nil || out.Int != int64(done+1) {
					t.Errorf("node %d, increment %d: %d, %v", i, done, out.Int, out.Err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	changes, last := 0, -1
	for range 8 {
		c.Wait(func() error {
			if c.Leader(1) < 0 {
				return errors.New("nobody leads")
			}
			return nil
		})
		leader := c.Leader(1)
		if leader != last {
			changes, last = changes+1, leader
		}
		if cut {
			c.Net.Isolate(clustertest.Address(leader))
			time.Sleep(400 * time.Millisecond)
			c.Net.Heal()
		} else if err := c.Nodes[leader].Lead(t.Context(), 1, c.Nodes[(leader+1)%3].Stats().NodeID); err != nil {
			t.Log(err)
		}
		time.Sleep(time.Second)
	}
	close(stop)
	total := 0
	for range 3 {
		total += <-ended
	}
	if changes < 4 || total < 40 {
		t.Errorf("the leader changed %d times, %d writes", changes, total)
	}
	t.Logf("%d changes of the leader, %d writes", changes, total)
}

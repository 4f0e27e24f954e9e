package cluster_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/fsm"
	"kahuna/op"
)

func position(key string) *op.Position {
	return &op.Position{Slot: op.Slot([]byte(key)), Name: []byte(key)}
}

// split splits a partition through a node, and returns the child.
func split(t *testing.T, c *clustertest.Cluster, through int, id uint32, at *op.Position) (child uint32) {
	t.Helper()
	c.Wait(func() (err error) {
		child, err = c.Nodes[through].Split(t.Context(), id, at)
		return err
	})
	return child
}

// names writes keys with values that say their names, and tells whether all are there, by a scan too.
type names struct {
	t   *testing.T
	c   *clustertest.Cluster
	all []string
}

func (n *names) write(through int, count int, form string) {
	n.t.Helper()
	for i := range count {
		key := fmt.Sprintf(form, i)
		n.c.Do(through, set(key, "v"+key))
		n.all = append(n.all, key)
	}
}

func (n *names) check(through int) {
	n.t.Helper()
	for _, key := range n.all {
		if out := n.c.Do(through, get(key)); string(out[0].Value) != "v"+key {
			n.t.Fatalf("%s is %q", key, out[0].Value)
		}
	}
	out := n.c.Do(through, &op.Count{Space: op.SpaceKey}, &op.Scan{Space: op.SpaceKey, Limit: 1 << 20}, &op.Scan{Space: op.SpaceKey, Limit: 1 << 20, ByName: true})
	if out[0].Int != int64(len(n.all)) || len(out[1].Items) != len(n.all) || len(out[2].Items) != len(n.all) {
		n.t.Fatalf("%d keys are counted, %d and %d listed, of %d", out[0].Int, len(out[1].Items), len(out[2].Items), len(n.all))
	}
	for i := range out[1].Items[1:] {
		a, b := out[1].Items[i].Key, out[1].Items[i+1].Key
		if fsm.Compare(*position(string(a)), *position(string(b))) >= 0 {
			n.t.Fatalf("%q before %q", a, b)
		}
	}
}

// A partition is split at a slot, at a name, and in the middle, and all that was there is there, on every node, before and after a
// restart of all of them.
func TestSplit(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		inCluster(t, nodes, 1, func(t *testing.T, c *clustertest.Cluster) {
			n := &names{t: t, c: c}
			n.write(0, 40, "k%d")
			n.write(0, 40, "{tag}%02d")
			first := split(t, c, nodes-1, 1, nil)
			n.check(nodes - 1)
			n.write(0, 20, "more%d")
			owner := c.Nodes[0].Router().Partition(op.Key([]byte("{tag}")))
			second := split(t, c, 0, owner, position("{tag}20"))
			if first != 2 || second != 3 {
				t.Errorf("the children are %d and %d", first, second)
			}
			n.check(0)
			if a, b := c.Nodes[0].Router().Partition(op.Key([]byte("{tag}19"))), c.Nodes[0].Router().Partition(op.Key([]byte("{tag}20"))); a == b || b != second {
				t.Errorf("names of one slot are in %d and %d", a, b)
			}
			n.write(0, 20, "{tag}x%02d")
			for i := range c.Nodes {
				n.check(i)
			}
			sameEverywhere(t, c)
			for i := range c.Nodes {
				c.Stop(i)
			}
			for i := range c.Nodes {
				c.Open(i)
			}
			for i := range c.Nodes {
				c.WaitReady(i)
			}
			n.check(0)
			sameEverywhere(t, c)
		})
	}
}

// sameEverywhere waits until all partitions know how many names they have, and compares what replicas have stored.
func sameEverywhere(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	c.WaitPlaced()
	for i := range c.Nodes {
		c.WaitReady(i)
		c.Wait(func() error {
			for _, r := range c.Nodes[i].Replicas() {
				if s := r.Machine().State(); s.Uncounted && r.ID() != fsm.Meta {
					return fmt.Errorf("partition %d is not counted on node %d", r.ID(), i)
				}
			}
			return nil
		})
	}
	time.Sleep(5 * time.Second) // virtual: everything is applied everywhere
	streams := map[uint32][]byte{}
	for i, node := range c.Nodes {
		if found, err := node.Inspect(); err != nil || len(found.Wrong) > 0 {
			t.Errorf("node %d: %v, %v", i, found.Wrong, err)
		}
		for _, r := range node.Replicas() {
			if r.ID() == fsm.Meta {
				continue // the clock goes on
			}
			var b bytes.Buffer
			if _, err := r.Machine().Snapshot(&b); err != nil {
				t.Fatal(err)
			}
			if other, ok := streams[r.ID()]; ok && !bytes.Equal(other, b.Bytes()) {
				t.Errorf("partition %d is another one on node %d", r.ID(), i)
			}
			streams[r.ID()] = b.Bytes()
		}
	}
	s := c.Nodes[0].Router().State()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	for _, r := range s.Ranges {
		for i := range c.Nodes {
			replica := c.Nodes[i].Replica(r.ID)
			if replica == nil {
				continue
			}
			if is := replica.Machine().State(); fsm.Compare(is.From, r.From) != 0 || fsm.Compare(is.To, r.To) != 0 || is.Epoch != r.Epoch {
				t.Errorf("partition %d is %v to %v at epoch %d on node %d, and %v in the map", r.ID, is.From, is.To, is.Epoch, i, r)
			}
		}
	}
}

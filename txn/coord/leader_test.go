package coord_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/placement"
	"kahuna/txn/coord"
)

// The partitions of a transaction change their leaders at each step of it, before it and after it. It is there everywhere or
// nowhere, from every node, and what was said of it is true.
func TestFracturedExec(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Start(t, dir, 3, 2)
		defer c.Close()
		everywhere(t, c)
		s := &steps{Router: c.Nodes[0].Router()}
		o := coord.DefaultOptions()
		tc := coord.New(s, o)
		defer tc.Close()
		a, b := "key0", ""
		for i := 1; b == ""; i++ {
			if k := fmt.Sprint("key", i); s.Partition(op.Key([]byte(k))) != s.Partition(op.Key([]byte(a))) {
				b = k
			}
		}
		moved, n := 0, 0
		move := func() error {
			for id := uint32(1); id <= 2; id++ {
				moved += changeLeader(c, id)
			}
			return nil
		}
		for _, step := range []string{"prepare", "commit", "prewrite", "check", "decide", "resolve"} {
			for _, after := range []bool{false, true} {
				n++
				v, done := fmt.Sprint(n), false
				hook := func(at string, _ []op.Op) error {
					if at == step && !done {
						done = true
						return move()
					}
					return nil
				}
				if s.set(hook, nil); after {
					s.set(nil, hook)
				}
				var err error
				if ops := []op.Op{get("other"), set(a, v), set(b, v)}; step == "prepare" || step == "commit" {
					_, _, err = tc.Atomic(context.Background(), ops, nil)
				} else {
					_, err = transact(tc, ops...)
				}
				s.set(nil, nil)
				for node := range c.Nodes {
					out := c.Do(node, get(a), get(b))
					has := text(out[0])
					if has != text(out[1]) {
						t.Errorf("%s: node %d has %q and %q", step, node, has, text(out[1]))
					}
					if uncertain := errors.Is(err, cluster.ErrUncertain); !uncertain && (err == nil) != (has == v) {
						t.Errorf("%s: it ended with %v, and node %d has %q", step, err, node, has)
					}
				}
			}
		}
		if moved < 8 {
			t.Errorf("only %d leaders were changed", moved)
		}
	})
}

// everywhere gives every partition a replica on every node.
func everywhere(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	err := c.Nodes[0].Documents().Change(context.Background(), "cluster", func(value []byte) ([]byte, error) {
		s, err := placement.Decode(value)
		if err != nil {
			return nil, err
		}
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

// changeLeader gives a partition another leader. It tells how many were changed: 1, or 0 when nobody wanted to.
func changeLeader(c *clustertest.Cluster, id uint32) int {
	for i, n := range c.Nodes {
		r := n.Replica(id)
		if r == nil || !r.Leads() {
			continue
		}
		next := c.Nodes[(i+1)%len(c.Nodes)]
		if r.Group().TransferLeadership(context.Background(), next.Stats().NodeID) == nil {
			return 1
		}
	}
	return 0
}

package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
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

// Who waits for a lock that goes to another partition goes on waiting there, and the lock's holder keeps it.
func TestWaiterGoesWithItsLock(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		lock := func(owner string) *op.LockAcquire {
			return &op.LockAcquire{Name: []byte("deploy"), Owner: []byte(owner), TTLMilli: 60_000}
		}
		token := c.Do(0, lock("a"))[0].Int
		through := (c.Leader(1) + 1) % 3
		got := make(chan op.Outcome, 2)
		for _, i := range []int{through, c.Leader(1)} {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
				defer cancel()
				got <- c.Nodes[i].Router().Wait(ctx, lock(fmt.Sprint("b", i)))
			}()
		}
		c.Wait(func() error {
			if c.Do(0, &op.LockInfo{Name: []byte("deploy")})[0].Int != 2 {
				return errors.New("not all wait")
			}
			return nil
		})
		child := split(t, c, 0, 1, position("deploy"))
		c.Wait(func() error {
			if c.Do(0, &op.LockInfo{Name: []byte("deploy")})[0].Int != 2 {
				return errors.New("not all wait")
			}
			return nil
		})
		if id := c.Nodes[0].Router().Partition(op.Lock([]byte("deploy"))); id != child {
			t.Fatalf("the lock is in partition %d", id)
		}
		for range 2 {
			held := c.Do(0, &op.LockInfo{Name: []byte("deploy")})[0].Lock.Holds
			if len(held) != 1 || held[0].Token < op.Timestamp(token) {
				t.Fatalf("%+v", held)
			}
			token = int64(held[0].Token)
			c.Do(0, &op.LockRelease{Name: []byte("deploy"), Owner: held[0].Owner})
			if out := <-got; out.Err != nil || !out.Done || out.Int <= token {
				t.Fatalf("%+v, %v", out.Result, out.Err)
			}
		}
	})
}

// What was made for one partition and lies in two is refused, whole, by who does not know yet and by who does.
func TestWhatLiesInTwoPartitions(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		c.Do(0, set("{t}1", "1"), set("{t}9", "9"))
		split(t, c, 0, 1, position("{t}5"))
		both := &op.Multi{Ops: []op.Op{set("{t}1", "x"), set("{t}9", "x")}}
		out := c.Nodes[0].Router().Do(t.Context(), []op.Op{both})[0]
		if !errors.Is(out.Err, cluster.ErrParted) || !errors.Is(out.Err, cluster.ErrTryAgain) {
			t.Errorf("%+v, %v", out.Result, out.Err)
		}
		if got := c.Do(0, get("{t}1"), get("{t}9")); string(got[0].Value) != "1" || string(got[1].Value) != "9" {
			t.Errorf("%q and %q", got[0].Value, got[1].Value)
		}
	})
}

// A replica that is made anew is given nothing of what the log has of the former range: it would judge it by the range of now.
func TestReplicaMadeAfterASplit(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		n := &names{t: t, c: c}
		n.write(0, 40, "k%d")
		split(t, c, 0, 1, nil)
		away := (c.Leader(1) + 1) % 3
		takeAway(t, c, 1, away)
		c.WaitReady(away) // the planner gives it back
		n.write(0, 10, "more%d")
		sameEverywhere(t, c)
		n.check(away)
	})
}

// A node that was away during a split, and can't be given the log of that time, gets the parent first, which frees the range of the
// child, and then the child.
func TestNodeThatMissedASplit(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		n := &names{t: t, c: c}
		n.write(0, 40, "k%d")
		away := (c.Leader(1) + 1) % 3
		c.Stop(away)
		here := (away + 1) % 3
		split(t, c, here, 1, nil)
		n.write(here, 40, "more%d")
		for _, node := range c.Nodes {
			for id := uint32(1); node != nil && id < 3; id++ {
				c.Wait(func() error { return node.Replica(id).Group().CompactPast(node.Replica(id).Machine().Applied()) })
			}
		}
		n.write(here, 5, "last%d")
		c.Open(away)
		c.WaitReady(away)
		sameEverywhere(t, c)
		n.check(away)
	})
}

// A split that its leader did not come to end is carried on by the next one, and one that is taken back never happens.
func TestSplitIsTakenBack(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		c.Do(0, set("a", "1"))
		err := c.Nodes[0].Documents().Change(t.Context(), "cluster", func(value []byte) ([]byte, error) {
			s, err := placement.Decode(value)
			if err != nil {
				return nil, err
			}
			next, err := placement.Apply(s, []placement.Step{{Kind: placement.Split, Range: 1, At: op.Position{Slot: 7}},
				{Kind: placement.Cancel, Range: 1}}, 1)
			if err != nil {
				return nil, err
			}
			return next.Encode(), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Wait(func() error {
			if s := c.Nodes[0].Router().State(); s.NextID < 3 || len(s.Changes) > 0 {
				return fmt.Errorf("on its way: %+v", s.Changes)
			}
			return nil
		})
		if s := c.Nodes[0].Replica(1).Machine().State(); s.Epoch != 2 || len(s.Children) > 0 || c.Nodes[0].Replica(2) != nil {
			t.Errorf("%+v", s)
		}
		if child := split(t, c, 0, 1, nil); child != 3 {
			t.Errorf("the next child is %d: an id was used twice", child)
		}
	})
}

func TestSplitIsRefused(t *testing.T) {
	inCluster(t, 1, 2, func(t *testing.T, c *clustertest.Cluster) {
		for what, err := range map[string]error{
			"meta":           second(c.Nodes[0].Split(t.Context(), 0, nil)),
			"unknown":        second(c.Nodes[0].Split(t.Context(), 9, nil)),
			"another's slot": second(c.Nodes[0].Split(t.Context(), 1, &op.Position{Slot: 9000})),
			"its beginning":  second(c.Nodes[0].Split(t.Context(), 2, &op.Position{Slot: 8192})),
		} {
			if !errors.Is(err, cluster.ErrRefused) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func second(_ uint32, err error) error { return err }

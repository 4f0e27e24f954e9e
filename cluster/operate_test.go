package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/placement"
)

// refuses sees that an order is refused, and why.
func refuses(t *testing.T, err error, why string) {
	t.Helper()
	if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), why) {
		t.Errorf("%v, want a refusal: %s", err, why)
	}
}

func overview(t *testing.T, n *cluster.Node) *cluster.Overview {
	t.Helper()
	all, err := n.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// status gives what a node is to the cluster, as the meta group has it.
func status(t *testing.T, n *cluster.Node, node string) placement.NodeStatus {
	t.Helper()
	at, err := overview(t, n).Find(node)
	if err != nil {
		t.Fatal(err)
	}
	return at.Status
}

// A node is drained, gets its share again, leaves for good and stops; what was written stays. What would cost a quorum is refused.
func TestDrainAndLeave(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		for i := range 20 {
			c.Do(0, set(fmt.Sprint("k", i), fmt.Sprint(i)))
		}
		n := c.Nodes[1]
		if err := n.Drain(t.Context(), "n0", false); err != nil {
			t.Fatal(err)
		}
		c.Wait(func() error {
			if done, total := overview(t, n).Drained(c.Nodes[0].Stats().NodeID); done < total || total == 0 || c.Nodes[0].Stats().Replicas > 0 {
				return fmt.Errorf("%d of %d drained, %d replicas left", done, total, c.Nodes[0].Stats().Replicas)
			}
			return nil
		})
		refuses(t, n.Drain(t.Context(), "nobody", false), "no such node")
		c.Wait(func() error { return n.Drain(t.Context(), "n1", false) })
		refuses(t, n.Leave(t.Context(), "n2"), "no other node could keep")
		for _, node := range []string{"n0", "n1"} {
			if err := n.Drain(t.Context(), node, true); err != nil {
				t.Fatal(err)
			}
		}
		c.WaitPlaced()
		leaves(t, c, 2)
		for i := range 20 {
			if out := c.Do(i%2, get(fmt.Sprint("k", i))); string(out[0].Value) != fmt.Sprint(i) {
				t.Errorf("k%d is %q", i, out[0].Value)
			}
		}
	})
}

// leaves has a node leave, which it is told, and sees that it may not come back.
func leaves(t *testing.T, c *clustertest.Cluster, victim int) {
	t.Helper()
	name := fmt.Sprint("n", victim)
	told := c.Expect(victim)
	n := c.Nodes[(victim+1)%3]
	c.Wait(func() error { return n.Leave(t.Context(), name) }) // a leader that is new may not know yet that the others answer
	if err := n.Leave(t.Context(), name); err != nil {
		t.Errorf("said twice: %v", err)
	}
	isTold(t, told)
	c.Wait(func() error {
		if s := status(t, n, c.Nodes[victim].Stats().NodeID); s != placement.Left {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
	c.Stop(victim)
	again := c.Expect(victim)
	switch node, err := cluster.Open(c.Config(victim)); {
	case err == nil: // it was told by another node, and its own log does not know
		c.Net.Up(clustertest.Address(victim))
		isTold(t, again)
		clustertest.Close(t, node)
	case !errors.Is(err, placement.ErrRemoved):
		t.Errorf("the node that was removed starts: %v", err)
	}
}

// isTold waits until a node has stopped because it was removed, for ten virtual minutes at most.
func isTold(t *testing.T, told <-chan error) {
	t.Helper()
	select {
	case err := <-told:
		if !errors.Is(err, placement.ErrRemoved) {
			t.Errorf("the node that was removed stops with %v", err)
		}
	case <-time.After(10 * time.Minute):
		t.Fatal("the node that was removed does not know it")
	}
}

// A dead node leaves as well, where the others are enough; one that comes back afterwards, having heard nothing, is told so.
func TestADeadNodeLeaves(t *testing.T) {
	inCluster(t, 3, 2, func(t *testing.T, c *clustertest.Cluster) {
		n := c.Nodes[0]
		c.Net.Isolate(clustertest.Address(2))
		c.Wait(func() error {
			if overview(t, n).Live(c.Nodes[2].Stats().NodeID) {
				return errors.New("the node answers")
			}
			return nil
		})
		refuses(t, n.Leave(t.Context(), "n1"), "can't leave")
		told := c.Expect(2)
		if err := n.Leave(t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
		c.Wait(func() error {
			if s := status(t, n, c.Nodes[2].Stats().NodeID); s != placement.Left {
				return fmt.Errorf("it is %s", s)
			}
			return n.Placed()
		})
		c.Net.Heal()
		isTold(t, told)
	})
}

// Replicas and leaderships go where an operator wants them, or the order is refused.
func TestMoveAndLead(t *testing.T) {
	inCluster(t, 4, 4, func(t *testing.T, c *clustertest.Cluster) {
		n, ctx := c.Nodes[0], t.Context()
		all := overview(t, n)
		r := all.State.FindRange(1)
		outside := slices.IndexFunc(c.Nodes, func(n *cluster.Node) bool { return !slices.Contains(r.Replicas, n.Stats().NodeID) })
		inside, to := c.AwaitLeader(1), fmt.Sprint("n", outside)
		from := fmt.Sprint("n", inside)
		for why, err := range map[string]error{
			"no such partition": n.Lead(ctx, 99, to), "no replica of it that votes": n.Lead(ctx, 1, to), "no replica of it": n.Move(ctx, 1, to, from),
			"a replica of it already": n.Move(ctx, 1, from, from), "the meta group": n.Move(ctx, 0, from, to), "nodes are called so": n.Lead(ctx, 1, "n"),
			"there is no such node": n.Move(ctx, 1, from, "x"), "there is no such partition": n.Move(ctx, 99, from, to),
		} {
			refuses(t, err, why)
		}
		c.Wait(func() error { // the cluster may be moving it of its own accord
			r = overview(t, n).State.FindRange(1)
			outside = slices.IndexFunc(c.Nodes, func(n *cluster.Node) bool { return !slices.Contains(r.Replicas, n.Stats().NodeID) })
			inside = slices.IndexFunc(c.Nodes, func(n *cluster.Node) bool { return n.Stats().NodeID == r.Replicas[0] })
			from, to = fmt.Sprint("n", inside), fmt.Sprint("n", outside)
			return n.Move(ctx, 1, from, to)
		})
		if err := n.Move(ctx, 1, to, from); !errors.Is(err, cluster.ErrTryAgain) {
			t.Errorf("while it moves: %v", err)
		}
		c.Wait(func() error {
			if c.Nodes[outside].Replica(1) == nil || c.Nodes[inside].Replica(1) != nil {
				return errors.New("the replica is where it was")
			}
			return nil
		})
		leadership(t, c, ctx, to)
	})
}

// leadership hands partition 1 to a node, and waits until it has had it.
func leadership(t *testing.T, c *clustertest.Cluster, ctx context.Context, to string) {
	t.Helper()
	c.Wait(func() error {
		err := c.Nodes[0].Lead(ctx, 1, to)
		if errors.Is(err, cluster.ErrRefused) {
			t.Fatal(err)
		}
		return err
	})
	c.Wait(func() error {
		all := overview(t, c.Nodes[0])
		leader, said := all.Leader(1)
		at, err := all.Find(to)
		if err != nil || leader != at.ID || len(said.Members) != 3 {
			return fmt.Errorf("%q leads, %+v, %v", leader, said, err)
		}
		return nil
	})
}

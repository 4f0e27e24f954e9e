package clustertest

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/raftgroup/simnet"
)

// Cluster is nodes that are joined by a network with faults, in one process.
type Cluster struct {
	Net   *simnet.Net
	Nodes []*cluster.Node // nil: not running
	// Tune changes a node's configuration whenever it is opened; nil: nothing is changed.
	Tune  func(i int, cfg *cluster.Config)
	t     *testing.T
	dir   string
	parts int

	mu       sync.Mutex
	expected map[int]chan error // faults that nodes are to have
}

// New makes a cluster of which no node is open yet.
func New(t *testing.T, dir string, n, partitions int, seed uint64) *Cluster {
	return &Cluster{Net: simnet.New(seed), Nodes: make([]*cluster.Node, n), t: t, dir: dir, parts: partitions}
}

// Start opens n nodes, the first of which makes a cluster that the others join, and waits until all of them serve and every
// partition has as many replicas as it can.
func Start(t *testing.T, dir string, n, partitions int) *Cluster {
	t.Helper()
	c := New(t, dir, n, partitions, 1)
	c.OpenAll()
	return c
}

// OpenAll opens all nodes of a new cluster and waits as Start does.
func (c *Cluster) OpenAll() {
	c.t.Helper()
	for i := range c.Nodes {
		c.Open(i)
		c.WaitReady(i)
	}
	c.WaitPlaced()
}

// Address is where a node can be reached.
func Address(i int) string { return fmt.Sprintf("node:%d", i) }

// Config is a node's configuration.
func (c *Cluster) Config(i int) cluster.Config {
	cfg := Config(filepath.Join(c.dir, fmt.Sprint(i)), c.parts)
	made := 0
	cfg.RandomID = func() string { made++; return fmt.Sprintf("%02x%038x", i+1, made) }
	cfg.Network = c.Net.Node(Address(i))
	cfg.Name, cfg.ClientAddr, cfg.ClusterAddr = fmt.Sprint("n", i), fmt.Sprint("client:", i), fmt.Sprint("cluster:", i)
	cfg.DeadAfter = 30 * time.Second
	cfg.OnFault = func(err error) { c.faulted(i, err) }
	if i > 0 {
		cfg.Join = []string{Address(0)}
	}
	if c.Tune != nil {
		c.Tune(i, &cfg)
	}
	return cfg
}

// Expect says that a node is to have a fault, which the channel gets. Without it a fault fails the test.
func (c *Cluster) Expect(i int) <-chan error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expected == nil {
		c.expected = map[int]chan error{}
	}
	c.expected[i] = make(chan error, 1)
	return c.expected[i]
}

func (c *Cluster) faulted(i int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expected[i] == nil {
		c.t.Errorf("node %d: %v", i, err)
		return
	}
	c.expected[i] <- err
}

// Open opens a node, again if it was stopped.
func (c *Cluster) Open(i int) {
	c.t.Helper()
	c.OpenWith(i, c.Config(i))
}

// OpenWith opens a node with a configuration.
func (c *Cluster) OpenWith(i int, cfg cluster.Config) {
	c.t.Helper()
	n, err := cluster.Open(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Nodes[i] = n
	c.Net.Up(Address(i))
}

// Stop stops a node, of which the others hear nothing any more.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	c.Net.Down(Address(i))
	Close(c.t, c.Nodes[i])
	c.Nodes[i] = nil
}

// Close stops all nodes.
func (c *Cluster) Close() {
	for i, n := range c.Nodes {
		if n != nil {
			c.Stop(i)
		}
	}
	c.Net.Close()
}

// Wait waits until ok says nil, for ten virtual minutes at most.
func (c *Cluster) Wait(ok func() error) {
	c.t.Helper()
	var err error
	for range 6_000 {
		if err = ok(); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("still: %v", err)
}

// WaitReady waits until a node serves.
func (c *Cluster) WaitReady(i int) {
	c.t.Helper()
	c.Wait(func() error { return c.Nodes[i].Ready() })
}

// WaitPlaced waits until the cluster's state gives every partition as many replicas as it can have, and the partitions' groups
// have them.
func (c *Cluster) WaitPlaced() {
	c.t.Helper()
	c.Wait(func() error {
		for _, n := range c.Nodes {
			if n == nil {
				continue
			}
			if err := n.Stats().Placement; err != nil {
				return err
			}
		}
		return nil
	})
}

// Leader is the node that leads a partition; -1: none does.
func (c *Cluster) Leader(id uint32) int {
	for i, n := range c.Nodes {
		if n != nil && n.Replica(id) != nil && n.Replica(id).Leads() {
			return i
		}
	}
	return -1
}

// AwaitLeader waits until a node leads a partition, and returns it.
func (c *Cluster) AwaitLeader(id uint32) (leader int) {
	c.t.Helper()
	c.Wait(func() error {
		if leader = c.Leader(id); leader < 0 {
			return fmt.Errorf("nobody leads partition %d", id)
		}
		return nil
	})
	return leader
}

// Do runs operations on a node, which must all end with a result.
func (c *Cluster) Do(i int, ops ...op.Op) []op.Outcome {
	c.t.Helper()
	out := c.Nodes[i].Router().Do(c.t.Context(), ops)
	for k := range out {
		if out[k].Err != nil {
			c.t.Fatalf("node %d, %T: %v", i, ops[k], out[k].Err)
		}
	}
	return out
}

// Package work is what clients of the campaign do beside what tests/cluster/load has: transactions that append to lists, transfers
// between accounts whose sum is looked at by snapshots, reads of the past, and followers of the change feed. Each kind of work has a
// checker, a pure function of what the clients saw, with negative controls in its tests.
package work

import (
	"math/rand/v2"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/remote"
)

// Client does one thing after the other, each at a node of its choice. It belongs to one goroutine.
type Client struct {
	ID      int
	Rng     *rand.Rand
	Targets []*remote.Target
	at      int
}

// Target is the node in use.
func (c *Client) Target() *remote.Target { return c.Targets[c.at] }

// Leave goes on at another node.
func (c *Client) Leave() { c.at = (c.at + 1 + c.Rng.IntN(max(1, len(c.Targets)-1))) % len(c.Targets) }

// Group is clients that run until they are stopped.
type Group struct {
	done    chan struct{}
	running sync.WaitGroup
}

// NewGroup makes a group of none.
func NewGroup() *Group { return &Group{done: make(chan struct{})} }

// Done is closed when the group is to end.
func (g *Group) Done() <-chan struct{} { return g.done }

// Go has a client do steps, with a rest of up to pause between them, until the group is stopped.
func (g *Group) Go(c *Client, pause time.Duration, step func(c *Client)) {
	g.running.Go(func() {
		rest := time.NewTimer(0)
		defer rest.Stop()
		for {
			select {
			case <-g.done:
				for _, t := range c.Targets {
					t.Close()
				}
				return
			case <-rest.C:
			}
			if c.Rng.IntN(15) == 0 {
				c.Leave()
			}
			step(c)
			rest.Reset(time.Duration(c.Rng.Int64N(int64(pause))))
		}
	})
}

// Stop ends all clients and waits for them.
func (g *Group) Stop() {
	close(g.done)
	g.running.Wait()
}

// since is a moment of real time.
func since(w *load.World) int64 { return int64(time.Since(w.Began)) }

// timestamp takes one.
func timestamp(c *Client) (op.Timestamp, bool) {
	ts, end := c.Target().Timestamps(1)
	if end != load.Answered {
		c.Leave()
	}
	return ts, end == load.Answered
}

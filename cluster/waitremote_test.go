package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// Owners that come through different nodes stand in one line, in the order in which they came, and a change of the leader and a wait
// longer than a slice don't put them out of it.
func TestOneLineOverTheCluster(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		ask := func(owner string) *op.LockAcquire {
			return &op.LockAcquire{Name: []byte("l"), Owner: []byte(owner), TTLMilli: 60_000}
		}
		c.Do(0, ask("first"))
		got := make(chan string, 9)
		for i := range 9 {
			owner := fmt.Sprint("owner ", i)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				out := c.Nodes[i%3].Router().Wait(ctx, ask(owner))
				if out.Err != nil || !out.Done {
					t.Errorf("%s: %+v", owner, out)
				}
				got <- owner
			}()
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(12 * time.Second) // some slices
		held := "first"
		for i := range 9 {
			c.Do(i%3, &op.LockRelease{Name: []byte("l"), Owner: []byte(held)})
			if held = <-got; held != fmt.Sprint("owner ", i) {
				t.Fatalf("%s came as number %d", held, i)
			}
		}
	})
}

// An owner whose client is gone is passed over.
func TestAWaiterElsewhereIsGone(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		ask := func(owner string) *op.LockAcquire {
			return &op.LockAcquire{Name: []byte("l"), Owner: []byte(owner), TTLMilli: 60_000}
		}
		c.Do(0, ask("first"))
		away := (c.AwaitLeader(1) + 1) % 3
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan op.Outcome)
		go func() { gone <- c.Nodes[away].Router().Wait(ctx, ask("gone")) }()
		time.Sleep(time.Second)
		cancel()
		if out := <-gone; out.Err == nil {
			t.Errorf("a wait that was ended: %+v", out)
		}
		second := make(chan op.Outcome)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			second <- c.Nodes[away].Router().Wait(ctx, ask("second"))
		}()
		time.Sleep(time.Second)
		c.Do(0, &op.LockRelease{Name: []byte("l"), Owner: []byte("first")})
		if out := <-second; !out.Done {
			t.Errorf("who stood behind one that is gone: %+v", out)
		}
	})
}

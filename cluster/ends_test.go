package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/raftgroup"
)

// dialing is a network over which nobody can be reached while it is cut, as TCP shows it: connections can't be made, which takes as long
// as one waits.
type dialing struct {
	raftgroup.Network
	cut *atomic.Bool
}

func (d dialing) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	if !d.cut.Load() || addr == d.LocalAddr() {
		return d.Network.Call(ctx, addr, request)
	}
	<-ctx.Done()
	return nil, fmt.Errorf("%w: %s: %w", raftgroup.ErrUnreachable, addr, ctx.Err())
}

func (d dialing) Stream(ctx context.Context, addr string, request []byte, body io.Reader) ([]byte, error) {
	if d.cut.Load() {
		return nil, raftgroup.ErrUnreachable
	}
	return d.Network.Stream(ctx, addr, request, body)
}

// A write that was surely sent to nobody is not uncertain, however long connecting takes; and nothing takes longer than the time
// allowed.
func TestWhatWasNotSentIsNotUncertain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, dir, 4, 4, 3)
		var cut atomic.Bool
		c.Tune = func(i int, cfg *cluster.Config) {
			if i == 3 {
				cfg.Network = dialing{cfg.Network, &cut}
			}
		}
		c.OpenAll()
		defer c.Close()
		timeout := 5 * time.Second
		if d := c.Config(0).RequestTimeout; d > 0 {
			timeout = d
		}
		c.Net.Isolate(clustertest.Address(3))
		cut.Store(true)
		time.Sleep(20 * time.Second) // what was on its way has ended
		refused := 0
		for i := range 24 {
			began := time.Now()
			out := c.Nodes[3].Router().Do(t.Context(), []op.Op{set(fmt.Sprint("k", i), "v")})
			if took := time.Since(began); took > timeout+100*time.Millisecond {
				t.Errorf("k%d took %v", i, took)
			}
			switch err := out[0].Err; {
			case errors.Is(err, cluster.ErrClusterDown), errors.Is(err, cluster.ErrTryAgain):
				refused++
			default:
				t.Errorf("k%d: %v", i, err)
			}
		}
		if refused == 0 {
			t.Error("nothing was refused")
		}
	})
}

// Every node knows which others have stopped to answer, and which answer again.
func TestSilentNodesAreShown(t *testing.T) {
	inCluster(t, 4, 2, func(t *testing.T, c *clustertest.Cluster) {
		shown := func(want bool) func() error {
			return func() error {
				for i, n := range c.Nodes[:3] {
					all := n.Topology()
					for place := range all.Nodes {
						if all.Silent[place] != (want && all.Nodes[place].Name == "n3") {
							return fmt.Errorf("node %d shows that %s is silent: %v", i, all.Nodes[place].Name, all.Silent[place])
						}
					}
				}
				return nil
			}
		}
		c.Wait(shown(false))
		c.Stop(3)
		c.Wait(shown(true))
		c.Open(3)
		c.Wait(shown(false))
	})
}

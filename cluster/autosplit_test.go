package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/placement"
)

// A partition of which much is asked is split by the cluster itself, once that has lasted, and its halves come to be led by different nodes.
// Every name is where it was.
func TestSplitsByItselfUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, t.TempDir(), 3, 1, 1)
		c.Tune = func(_ int, cfg *cluster.Config) {
			cfg.Limits = placement.DefaultLimits()
			cfg.Limits.SplitLoad, cfg.Limits.SplitAfter, cfg.Limits.SplitBytes = 100, 15*time.Second, 0
		}
		defer c.Close()
		c.OpenAll()
		const names = 256
		set := func() {
			ops := make([]op.Op, names)
			for i := range ops {
				ops[i] = &op.Set{Key: fmt.Appendf(nil, "name-%d", i), Value: []byte("v")}
			}
			c.Do(0, ops...)
			time.Sleep(time.Second)
		}
		c.Wait(func() error {
			set()
			ranges := c.Nodes[0].Router().State().Ranges
			leaders := map[int]bool{}
			for i := range ranges {
				leaders[c.Leader(ranges[i].ID)] = true
			}
			if len(ranges) < 2 || len(leaders) < 2 || leaders[-1] {
				return fmt.Errorf("%d partitions, led by %v", len(ranges), leaders)
			}
			return nil
		})
		for i := range names {
			if out := c.Do(1, &op.Get{Key: fmt.Appendf(nil, "name-%d", i)})[0]; !out.Found || string(out.Value) != "v" {
				t.Fatalf("name-%d: %+v", i, out)
			}
		}
	})
}

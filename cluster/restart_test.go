package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// Time, tokens, leases and sequences go on through restarts, whatever the wall clock does meanwhile.
func TestRestartsWithAWildWallClock(t *testing.T) {
	dir, clock := t.TempDir(), clustertest.Clock
	var last op.Timestamp
	var token, seq int64
	for round, off := range []time.Duration{0, 3 * time.Hour, -20 * time.Hour, -500 * time.Hour, 2 * time.Hour, -time.Hour, 0} {
		synctest.Test(t, func(t *testing.T) {
			cfg, c := clustertest.Config(dir, 4), clock()
			c.Set(clustertest.Epoch + off)
			cfg.Clock = c
			n := clustertest.Open(t, cfg)
			defer clustertest.Close(t, n)
			now, err := n.Router().Now(t.Context(), 100)
			if err != nil || now <= last {
				t.Errorf("round %d: %d after %d, %v", round, now, last, err)
			}
			last = now + 99
			if round > 0 {
				held := do(t, n, &op.LockInfo{Name: []byte("held")})[0]
				if !held.Found || held.Lock.Holds[0].TTLMilli < 9000 {
					t.Errorf("round %d: a lease of 10 s does not start afresh: %+v", round, held.Lock)
				}
				time.Sleep(9 * time.Second)
				c.Set(clustertest.Epoch + off + 100*time.Hour)
				if !do(t, n, &op.LockInfo{Name: []byte("held")})[0].Found {
					t.Errorf("round %d: the lease was ended early", round)
				}
				time.Sleep(2 * time.Second)
			}
			got := do(t, n, &op.LockAcquire{Name: []byte("held"), Owner: fmt.Append(nil, round), TTLMilli: 10_000},
				&op.SeqNext{Name: []byte("seq"), Count: 3})
			if !got[0].Done || got[0].Int <= token {
				t.Errorf("round %d: %+v after token %d", round, got[0], token)
			}
			if got[1].Int <= seq {
				t.Errorf("round %d: %d after %d", round, got[1].Int, seq)
			}
			token, seq = got[0].Int, got[1].Last
			clustertest.Settled(t, n)
		})
	}
}

// What has run out is gone at once for every reader, and from the store a little later, with its place in the list of due times.
func TestExpiry(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		var ops []op.Op
		for i := range 1500 {
			ops = append(ops, &op.Set{Key: fmt.Append(nil, "k", i), Value: []byte("v"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: int64(10_000 + i%7)}})
		}
		do(t, n, append(ops, set("stays", "v"))...)
		time.Sleep(9900 * time.Millisecond)
		if !do(t, n, get("k1"))[0].Found {
			t.Error("gone too early")
		}
		time.Sleep(107 * time.Millisecond)
		for i := range 1500 {
			if do(t, n, get(fmt.Sprint("k", i)))[0].Found {
				t.Fatal("there after its time")
			}
		}
		if got := do(t, n, &op.Scan{Space: op.SpaceKey, Limit: 5000})[0]; len(got.Items) != 1 {
			t.Errorf("a scan has %d names", len(got.Items))
		}
		time.Sleep(10 * time.Second)
		found, err := n.Inspect()
		if err != nil || found.Due != 0 || len(found.Wrong) > 0 {
			t.Errorf("after the sweep: %+v, %v", found, err)
		}
		if got := do(t, n, &op.Count{Space: op.SpaceKey})[0].Int; got != 1 {
			t.Errorf("%d names are counted", got)
		}
	})
}

// Sweeping goes by the cluster's clock: no jump of the wall clock makes it late, or makes it say what is not due.
func TestSweepIgnoresTheWallClock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg, c := clustertest.Config(dir, 2), clustertest.Clock()
		cfg.Clock = c
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		do(t, n, &op.Set{Key: []byte("late"), Value: []byte("v"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 3_600_000}})
		c.Set(clustertest.Epoch + 5*time.Hour)
		before := n.Stats().OpsWritten
		time.Sleep(20 * time.Second)
		if written := n.Stats().OpsWritten - before; written > 25 { // the clock's bound, which is raised each second
			t.Errorf("%d operations in 20 s in which nothing was due", written)
		}
		c.Set(clustertest.Epoch - 5*time.Hour)
		do(t, n, &op.Set{Key: []byte("soon"), Value: []byte("v"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 100}})
		time.Sleep(5 * time.Second)
		if found, err := n.Inspect(); err != nil || found.Due != 1 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

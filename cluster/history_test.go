package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
)

const testRetention = time.Minute

// withHistory runs a test on a node that keeps the past for a minute.
func withHistory(t *testing.T, test func(t *testing.T, n *cluster.Node)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := openHistory(t, dir)
		defer func() { clustertest.Close(t, n) }()
		test(t, n)
		clustertest.Settled(t, n)
	})
}

func openHistory(t *testing.T, dir string) *cluster.Node {
	cfg := clustertest.Config(dir, 2)
	cfg.HistoryRetention = testRetention
	return clustertest.Open(t, cfg)
}

func now(t *testing.T, n *cluster.Node) op.Timestamp {
	t.Helper()
	ts, err := n.Router().Now(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// readAt is the value of a key at a timestamp; "-" when it is absent, "collected" when nobody knows.
func readAt(t *testing.T, n *cluster.Node, key string, at op.Timestamp) string {
	t.Helper()
	out := n.Router().ReadAt(context.Background(), at, []op.Op{&op.Get{Key: []byte(key)}}, true)[0]
	switch {
	case out.Err != nil:
		t.Fatal(out.Err)
	case out.Status == op.Collected:
		return "collected"
	case !out.Found:
		return "-"
	}
	return string(out.Value)
}

// A version that a hold needs is not collected, though it is far older than the retention; with two holds the older one counts,
// and each by itself after the other has ended.
func TestCollectionOfVersionThatAHoldNeeds(t *testing.T) {
	withHistory(t, func(t *testing.T, n *cluster.Node) {
		h, ctx := n.History(), t.Context()
		var holds []cluster.Hold
		for i := range 4 {
			do(t, n, &op.Set{Key: []byte("k"), Value: fmt.Append(nil, i)}, &op.Set{Key: []byte("gone"), Value: fmt.Append(nil, i)})
			if i == 1 || i == 2 {
				hold, err := h.Hold(ctx, 0, 3_600_000)
				if err != nil {
					t.Fatal(err)
				}
				holds = append(holds, hold)
			}
			time.Sleep(time.Second)
		}
		do(t, n, &op.Delete{Key: []byte("gone")})
		for i, hold := range holds {
			time.Sleep(10 * testRetention)
			do(t, n, &op.Set{Key: []byte("k"), Value: []byte("other")})
			time.Sleep(2 * testRetention)
			for k, held := range holds[i:] {
				for _, key := range []string{"k", "gone"} {
					if got, want := readAt(t, n, key, held.At), fmt.Sprint(i+k+1); got != want {
						t.Errorf("with %d holds, %s at hold %d is %q, want %q", len(holds)-i, key, i+k, got, want)
					}
				}
			}
			if got := readAt(t, n, "k", hold.At-1<<op.CounterBits); got != "collected" {
				t.Errorf("before hold %d it is %q", i, got)
			}
			if ok, err := h.Release(ctx, hold.ID); err != nil || !ok {
				t.Errorf("released: %v, %v", ok, err)
			}
		}
		time.Sleep(3 * testRetention)
		if got := readAt(t, n, "k", holds[1].At); got != "collected" {
			t.Errorf("after the last hold it is %q", got)
		}
		if _, err := h.Hold(ctx, holds[1].At, 1000); !errors.Is(err, cluster.ErrCollected) {
			t.Errorf("a hold of what is gone: %v", err)
		}
		if out := do(t, n, &op.Version{Name: op.Key([]byte("gone"))})[0]; out.TS != 0 {
			t.Errorf("the deletion is left at %d", out.TS)
		}
	})
}

// Holds survive a restart, last no shorter than was promised, can be renewed, and end by themselves.
func TestHolds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := openHistory(t, dir)
		defer func() { clustertest.Close(t, n) }()
		ctx := context.Background()
		do(t, n, &op.Set{Key: []byte("k"), Value: []byte("1")})
		at := now(t, n)
		do(t, n, &op.Set{Key: []byte("k"), Value: []byte("2")})
		if _, err := n.History().Hold(ctx, now(t, n).Add(1000), 1000); !errors.Is(err, cluster.ErrFuture) {
			t.Errorf("a hold of the future: %v", err)
		}
		const ttl = 10 * testRetention
		hold, err := n.History().Hold(ctx, at, ttl.Milliseconds())
		if err != nil || hold.At != at {
			t.Fatal(hold, err)
		}
		held := func(want string) {
			t.Helper()
			time.Sleep(ttl - time.Second)
			if got := readAt(t, n, "k", at); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		}
		held("1")
		if ok, err := n.History().Renew(ctx, hold.ID, ttl.Milliseconds()); err != nil || !ok {
			t.Errorf("renewed: %v, %v", ok, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		n = openHistory(t, dir)
		held("1")
		if all, _, err := n.History().Holds(ctx); err != nil || len(all) != 1 || all[0].ID != hold.ID {
			t.Errorf("listed: %+v, %v", all, err)
		}
		held("collected")
		if ok, err := n.History().Renew(ctx, hold.ID, 1000); err != nil || ok {
			t.Errorf("renewed after its end: %v, %v", ok, err)
		}
		if ok, err := n.History().Release(ctx, hold.ID); err != nil || ok {
			t.Errorf("released after its end: %v, %v", ok, err)
		}
	})
}

// Names that were used once and deleted leave nothing in the store, whatever they were.
func TestManyNamesShrinkBack(t *testing.T) {
	withHistory(t, func(t *testing.T, n *cluster.Node) {
		const names = 3000
		for i := 0; i < names; i += 500 {
			var ops []op.Op
			for k := range 500 {
				name := fmt.Appendf(nil, "name-%d", i+k)
				ops = append(ops, &op.LockAcquire{Name: name, Owner: name, TTLMilli: 1000}, &op.LockRelease{Name: name, Owner: name},
					&op.Set{Key: name, Value: name}, &op.Delete{Key: name}, &op.SeqNext{Name: name, Count: 1}, &op.SeqDelete{Name: name})
			}
			do(t, n, ops...)
		}
		most, err := n.Inspect()
		if err != nil || most.Versions < 2*3*names {
			t.Fatal(most, err)
		}
		time.Sleep(2 * testRetention)
		if left, err := n.Inspect(); err != nil || left.Versions != 0 {
			t.Errorf("left: %+v, %v", left, err)
		}
		if s := n.Stats(); s.Collected < 2*3*names || s.SafePoint == 0 || s.SafeAge < testRetention.Milliseconds() {
			t.Errorf("%+v", s)
		}
	})
}

// As many holds as allowed, and no more.
func TestHoldsAreLimited(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 1)
		cfg.HistoryHoldsMax = 3
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		for i := range 4 {
			if _, err := n.History().Hold(t.Context(), 0, 1000); errors.Is(err, cluster.ErrHolds) != (i == 3) {
				t.Errorf("hold %d: %v", i, err)
			}
		}
	})
}

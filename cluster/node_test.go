package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// onNode runs a test on a node with a number of partitions, in a bubble.
func onNode(t *testing.T, partitions int, test func(t *testing.T, n *cluster.Node)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, partitions))
		defer clustertest.Close(t, n)
		test(t, n)
		clustertest.Settled(t, n)
	})
}

func do(t *testing.T, n *cluster.Node, ops ...op.Op) []op.Outcome {
	t.Helper()
	out := n.Router().Do(t.Context(), ops)
	for i := range out {
		if out[i].Err != nil {
			t.Fatalf("%T: %v", ops[i], out[i].Err)
		}
	}
	return out
}

func set(key, value string) *op.Set { return &op.Set{Key: []byte(key), Value: []byte(value)} }
func get(key string) *op.Get        { return &op.Get{Key: []byte(key)} }

// Reads and writes on one name in one call see each other in their order, whatever stands on other names between them.
func TestOrderWithinOneCall(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		var ops []op.Op
		for i := range 900 {
			for k := range 7 {
				key := fmt.Sprint("k", k)
				ops = append(ops, set(key, fmt.Sprint(i)), get(key), &op.AppendTo{Key: []byte(key), Value: []byte("x"), MaxBytes: 100}, get(key))
			}
		}
		out := do(t, n, ops...)
		for i := 0; i < len(out); i += 4 {
			want := fmt.Sprint(i / 28)
			if a, b := string(out[i+1].Value), string(out[i+3].Value); a != want || b != want+"x" {
				t.Fatalf("operation %d reads %q and then %q, want %q", i, a, b, want)
			}
		}
	})
}

// A call that reads only sees what an earlier call wrote.
func TestReadsFollowWrites(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		for i := range 200 {
			key, value := fmt.Sprint("k", i%9), fmt.Sprint(i)
			do(t, n, set(key, value))
			if got := do(t, n, get(key))[0]; string(got.Value) != value {
				t.Fatalf("%q after %q", got.Value, value)
			}
		}
	})
}

// Closing a node while clients write and read ends everything: with results, or errors that are true. What was said to be
// refused is not there when the node opens again, and what was acknowledged is.
func TestCloseUnderLoad(t *testing.T) {
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { closeUnderLoad(t, time.Duration(round*7)*time.Millisecond) })
	}
}

func closeUnderLoad(t *testing.T, after time.Duration) {
	dir := t.TempDir()
	ends := make([]error, 600)
	ended := make([]bool, len(ends))
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 4))
		done := make(chan struct{})
		var next atomic.Int64
		for range 6 {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := next.Add(1) - 1; i < int64(len(ends)); i = next.Add(1) - 1 {
					out := n.Router().Do(context.Background(), []op.Op{set(fmt.Sprint("k", i), "v"), get("other")})
					ends[i], ended[i] = out[0].Err, true
					if errors.Is(out[0].Err, cluster.ErrClusterDown) {
						return
					}
				}
			}()
		}
		time.Sleep(after)
		clustertest.Close(t, n)
		for range 6 {
			<-done
		}
		if _, err := n.Router().Now(context.Background(), 1); !errors.Is(err, cluster.ErrClusterDown) {
			t.Errorf("the clock of a closed node answers %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 4))
		defer clustertest.Close(t, n)
		for i, err := range ends {
			found := do(t, n, get(fmt.Sprint("k", i)))[0].Found
			if ended[i] && err == nil && !found {
				t.Errorf("write %d was acknowledged and is lost", i)
			}
			if err != nil && !errors.Is(err, cluster.ErrUncertain) && found {
				t.Errorf("write %d was done, and its client was told %v", i, err)
			}
		}
		clustertest.Settled(t, n)
	})
}

// While the disk is nearly full writes are refused and change nothing; reads go on; and it ends by itself.
func TestDiskLow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Uint64
		free.Store(2000)
		cfg := clustertest.Config(dir, 4)
		cfg.DiskFree, cfg.DiskReserveBytes = func() (uint64, error) { return free.Load(), nil }, 1000
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		do(t, n, set("a", "1"))
		free.Store(999)
		time.Sleep(time.Second)
		if err := n.Router().Do(t.Context(), []op.Op{set("a", "2")})[0].Err; !errors.Is(err, cluster.ErrTryAgain) {
			t.Errorf("a write to a full disk ends with %v", err)
		}
		if got := do(t, n, get("a"))[0]; string(got.Value) != "1" {
			t.Errorf("the refused write is there: %q", got.Value)
		}
		out := n.Router().Do(t.Context(), []op.Op{get("a"), set("a", "2"), &op.LockRelease{Name: []byte("l"), Owner: []byte("o")}, get("a")})
		for i, refused := range []bool{false, true, false, false} {
			if errors.Is(out[i].Err, cluster.ErrTryAgain) != refused {
				t.Errorf("operation %d of a call with one write ends with %v", i, out[i].Err)
			}
		}
		if string(out[0].Value) != "1" || string(out[3].Value) != "1" {
			t.Errorf("beside a refused write %q and %q are read", out[0].Value, out[3].Value)
		}
		free.Store(1000)
		time.Sleep(time.Second)
		do(t, n, set("a", "3"))
	})
}

// A full queue refuses a unit as a whole, says so, and nothing of it is there.
func TestQueueFull(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 1)
		cfg.QueueOpsMax = 8
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		type end struct {
			key string
			err error
		}
		ends := make(chan end)
		for i := range 200 {
			go func() {
				key := fmt.Sprint("k", i)
				out := n.Router().Do(context.Background(), []op.Op{set(key, "1"), set(key, "2"), set(key, "3")})
				ends <- end{key, errors.Join(out[0].Err, out[1].Err, out[2].Err)}
			}()
		}
		full := 0
		for range 200 {
			e := <-ends
			got := do(t, n, get(e.key))[0]
			switch {
			case e.err == nil && string(got.Value) != "3":
				t.Errorf("%s was acknowledged and is %q", e.key, got.Value)
			case e.err != nil && !errors.Is(e.err, cluster.ErrTryAgain):
				t.Errorf("%s: %v", e.key, e.err)
			case e.err != nil && got.Found:
				t.Errorf("%s was refused and is %q", e.key, got.Value)
			case e.err != nil:
				full++
			}
		}
		if full == 0 {
			t.Error("the queue was never full: nothing was tested")
		}
	})
}

func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := clustertest.Config(dir, 4)
		cfg.MemtableBytes = 0 // the store's own, which has room for the largest value
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		out := n.Router().Do(t.Context(), []op.Op{&op.Set{Key: []byte("big"), Value: make([]byte, 5<<20)}, set("{small}", "1")})
		if !errors.Is(out[0].Err, cluster.ErrTooLarge) {
			t.Errorf("a value of 5 MiB ends with %v", out[0].Err)
		}
		if do(t, n, get("big"))[0].Found {
			t.Error("it was refused and is there")
		}
		do(t, n, &op.Set{Key: []byte("big"), Value: make([]byte, 4<<20)})
	})
}

// A caller that goes away before the write was sent, or while it is under way, is told the truth.
func TestCancelledCalls(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range 50 {
			key := fmt.Sprint("k", i)
			err := n.Router().Do(ctx, []op.Op{set(key, "1")})[0].Err
			if err == nil || errors.Is(err, cluster.ErrUncertain) {
				continue
			}
			if do(t, n, get(key))[0].Found {
				t.Fatalf("done, and answered with %v", err)
			}
		}
	})
}

func TestIdentityDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.json")
	synctest.Test(t, func(t *testing.T) { clustertest.Close(t, clustertest.Open(t, clustertest.Config(dir, 1))) })
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "cut": string(good[:20]), "no format": `{"node":"` + fmt.Sprintf("%040x", 1) + `"}`, "newer": `{"format":2,"node":"x"}`,
		"short": `{"format":1,"node":"00"}`, "not hexadecimal": `{"format":1,"node":"zz` + fmt.Sprintf("%038x", 1) + `"}`,
		"more behind": string(good) + "x", "zeroes": string(make([]byte, 64)),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, name)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "missing")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { clustertest.Close(t, clustertest.Open(t, clustertest.Config(dir, 1))) })
}

func refused(t *testing.T, dir, why string) {
	t.Helper()
	if n, err := cluster.Open(clustertest.Config(dir, 1)); err == nil {
		t.Errorf("%s: the identity was taken", why)
		n.Close()
	}
}

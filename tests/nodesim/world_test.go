package nodesim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/sim/datadir"
	"kahuna/txn/coord"
)

const (
	nodes      = 3
	partitions = 3
)

// instance is a node that runs, as its clients see it.
type instance struct {
	node   *cluster.Node
	coord  *coord.Coordinator
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool // killed: what it says now, nobody hears
	mu     sync.Mutex  // never held across a wait
	left   bool
	calls  sync.WaitGroup
}

// enter takes part in the use of an instance; false when it is going. The caller calls calls.Done.
func (i *instance) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.left {
		i.calls.Add(1)
	}
	return !i.left
}

// world is a cluster and its clients.
type world struct {
	*clustertest.Cluster
	t      *testing.T
	dir    string
	load   *load.World
	rng    *rand.Rand
	clocks []*clock.Skewed
	dirs   []string
	boots  []int // of each node's machine
	copies int
	dying  sync.WaitGroup

	mu        sync.Mutex
	instances []*instance // nil: not running
	leaders   map[uint32]int
}

func newWorld(t *testing.T, dir string, seed uint64) *world {
	w := &world{Cluster: clustertest.New(t, dir, nodes, partitions, seed), t: t, dir: dir, rng: rand.New(rand.NewPCG(seed, 1)),
		instances: make([]*instance, nodes), leaders: map[uint32]int{}}
	for i := range nodes {
		w.clocks = append(w.clocks, clustertest.Clock())
		w.dirs = append(w.dirs, filepath.Join(dir, fmt.Sprint(i)))
	}
	w.boots = make([]int, nodes)
	w.Tune = func(i int, cfg *cluster.Config) {
		cfg.Clock, cfg.DataDir, cfg.LogSegmentBytes = w.clocks[i], w.dirs[i], 8<<20
		cfg.KeepLeaders = true
		cfg.BootID = fmt.Sprint("boot ", w.boots[i])
	}
	w.OpenAll()
	for i := range nodes {
		w.serve(i)
	}
	w.load = load.New("", seed)
	return w
}

// serve lets clients use a node that was opened.
func (w *world) serve(i int) {
	n := w.Nodes[i]
	options := coord.DefaultOptions()
	options.Left = n.LeftTransactions
	in := &instance{node: n, coord: coord.New(n.Router(), options)}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[i] = in
}

func (w *world) instance(i int) *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.instances[i]
}

// leave keeps new calls from a node. It gives nil when it does not run.
func (w *world) leave(i int) *instance {
	w.mu.Lock()
	in := w.instances[i]
	w.instances[i] = nil
	w.mu.Unlock()
	if in != nil {
		in.mu.Lock()
		in.left = true
		in.mu.Unlock()
	}
	return in
}

// stop ends a node in order.
func (w *world) stop(i int) {
	if in := w.leave(i); in != nil {
		in.cancel()
		in.calls.Wait()
		in.coord.Close()
		w.Stop(i)
	}
}

// kill ends a node as kill -9 does: what its files are at this moment is all that is left of it.
func (w *world) kill(i int) {
	in := w.leave(i)
	if in == nil {
		return
	}
	in.dead.Store(true)
	synctest.Wait()
	old := w.dirs[i]
	w.copies++
	w.dirs[i] = filepath.Join(w.dir, fmt.Sprintf("%d.%d", i, w.copies))
	if err := datadir.Copy(old, w.dirs[i]); err != nil {
		w.t.Fatal(err)
	}
	w.Net.Down(clustertest.Address(i))
	in.cancel()
	w.Nodes[i] = nil
	w.dying.Go(func() {
		in.calls.Wait()
		in.coord.Close()
		_ = in.node.Close() // its errors are of no interest: it was killed
	})
}

// start opens a node again.
func (w *world) start(i int) {
	if w.instance(i) == nil {
		w.dying.Wait() // the dead node's place in the network is the new one's
		w.Open(i)
		w.serve(i)
	}
}

func (w *world) close() {
	for i := range nodes {
		w.stop(i)
	}
	w.dying.Wait()
	w.Cluster.Close()
}

// noteLeaders counts changes of leaders.
func (w *world) noteLeaders() {
	for id := range uint32(partitions + 1) {
		if now := w.Leader(id); now >= 0 {
			if before, known := w.leaders[id]; known && before != now {
				w.load.Count("changes of leader", 1)
			}
			w.leaders[id] = now
		}
	}
}

// target is a node as one client reaches it.
type target struct {
	w *world
	i int
}

func (t *target) Name() string { return fmt.Sprint("n", t.i) }

// call runs f on the node, and judges how it ended.
func (t *target) call(f func(ctx context.Context, in *instance) error) load.Outcome {
	in := t.w.instance(t.i)
	if in == nil || !in.enter() {
		return load.Denied
	}
	defer in.calls.Done()
	err := f(in.ctx, in)
	switch {
	case in.dead.Load():
		return load.Unknown
	case err == nil:
		return load.Answered
	case errors.Is(err, cluster.ErrUncertain):
		return load.Unknown
	case errors.Is(err, cluster.ErrTryAgain), errors.Is(err, cluster.ErrClusterDown), errors.Is(err, coord.ErrConflict):
		return load.Denied
	case in.ctx.Err() == nil:
		t.w.load.Fail("node %d: an error that is none of the contract's: %v", t.i, err)
	}
	return load.Unknown
}

func (t *target) Do(o op.Op) (res op.Result, end load.Outcome) {
	end = t.call(func(ctx context.Context, in *instance) error {
		out := in.node.Router().Do(ctx, []op.Op{o})[0]
		res = out.Result
		return out.Err
	})
	return res, end
}

func (t *target) Atomic(ops []op.Op) (results []op.Result, end load.Outcome) {
	end = t.call(func(ctx context.Context, in *instance) (err error) {
		results, _, err = in.coord.Atomic(ctx, ops, nil)
		return err
	})
	return results, end
}

func (t *target) Timestamps(n int) (first op.Timestamp, end load.Outcome) {
	end = t.call(func(ctx context.Context, in *instance) (err error) {
		first, err = in.node.Router().Now(ctx, n)
		return err
	})
	return first, end
}

// ask has an operation done by whoever answers.
func (w *world) ask(o op.Op) (res op.Result, err error) {
	for range 600 {
		for i := range nodes {
			in := w.instance(i)
			if in == nil {
				continue
			}
			out := in.node.Router().Do(context.Background(), []op.Op{o})[0]
			if err = out.Err; err == nil {
				return out.Result, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return res, fmt.Errorf("%T: %w", o, err)
}

package listappend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/txn/coord"
)

// load is clients that run transactions against a node and write down what they did.
type load struct {
	c     *coord.Coordinator
	n     *cluster.Node
	clock atomic.Int64 // real time: each look at it is a later moment
	value atomic.Int64
	mu    sync.Mutex
	txns  []Txn
}

const keysInUse = 6

// ops draws a transaction.
func (l *load) draw(rng *rand.Rand, epoch int) (x Txn, ops []op.Op) {
	for range 1 + rng.IntN(4) {
		o := Op{Key: fmt.Sprintf("l%d-%d", epoch, rng.IntN(keysInUse)), Append: rng.IntN(2) == 0}
		if o.Append {
			o.Value = int(l.value.Add(1))
			ops = append(ops, &op.AppendTo{Key: []byte(o.Key), Value: fmt.Append(nil, o.Value, ","), MaxBytes: 1 << 20})
		} else {
			ops = append(ops, &op.Get{Key: []byte(o.Key)})
		}
		x.Ops = append(x.Ops, o)
	}
	return x, ops
}

// run runs one transaction in one of the ways there are.
func (l *load) run(rng *rand.Rand, epoch int) {
	x, ops := l.draw(rng, epoch)
	if way := rng.IntN(4); way == 0 {
		x, ops = Txn{Ops: x.Ops[:1]}, ops[:1]
	}
	x.Start = l.clock.Add(1)
	results, err := l.send(rng, ops)
	x.End = l.clock.Add(1)
	switch {
	case errors.Is(err, cluster.ErrUncertain):
		x.Status, x.End = Unknown, math.MaxInt64
	case err != nil:
		x.Status = Aborted
	}
	for i := range x.Ops {
		if err == nil && !x.Ops[i].Append {
			x.Ops[i].List = list(string(results[i].Value))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, x)
}

func (l *load) send(rng *rand.Rand, ops []op.Op) (results []op.Result, err error) {
	ctx := context.Background()
	if len(ops) == 1 { // plain
		out := l.n.Router().Do(ctx, ops)
		return []op.Result{out[0].Result}, out[0].Err
	}
	switch way := rng.IntN(5); way {
	case 0, 4:
		results, _, err = l.c.Atomic(ctx, ops, nil)
		return results, err
	case 1, 2:
		return l.interactive(ctx, ops, coord.BeginOptions{Pessimistic: way == 2})
	}
	_, err = l.c.Transact(ctx, nil, func(tx coord.Doer) error {
		results = results[:0]
		for _, o := range ops {
			out := tx.Do(ctx, []op.Op{o})[0]
			if out.Err != nil {
				return out.Err
			}
			results = append(results, out.Result)
		}
		return nil
	})
	return results, err
}

// interactive runs operations step by step.
func (l *load) interactive(ctx context.Context, ops []op.Op, o coord.BeginOptions) (results []op.Result, err error) {
	x, err := l.c.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	defer x.Rollback()
	for _, o := range ops {
		err := x.Step(ctx, func(d coord.Doer) error {
			out := d.Do(ctx, []op.Op{o})[0]
			results = append(results, out.Result)
			return out.Err
		})
		if err != nil {
			return nil, err
		}
	}
	_, err = x.Commit(ctx)
	return results, err
}

func list(s string) (values []int) {
	for _, w := range strings.Split(strings.TrimSuffix(s, ","), ",") {
		if v, err := strconv.Atoi(w); err == nil {
			values = append(values, v)
		}
	}
	return values
}

// Concurrent transactions of all kinds (EXEC, optimistic, pessimistic) and plain operations on a node are strictly serializable,
// whatever the number of partitions, whether those on one partition are one log entry or not, and those over several run where their names
// are or on a snapshot.
func TestNodeIsStrictlySerializable(t *testing.T) {
	for _, way := range []struct {
		partitions int
		single     bool
		direct     bool
	}{{1, true, false}, {1, false, true}, {16, true, true}, {16, true, false}, {16, false, true}} {
		t.Run(fmt.Sprintf("%d partitions, single entry %v, direct %v", way.partitions, way.single, way.direct), func(t *testing.T) {
			dir, l := t.TempDir(), &load{}
			synctest.Test(t, func(t *testing.T) {
				l.n = clustertest.Open(t, clustertest.Config(dir, way.partitions))
				defer clustertest.Close(t, l.n)
				o := coord.DefaultOptions()
				o.SingleEntry, o.Direct, o.Left = way.single, way.direct, l.n.LeftTransactions
				l.c = coord.New(l.n.Router(), o)
				defer l.c.Close()
				l.clients(8, 125)
				clustertest.Settled(t, l.n)
			})
			judge(t, l.txns)
		})
	}
}

func (l *load) clients(clients, each int) {
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 7))
			for i := range each {
				l.run(rng, i/60)
			}
		})
	}
	running.Wait()
}

func judge(t *testing.T, txns []Txn) {
	v, committed := Check(txns), 0
	for i := range txns {
		if txns[i].Status == Committed {
			committed++
		}
	}
	for i, a := range v.Anomalies {
		if i == 10 {
			break
		}
		t.Errorf("%s: %s", a.Kind, a.Text)
	}
	if committed < len(txns)/2 || v.WW < 100 || v.WR < 100 || v.RW < 100 {
		t.Errorf("too little was done: %d of %d committed, %d ww, %d wr, %d rw", committed, len(txns), v.WW, v.WR, v.RW)
	}
	t.Logf("%d of %d committed, %d ww, %d wr, %d rw", committed, len(txns), v.WW, v.WR, v.RW)
}

// Money that is moved between accounts in all partitions is neither made nor lost, at any moment.
func TestBank(t *testing.T) {
	const accounts, total = 8, 800
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 4))
		defer clustertest.Close(t, n)
		o := coord.DefaultOptions()
		o.Left = n.LeftTransactions
		c := coord.New(n.Router(), o)
		defer c.Close()
		ctx := context.Background()
		var gets []op.Op
		for i := range accounts {
			key := fmt.Appendf(nil, "account%d", i)
			gets = append(gets, &op.Get{Key: key})
			n.Router().Do(ctx, []op.Op{&op.Set{Key: key, Value: []byte("100")}})
		}
		sum := func(out []op.Outcome) (all int64) {
			for i := range out {
				v, err := strconv.ParseInt(string(out[i].Value), 10, 64)
				if err != nil || out[i].Err != nil {
					t.Errorf("%+v", out[i])
				}
				all += v
			}
			return all
		}
		var movers, readers sync.WaitGroup
		var moved, looked atomic.Int64
		stop := make(chan struct{})
		for m := range 6 {
			movers.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(m), 3))
				for i := 0; i < 60 || looked.Load() < 30 && !t.Failed(); i++ {
					if i >= 60 {
						time.Sleep(100 * time.Microsecond) // else time would stand still for the readers
					}
					from, to, much := rng.IntN(accounts), rng.IntN(accounts), rng.Int64N(20)
					ops := []op.Op{&op.Incr{Key: fmt.Appendf(nil, "account%d", from), Delta: -much}, &op.Incr{Key: fmt.Appendf(nil, "account%d", to), Delta: much}}
					if _, _, err := c.Atomic(ctx, ops, nil); err == nil {
						moved.Add(1)
					}
				}
			})
		}
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					snap, at, err := c.Snapshot(ctx, 0)
					if err != nil {
						t.Error(err)
						return
					}
					if got := sum(snap.Do(ctx, gets)); got != total {
						t.Errorf("the sum at %d is %d", at, got)
					}
					looked.Add(1)
					time.Sleep(50 * time.Microsecond) // else time would stand still for the movers, who wait after a conflict
				}
			})
		}
		movers.Wait()
		close(stop)
		readers.Wait()
		clustertest.Settled(t, n)
		if got := sum(n.Router().Do(ctx, gets)); got != total || moved.Load() < 100 {
			t.Errorf("sum %d after %d transfers and %d snapshots", got, moved.Load(), looked.Load())
		}
	})
}

package partition

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/raftgroup"
	"kahuna/raftgroup/wal"
	"kahuna/storage"
)

// counterClock gives out 1, 2, 3 and so on, or fails while it is told to.
type counterClock struct {
	last atomic.Uint64
	down atomic.Bool
}

func (c *counterClock) Next(_ context.Context, n int) (op.Timestamp, error) {
	if c.down.Load() {
		return 0, errors.New("no leader of the clock")
	}
	return op.Timestamp(c.last.Add(uint64(n)) - uint64(n) + 1), nil
}

// onReplica runs a test on the only replica of a partition that owns everything, in a bubble.
func onReplica(t *testing.T, stamper Stamper, test func(t *testing.T, r *Replica)) {
	t.Helper()
	onReplicaWith(t, stamper, nil, test)
}

func onReplicaWith(t *testing.T, stamper Stamper, onFault func(error), test func(t *testing.T, r *Replica)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{Dir: filepath.Join(dir, "store"), MemTableBytes: 4 << 20, BootID: "boot", Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		log, err := wal.Open(wal.Options{Dir: filepath.Join(dir, "log"), Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		net := raftgroup.NewLoopback("n:1")
		host := raftgroup.NewHost(raftgroup.HostConfig{NodeID: "n", Network: net, Logger: zerolog.Nop(),
			Logs: func(id uint32) raftgroup.LogStore { return log.Group(id) }})
		defer host.Close()
		if err := fsm.Create(store, 1, op.Position{}, op.Position{}); err != nil {
			t.Fatal(err)
		}
		r, err := Open(Config{ID: 1, Host: host, Store: store, Clock: clock.Real(), Stamper: stamper, OnFault: onFault, Logger: zerolog.Nop(),
			Bootstrap: []raftgroup.Peer{{ID: "n", Addr: "n:1", Voter: true}}, Dir: filepath.Join(dir, "group"),
			Limits: Limits{QueueOps: 64, QueueBytes: 1 << 20, EntryOps: 16, EntryBytes: 1 << 16}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if r.ctx.Err() == nil { // the test has not closed it
				r.Close()
			}
		}()
		test(t, r)
	})
}

func (r *Replica) awaitLead(t *testing.T) {
	t.Helper()
	for range 1000 {
		if r.Leads() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the replica does not serve")
}

func setTo(key, value string) fsm.Unit {
	return fsm.Unit{&op.Set{Key: []byte(key), Value: []byte(value)}}
}

// A new leader that gets no timestamp for a long time serves once there are timestamps again.
func TestLeaderWaitsForTheClock(t *testing.T) {
	c := &counterClock{}
	c.down.Store(true)
	onReplica(t, c, func(t *testing.T, r *Replica) {
		time.Sleep(time.Minute)
		if r.Leads() {
			t.Fatal("it serves without a floor")
		}
		if _, err := r.Submit(setTo("a", "1")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("a write ends with %v", err)
		}
		c.down.Store(false)
		r.awaitLead(t)
		if _, err := r.Write(t.Context(), setTo("a", "1")); err != nil {
			t.Error(err)
		}
	})
}

// A leader whose leases can't be read says that it can't go on: it would lead and serve nothing.
func TestLeaderWithDamagedLeases(t *testing.T) {
	c := &counterClock{}
	c.down.Store(true)
	faults := make(chan error, 1)
	onReplicaWith(t, c, func(err error) { faults <- err }, func(t *testing.T, r *Replica) {
		b := r.cfg.Store.NewBatch()
		defer b.Discard()
		b.Set(storage.AppendCurrent(nil, op.Lock([]byte("l"))), []byte{0xff})
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		c.down.Store(false)
		time.Sleep(time.Minute)
		select {
		case err := <-faults:
			if !errors.Is(err, mvcc.ErrDamaged) {
				t.Errorf("the fault is %v", err)
			}
		default:
			t.Errorf("it tells of no fault, and serves: %v", r.Leads())
		}
	})
}

// It can be closed while it waits.
func TestCloseWithoutAClock(t *testing.T) {
	c := &counterClock{}
	c.down.Store(true)
	onReplica(t, c, func(t *testing.T, r *Replica) { time.Sleep(10 * time.Second) })
}

// Without timestamps a write is refused and certainly not in the log.
func TestNoClock(t *testing.T) {
	c := &counterClock{}
	onReplica(t, c, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		c.down.Store(true)
		if _, err := r.Write(t.Context(), setTo("a", "1")); !errors.Is(err, ErrNoClock) {
			t.Errorf("a write without a timestamp ends with %v", err)
		}
		c.down.Store(false)
		if got, err := r.Read(t.Context(), mvcc.Latest, []op.Op{&op.Get{Key: []byte("a")}}); err != nil || got[0].Found {
			t.Errorf("it is there: %+v, %v", got, err)
		}
	})
}

// heldClock lets a test run something between the taking of a timestamp and its use.
type heldClock struct {
	counterClock
	between func(taken op.Timestamp)
}

func (c *heldClock) Next(ctx context.Context, n int) (op.Timestamp, error) {
	first, err := c.counterClock.Next(ctx, n)
	if f := c.between; f != nil && err == nil {
		c.between = nil
		f(first)
	}
	return first, err
}

// A snapshot never changes: a write whose timestamp was taken before the snapshot's, and that comes after the snapshot was read,
// gets another one.
func TestSnapshotThatChanges(t *testing.T) {
	c := &heldClock{}
	onReplica(t, c, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		get := []op.Op{&op.Get{Key: []byte("a")}}
		var at op.Timestamp
		read := func() op.Result {
			got, err := r.Read(context.Background(), at, get)
			if err != nil {
				t.Fatal(err)
			}
			return got[0]
		}
		c.between = func(op.Timestamp) {
			at, _ = c.counterClock.Next(context.Background(), 1)
			if read().Found {
				t.Error("it was read before it was written")
			}
		}
		if _, err := r.Write(t.Context(), setTo("a", "1")); err != nil {
			t.Fatal(err)
		}
		if read().Found {
			t.Error("the snapshot has changed")
		}
	})
}

// Closing under load: every unit ends, and what was refused is not there.
func TestCloseEndsEverything(t *testing.T) {
	onReplica(t, &counterClock{}, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		var mu sync.Mutex
		kinds := map[string]int{}
		enough := make(chan struct{})
		var running sync.WaitGroup
		for g := range 20 {
			running.Go(func() {
				for i := 0; ; i++ {
					_, err := r.Write(context.Background(), setTo(fmt.Sprint(g, "-", i), "v"))
					mu.Lock()
					switch {
					case err == nil:
						if kinds["done"]++; kinds["done"] == 300 {
							close(enough)
						}
					case errors.Is(err, ErrFull):
						kinds["full"]++
					case errors.Is(err, ErrUncertain), errors.Is(err, ErrStopped), errors.Is(err, ErrNotLeader), errors.Is(err, ErrNoClock):
						kinds["closed"]++
						mu.Unlock()
						return
					default:
						t.Errorf("an end without a class: %v", err)
						mu.Unlock()
						return
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
		if kinds["done"] == 0 || kinds["closed"] != 20 {
			t.Errorf("%v", kinds)
		}
		if _, err := r.Submit(setTo("a", "1")); !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrStopped) {
			t.Errorf("after it was closed: %v", err)
		}
	})
}

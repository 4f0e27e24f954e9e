package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
	"kahuna/raftgroup/simnet"
	"kahuna/storage"
	"kahuna/tests/sim/history"
)

// world is a cluster, its network and its global clock, and what happened in it.
type world struct {
	seed    uint64
	dir     string
	began   time.Time
	ring    ring
	logger  zerolog.Logger
	net     *simnet.Net
	stamper *stamper
	timing  raftgroup.Timing
	peers   []raftgroup.Peer
	nodes   []*node
	copies  int
	dying   sync.WaitGroup // instances that were killed

	diskDelayMax atomic.Int64 // of a sync, ns
	leaders      atomic.Int64 // replicas that became leaders
	installs     atomic.Int64 // snapshots installed
	truncations  atomic.Int64 // logs cut off at the front
	history      history.Log
	tally        tally

	mu     sync.Mutex
	errors []error
}

// timing makes elections fast, and logs short, so that replicas that were away need a snapshot.
var timing = raftgroup.Timing{HeartbeatTimeout: 300 * time.Millisecond, ElectionTimeout: 300 * time.Millisecond,
	LeaseTimeout: 150 * time.Millisecond, CommitTimeout: 50 * time.Millisecond, ConfirmTimeout: 300 * time.Millisecond,
	MaxAppendEntries: 16, TrailingLogs: 10}

// newWorld makes a cluster in a directory and starts it.
func newWorld(seed uint64, dir string, size int, t raftgroup.Timing) (*world, error) {
	w := &world{seed: seed, dir: dir, began: time.Now(), net: simnet.New(seed), stamper: newStamper(seed), timing: t}
	w.logger = zerolog.New(&w.ring).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	w.diskDelayMax.Store(int64(time.Millisecond))
	for i := range size {
		id := fmt.Sprintf("n%d", i)
		w.peers = append(w.peers, raftgroup.Peer{ID: id, Addr: id, Voter: true})
		w.nodes = append(w.nodes, &node{w: w, id: id, dir: filepath.Join(dir, id), clock: clock.Skew(clock.Real()),
			rng: rand.New(rand.NewPCG(seed, uint64(100+i)))})
	}
	for _, n := range w.nodes {
		if err := os.MkdirAll(filepath.Join(n.dir, "groups"), 0o750); err != nil {
			return w, err
		}
		if err := n.start(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// close stops everything and joins it.
func (w *world) close() {
	for _, n := range w.nodes {
		if err := n.stop(); err != nil {
			w.fail(fmt.Errorf("stopping %s: %w", n.id, err))
		}
	}
	w.dying.Wait()
	w.net.Close()
}

// fail notes that something went wrong that no fault excuses.
func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errors = append(w.errors, fmt.Errorf("at %v: %w", time.Since(w.began), err))
}

func (w *world) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.errors...)
}

// heal ends all faults but those of instances. A network is never quite without delays and duplicates.
func (w *world) heal() {
	w.net.Heal()
	w.net.SetFaults(simnet.Faults{DelayMax: time.Millisecond, Duplicate: 0.01})
	w.stamper.slow.Store(false)
	w.stamper.down.Store(false)
	w.diskDelayMax.Store(int64(time.Millisecond))
}

// leader is a node that believes to lead a partition, or nil.
func (w *world) leader(id uint32) *node {
	for _, n := range w.nodes {
		if i := n.running(); i != nil && i.replicas[id].Leads() {
			return n
		}
	}
	return nil
}

// until waits until a condition holds.
func (w *world) until(limit time.Duration, what string, holds func() bool) error {
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", limit, what)
		}
	}
	return nil
}

// ask reads from whoever can answer, until limit.
func (w *world) ask(limit time.Duration, o op.Op) (res op.Result, err error) {
	id := partitionOf(o.Target().Key)
	waited := w.until(limit, fmt.Sprintf("an answer about %s", o.Target().Key), func() bool {
		for _, n := range w.nodes {
			if res, err = n.read(id, mvcc.Latest, o); err == nil {
				return true
			}
		}
		return false
	})
	return res, errors.Join(waited, err)
}

// recovers sees that each partition answers again, now that it is healed.
func (w *world) recovers() error {
	for id := range ranges {
		for _, key := range registers {
			if partitionOf(key) == id {
				if _, err := w.ask(recoverMax, &op.Get{Key: key}); err != nil {
					return fmt.Errorf("partition %d: %w", id, err)
				}
			}
		}
	}
	return w.failure()
}

var errDown = errors.New("sim: the node is down")

// callTimeout is how long a client waits.
const callTimeout = 700 * time.Millisecond

func (n *node) read(id uint32, at op.Timestamp, o op.Op) (op.Result, error) {
	i := n.enter()
	if i == nil {
		return op.Result{}, errDown
	}
	defer i.calls.Done()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	results, err := i.replicas[id].Read(ctx, at, []op.Op{o})
	if err != nil {
		return op.Result{}, err
	}
	if results[0].Status != op.OK {
		return op.Result{}, fmt.Errorf("status %d", results[0].Status)
	}
	return results[0], nil
}

// settle waits until all replicas of each partition are the same.
func (w *world) settle(limit time.Duration) error {
	for id := range ranges {
		err := w.until(limit, fmt.Sprintf("all replicas of partition %d at one index", id), func() bool {
			first := w.nodes[0].running().replicas[id].Machine().Applied()
			for _, n := range w.nodes {
				if n.running().replicas[id].Machine().Applied() != first {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
		if err := w.compare(id); err != nil {
			return err
		}
	}
	return nil
}

// compare compares all that the replicas of a partition hold.
func (w *world) compare(id uint32) error {
	var first []byte
	for k, n := range w.nodes {
		d, err := dump(n.running().store, n.running().replicas[id])
		if err != nil {
			return err
		}
		if k == 0 {
			first = d
		} else if !bytes.Equal(d, first) {
			return fmt.Errorf("partition %d: %s and %s have applied the same and hold %d and %d bytes that differ", id, w.nodes[0].id, n.id, len(first), len(d))
		}
	}
	return nil
}

// dump is a replica's state with all keys and values of its range, and all that is due in the store (of both partitions).
func dump(store *storage.Store, r *partition.Replica) ([]byte, error) {
	var b bytes.Buffer
	if _, err := r.Machine().Snapshot(&b); err != nil {
		return nil, err
	}
	snap := store.Snapshot()
	defer snap.Close()
	lo := []byte{byte(storage.KindDue)}
	err := snap.Scan(lo, storage.PrefixEnd(nil, lo), false, false, func(key, value []byte) (bool, error) {
		_, n, err := storage.ParseDue(key)
		if err == nil && partitionOf(n.Key) == r.ID() {
			fmt.Fprintf(&b, "%x=%x\n", key, value)
		}
		return true, err
	})
	return b.Bytes(), err
}

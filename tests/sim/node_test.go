package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/internal/clock"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/raftgroup"
	"kahuna/raftgroup/wal"
	"kahuna/storage"
	"kahuna/tests/sim/datadir"
)

// node is a machine with a disk, on which one instance of the program runs, or none.
type node struct {
	w     *world
	id    string
	clock *clock.Skewed

	mu   sync.Mutex
	rng  *rand.Rand // of the disk
	dir  string
	boot int
	inst *instance // nil while it is down
}

// instance is one run of the program.
type instance struct {
	node     *node
	dead     atomic.Bool // killed: what it answers from now on does not count
	store    *storage.Store
	log      *wal.Log
	host     *raftgroup.Host
	replicas map[uint32]*partition.Replica
	calls    sync.WaitGroup
}

// ranges are the partitions: each owns half of the slots.
var ranges = map[uint32][2]op.Position{1: {{}, {Slot: op.Slots / 2}}, 2: {{Slot: op.Slots / 2}, {}}}

// memTableBytes is about the least with which a state machine's batches fit the store.
const memTableBytes = 8 << 20

func partitionOf(name []byte) uint32 {
	if op.Slot(name) < op.Slots/2 {
		return 1
	}
	return 2
}

// enter gives the running instance to a call, which ends with calls.Done; nil when there is none.
func (n *node) enter() *instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inst != nil {
		n.inst.calls.Add(1)
	}
	return n.inst
}

// running is the instance for looking at.
func (n *node) running() *instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inst
}

// start runs the program on what is on the disk.
func (n *node) start() error {
	i := &instance{node: n, replicas: map[uint32]*partition.Replica{}}
	if err := i.open(); err != nil {
		return fmt.Errorf("%s does not start: %w", n.id, errors.Join(err, i.close()))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inst = i
	return nil
}

func (i *instance) open() (err error) {
	n := i.node
	logger := n.w.logger.With().Str("node", n.id).Logger()
	i.store, err = storage.Open(storage.Options{Dir: filepath.Join(n.dir, "store"), MemTableBytes: memTableBytes,
		BootID: fmt.Sprint(n.boot), Logger: logger, OnFault: i.fault})
	if err != nil {
		return err
	}
	i.log, err = wal.Open(wal.Options{Dir: filepath.Join(n.dir, "log"), SegmentBytes: 64 << 10, Logger: logger, OnFault: i.fault,
		Sync: n.sync})
	if err != nil {
		return err
	}
	i.host = raftgroup.NewHost(raftgroup.HostConfig{NodeID: n.id, Network: n.w.net.Node(n.id), Logger: logger, Timing: n.w.timing,
		Logs:    func(id uint32) raftgroup.LogStore { return &watchedLog{Group: i.log.Group(id), w: n.w} },
		OnFault: func(id uint32, err error) { i.fault(fmt.Errorf("partition %d: %w", id, err)) }})
	for id := range ranges {
		if err := i.openReplica(id); err != nil {
			return err
		}
	}
	return nil
}

func (i *instance) openReplica(id uint32) error {
	n := i.node
	ids, err := fsm.List(i.store)
	if err != nil {
		return err
	}
	if !contains(ids, id) {
		if err := fsm.Create(i.store, id, ranges[id][0], ranges[id][1]); err != nil {
			return err
		}
	}
	i.replicas[id], err = partition.Open(partition.Config{ID: id, Host: i.host, Store: i.store, Clock: n.clock, Stamper: n.w.stamper,
		Bootstrap: n.w.peers, Dir: filepath.Join(n.dir, "groups", fmt.Sprint(id)), Logger: n.w.logger,
		Limits:   partition.Limits{QueueOps: 256, QueueBytes: 1 << 20, EntryOps: 16, EntryBytes: 64 << 10},
		OnLeader: func(uint64) { n.w.leaders.Add(1) }})
	return err
}

func contains(ids []uint32, id uint32) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// sync is a disk that takes its time. What was written and not synced is in the disk's files meanwhile, or a part of it.
func (n *node) sync(f *os.File) error {
	n.mu.Lock()
	d := n.rng.Int64N(n.w.diskDelayMax.Load())
	n.mu.Unlock()
	time.Sleep(time.Duration(d))
	return f.Sync()
}

func (i *instance) fault(err error) {
	if !i.dead.Load() {
		i.node.w.fail(fmt.Errorf("%s: %w", i.node.id, err))
	}
}

// close ends the instance in an orderly way.
func (i *instance) close() error {
	var errs []error
	for _, r := range i.replicas {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if i.host != nil {
		errs = append(errs, i.host.Close())
	}
	i.calls.Wait()
	if i.log != nil {
		errs = append(errs, i.log.Close())
	}
	if i.store != nil {
		errs = append(errs, i.store.Close())
	}
	return errors.Join(errs...)
}

// stop stops the program in an orderly way, if it runs.
func (n *node) stop() error {
	i := n.leave()
	if i == nil {
		return nil
	}
	err := i.close()
	n.w.net.Down(n.id)
	return err
}

func (n *node) leave() *instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := n.inst
	n.inst = nil
	return i
}

// kill ends the program at once. The node goes on with a copy of what was on the disk at that moment; the instance is closed aside,
// cut off from everything. All other goroutines must be at rest (synctest.Wait), so that the copy is of one moment. After a power cut
// the machine has booted again, and the store does not trust what was not synced.
func (n *node) kill(power bool) error {
	i := n.leave()
	if i == nil {
		return nil
	}
	i.dead.Store(true)
	old := n.dir
	n.w.copies++
	n.dir = filepath.Join(n.w.dir, fmt.Sprintf("%s.%d", n.id, n.w.copies))
	if power {
		n.boot++
	}
	if err := datadir.Copy(old, n.dir); err != nil {
		return err
	}
	n.w.net.Down(n.id)
	n.w.dying.Go(func() {
		_ = i.close() // its errors are of no interest: the program was killed
		if err := os.RemoveAll(old); err != nil {
			n.w.fail(err)
		}
	})
	return nil
}

// watchedLog counts when a log is dropped as a whole, which happens when a snapshot was installed.
type watchedLog struct {
	*wal.Group
	w *world
}

// DeleteRange deletes entries.
func (l *watchedLog) DeleteRange(low, high uint64) error {
	first, err := l.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.LastIndex()
	if err != nil {
		return err
	}
	if low == first && high == last {
		l.w.installs.Add(1)
	} else if low == first {
		l.w.truncations.Add(1)
	}
	return l.Group.DeleteRange(low, high)
}

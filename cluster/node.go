package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kahuna/fsm"
	"kahuna/hub"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/placement"
	"kahuna/raftgroup"
	"kahuna/raftgroup/wal"
	"kahuna/storage"
)

// Config is what a node is made of. Clock, Network and RandomID are required; the rest has defaults.
type Config struct {
	DataDir  string
	Clock    clock.Clock
	Network  raftgroup.Network // addresses are those of Join and of the other nodes' networks
	RandomID func() string     // a new 40-digit hexadecimal identity
	Identity *Identity         // of the data directory, when the caller has opened it; nil: it is opened
	Join     []string          // peer addresses of a cluster's nodes. A new node with none makes a new cluster
	BootID   string            // of the machine; empty: the kernel's
	DiskFree func() (uint64, error)
	Timing   raftgroup.Timing
	OnFault  func(error) // called once when the node can't go on; it must be closed and the process ended
	Logger   zerolog.Logger

	// OnChanges is told what became of names in partitions that this node leads. It is called from their goroutines that apply, also
	// before Open has returned, and must not wait. May be nil.
	OnChanges func([]mvcc.Change)
	// Calls says who answers other nodes' calls of the kinds from 0x30 to 0x4f, which belong to the packages above.
	Calls map[hub.Kind]hub.Handler

	// OnBelong is called when this node, which belonged to no cluster, has come to belong to one: connections that were made before may
	// be to nodes of others. May be nil.
	OnBelong func()

	// What the other nodes and clients are told about this one.
	Name        string
	ClientAddr  string
	ClusterAddr string
	Zone        string
	DeadAfter   time.Duration    // of silence of a node, after which its replicas are made anew elsewhere; 5 min
	Limits      placement.Limits // of what this node plans when it leads the meta group, but for DeadAfter; zero: placement.DefaultLimits

	// KeepLeaders keeps this node, when it plans, from moving leaders. For simulations with faults: a transfer that is interrupted leaks
	// two goroutines of hashicorp/raft, with which no bubble of testing/synctest can end.
	KeepLeaders bool

	Partitions         int // of a new cluster
	Replication        int // of a new cluster: replicas of each partition, as far as there are nodes; 3
	RequestTimeout     time.Duration
	ReplicaStaleness   time.Duration // of what a replica answers after READONLY, at most; 5 s
	RecordsKept        time.Duration // of interactive transactions, from their start; RecordsKept, at least 10 minutes
	ClockBound         time.Duration // how far ahead the clock's bound is put; 2 s
	ClockJumpMax       time.Duration // the wall clock is not believed further ahead of the bound than this; 366 days
	QueueOpsMax        int
	QueueBytesMax      int
	LockWaitersMax     int // that wait for one lock
	WaitersMax         int // that wait for locks that this node leads
	ChangesRecentBytes int // of which names have changed lately, for each partition that is led here; 1 MiB
	MemtableBytes      int64
	BlockCacheBytes    int64
	LogSegmentBytes    int64
	CheckpointInterval time.Duration
	DiskReserveBytes   uint64

	HistoryRetention   time.Duration // must be longer than any transaction lives; 24 h
	HistoryCollectRate int           // versions collected in a second; 20,000
	HistoryHoldsMax    int           // 1,000
}

func (c *Config) setDefaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.Partitions, 2)
	set(&c.Replication, 3)
	set(&c.QueueOpsMax, 16384)
	set(&c.QueueBytesMax, 64<<20)
	set(&c.HistoryCollectRate, 20_000)
	set(&c.HistoryHoldsMax, 1000)
	set(&c.LockWaitersMax, 16384)
	set(&c.WaitersMax, 65536)
	set(&c.ChangesRecentBytes, 1<<20)
	duration := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	duration(&c.DeadAfter, 5*time.Minute)
	duration(&c.RequestTimeout, 5*time.Second)
	duration(&c.ReplicaStaleness, 5*time.Second)
	duration(&c.RecordsKept, RecordsKept)
	duration(&c.ClockBound, 2*time.Second)
	duration(&c.ClockJumpMax, 366*24*time.Hour)
	duration(&c.CheckpointInterval, 10*time.Second)
	duration(&c.HistoryRetention, 24*time.Hour)
	if c.Limits == (placement.Limits{}) {
		c.Limits = placement.DefaultLimits()
	}
	if c.OnFault == nil {
		c.OnFault = func(error) {}
	}
}

// Limits of a unit and of a log entry made of several. A single operation may be larger, up to entryBytesMax.
const (
	unitOps    = 512
	entryOps   = 1024
	entryBytes = 1 << 20
)

// Node is one member of a cluster.
type Node struct {
	cfg         Config
	identity    *Identity
	hub         *hub.Hub
	sights      sights
	presence    presence
	own         ownReports
	sizes       atomic.Pointer[map[uint32]sized]
	used        atomic.Uint64 // bytes of the store and the log
	controlling time.Duration // since when, on the monotonic clock, this node leads the meta group; for control only
	store       *storage.Store
	log         *wal.Log
	host        *raftgroup.Host
	router      *Router
	oracle      *oracle
	time        *timeClient
	disk        diskGuard
	left        leftList
	waiters     *partition.Quota
	documents   *Documents
	history     *History
	feeds       *feeds
	sessions    *sessions
	collector   collector
	reads       *replicaReads
	faulted     sync.Once
	replicas    replicaSet
	births      births
	addresses   map[string]string // of the members, as they are durable; for the goroutine that follows the cluster's state
	claims      claims
	looking     chan struct{} // a sign that this node leads something else than before
	stepping    chan struct{} // a sign that there may be steps to carry out

	mu       sync.Mutex
	starting error // why the node can't serve; nil when it may, if its groups have leaders

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Open opens the node of a data directory, which is made when it is not there. It returns when its replicas are open; it is of
// use once Ready says so. Nobody else may use the directory.
func Open(cfg Config) (*Node, error) {
	cfg.setDefaults()
	n := &Node{cfg: cfg, starting: errors.New("the node is starting"), births: newBirths(), stepping: make(chan struct{}, 1), looking: make(chan struct{}, 1)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.own.life = uint64(cfg.Clock.Wall().UnixNano())
	n.waiters = &partition.Quota{Max: int64(cfg.WaitersMax)}
	n.disk = diskGuard{free: cfg.DiskFree, reserve: cfg.DiskReserveBytes}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.start(n.keepState)
	n.start(n.join)
	n.start(n.watchSizes)
	n.start(n.tend)
	n.start(n.control)
	n.start(n.bear)
	n.start(n.step)
	n.start(n.followLeaders)
	n.start(n.watchMembership)
	n.start(n.sweep)
	n.start(n.collectRecords)
	n.start(n.compact)
	n.start(n.watchDisk)
	n.start(n.advanceHistory)
	n.start(n.collect)
	return n, nil
}

func (n *Node) start(f func()) {
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		f()
	}()
}

func (n *Node) open() (err error) {
	if n.identity = n.cfg.Identity; n.identity == nil {
		if n.identity, err = OpenIdentity(n.cfg.DataDir, n.cfg.RandomID); err != nil {
			return err
		}
	}
	if err := wal.CheckFormat(filepath.Join(n.cfg.DataDir, "log")); err != nil {
		return fmt.Errorf("the log can't be opened: %w", err)
	}
	n.store, err = storage.Open(storage.Options{Dir: filepath.Join(n.cfg.DataDir, "store"), MemTableBytes: n.cfg.MemtableBytes,
		BlockCacheBytes: n.cfg.BlockCacheBytes, BootID: n.cfg.BootID, Logger: n.cfg.Logger, OnFault: n.fault})
	if err != nil {
		return fmt.Errorf("the store can't be opened: %w", err)
	}
	n.log, err = wal.Open(wal.Options{Dir: filepath.Join(n.cfg.DataDir, "log"), SegmentBytes: n.cfg.LogSegmentBytes,
		Logger: n.cfg.Logger, OnFault: n.fault})
	if err != nil {
		return fmt.Errorf("the log can't be opened: %w", err)
	}
	n.connect()
	return n.openReplicas()
}

// connect makes what talks to other nodes, and what stands on that. Calls come in from here on; to groups that are not open yet
// they are refused.
func (n *Node) connect() {
	n.hub = hub.New(n.cfg.Network, n.identity.Node())
	n.host = raftgroup.NewHost(raftgroup.HostConfig{NodeID: n.identity.Node(), Network: n.hub.Raft(),
		Logs: func(id uint32) raftgroup.LogStore { return n.log.Group(id) }, Logger: n.cfg.Logger, Timing: n.cfg.Timing,
		OnFault: func(id uint32, err error) { n.fault(fmt.Errorf("partition %d: %w", id, err)) }})
	n.oracle = &oracle{clock: n.cfg.Clock, ahead: n.cfg.ClockBound, jump: n.cfg.ClockJumpMax, confirm: n.confirmMeta, raise: n.raiseBound}
	n.time = &timeClient{local: n.leadsMeta, oracle: n.oracle, leader: func() string { return n.router.leader(fsm.Meta) }, ask: n.askClock}
	n.router = &Router{self: n.identity.Node(), replica: n.Replica, clock: n.time, hub: n.hub, mono: n.cfg.Clock.Mono, ctx: n.ctx, writable: n.disk.check,
		timeout: n.cfg.RequestTimeout, unitOps: unitOps, unitSize: entryBytes}
	n.router.routes.Store(noRoutes())
	n.documents = newDocuments(n)
	n.history = newHistory(n)
	n.reads = &replicaReads{node: n, bound: n.cfg.ReplicaStaleness}
	n.feeds = newFeeds(n)
	n.sessions = newSessions(n.feeds.table)
	n.hub.Handle(callWrite, n.handleWrite)
	n.hub.Handle(callRead, n.handleRead)
	n.hub.Handle(callClock, n.handleClock)
	n.hub.Handle(callJoin, n.handleJoin)
	n.hub.Handle(callLook, n.handleLook)
	n.hub.Handle(callWhoIs, n.handleWhoIs)
	n.hub.Handle(callTransfer, n.handleTransfer)
	n.hub.Handle(callWait, n.handleWait)
	n.hub.Handle(callLeave, n.handleLeave)
	n.hub.Handle(callLeaders, n.handleLeaders)
	n.hub.Handle(callBorn, n.handleBorn)
	n.hub.Handle(callPrepare, n.handlePrepare)
	n.hub.Handle(callClose, n.handleClose)
	n.hub.Handle(callWatch, n.sessions.handleWatch)
	n.hub.Handle(callChanged, n.sessions.handleChanged)
	for kind, handler := range n.cfg.Calls {
		n.hub.Handle(kind, handler)
	}
	n.hub.Serve()
}

// Hub is how to call other nodes.
func (n *Node) Hub() *hub.Hub { return n.hub }

// Others are the ids of the cluster's other nodes. It does not wait.
func (n *Node) Others() []string {
	return slices.DeleteFunc(n.router.State().Members(), func(id string) bool { return id == n.identity.Node() })
}

// openReplicas opens what stands in the store, and first of all makes the meta group's replica in a new one.
func (n *Node) openReplicas() error {
	ids, err := fsm.List(n.store)
	if err != nil {
		return err
	}
	if len(ids) == 0 || ids[0] != fsm.Meta {
		if err := fsm.Create(n.store, fsm.Meta, op.Position{}, op.Position{}); err != nil {
			return err
		}
		ids = append([]uint32{fsm.Meta}, ids...)
	}
	if err := n.adopt(); err != nil {
		return err
	}
	if err := n.clearGraves(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := n.openReplica(id); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openReplica(id uint32) error {
	cfg := partition.Config{ID: id, Node: n.identity.Node(), Host: n.host, Store: n.store, Clock: n.cfg.Clock, Stamper: n.router, Bootstrap: n.founders(id),
		Dir: n.groupDir(id), Logger: n.cfg.Logger, OnFault: n.fault, Waiters: n.waiters, OnChanges: n.changed, OnServing: n.serves,
		Limits: partition.Limits{QueueOps: n.cfg.QueueOpsMax, QueueBytes: n.cfg.QueueBytesMax, EntryOps: entryOps, EntryBytes: entryBytes,
			LockWaiters: n.cfg.LockWaitersMax, RecentBytes: n.cfg.ChangesRecentBytes}}
	if id == fsm.Meta {
		cfg.Stamper, cfg.OnLeader, cfg.OnFollower, cfg.OnDocuments = nil, n.leadMeta, n.oracle.follow, n.documents.tell
	}
	cfg.OnRange = func(born []uint32) { n.births.put(id, born) }
	cfg.Admit = func(from, to op.Position) error { return n.admitState(id, from, to) }
	cfg.OnRestored = func() { n.claims.release(id) }
	peers, born, err := n.birthOf(id)
	if born {
		cfg.Bootstrap, cfg.BornAt = peers, fsm.BirthIndex
	}
	if err := errors.Join(err, os.MkdirAll(cfg.Dir, 0o700)); err != nil {
		return err
	}
	r, err := partition.Open(cfg)
	if err != nil {
		return err
	}
	n.replicas.add(r)
	return nil
}

// changed is told what became of names in partitions that this node leads.
func (n *Node) changed(changes []mvcc.Change) {
	n.feeds.table.Observe(changes)
	if n.cfg.OnChanges != nil {
		n.cfg.OnChanges(changes)
	}
}

// founders are the first members of a group, if this node is one of them: only they may make it. A node that is to join a cluster
// makes no meta group.
func (n *Node) founders(id uint32) (peers []raftgroup.Peer) {
	born := []string{n.identity.Node()}
	switch at := n.router.routes.Load().byID[id]; {
	case id == fsm.Meta && (len(n.cfg.Join) > 0 || !n.identity.mayFound()):
		return nil
	case id != fsm.Meta && at == nil:
		return nil
	case id != fsm.Meta:
		born = at.Born
	}
	if !slices.Contains(born, n.identity.Node()) || n.buried(id) {
		return nil
	}
	for _, node := range born {
		peers = append(peers, raftgroup.Peer{ID: node, Addr: node, Voter: true})
	}
	return peers
}

// Close stops the node: what is on its way ends, everything that was started is waited for, and the store is made durable.
func (n *Node) Close() error {
	n.cancel()
	n.running.Wait()
	if n.feeds != nil {
		n.feeds.close()
		n.sessions.close()
	}
	if n.hub != nil {
		n.hub.Close()
	}
	var errs []error
	for _, r := range n.replicas.takeAll() {
		errs = append(errs, r.Close())
	}
	if n.router != nil {
		n.router.close()
		n.time.close()
		n.oracle.close()
	}
	if n.host != nil {
		errs = append(errs, n.host.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// fault tells once that the node can't go on.
func (n *Node) fault(err error) {
	n.faulted.Do(func() {
		n.setReady(err)
		n.cfg.OnFault(err)
	})
}

// Router takes operations to their partitions.
func (n *Node) Router() *Router { return n.router }

// Replica is this node's replica of a partition; nil when it has none.
func (n *Node) Replica(id uint32) *partition.Replica {
	return n.replicas.get(id)
}

// Replicas are all replicas of this node.
func (n *Node) Replicas() []*partition.Replica {
	by := n.replicas.all()
	all := make([]*partition.Replica, 0, len(by))
	for _, r := range by {
		all = append(all, r)
	}
	return all
}

// Ready tells why the node can't serve; nil when it can: the range map is known, and the groups of its replicas have leaders
// that they have caught up with. It does not wait.
func (n *Node) Ready() error {
	n.mu.Lock()
	err := n.starting
	n.mu.Unlock()
	if err != nil {
		return err
	}
	routes := n.router.routes.Load()
	if routes.version == 0 {
		return errors.New("the range map is not known yet")
	}
	for id, r := range routes.byID {
		if slices.Contains(r.Replicas, n.identity.Node()) && n.Replica(id) == nil {
			return fmt.Errorf("the replica of partition %d is not open yet", id)
		}
	}
	for _, r := range n.Replicas() {
		if err := n.current(r); err != nil {
			return err
		}
	}
	return nil
}

// behindMax is by how many entries a replica of a node that is ready may be behind.
const behindMax = 4096

// current tells why a replica is of no use yet.
func (n *Node) current(r *partition.Replica) error {
	if r.Leads() {
		return nil
	}
	s := r.Group().Status()
	switch {
	case s.LeaderID == "" || s.LeaderID == n.identity.Node():
		return fmt.Errorf("partition %d has no leader yet", r.ID())
	case s.Applied+behindMax < s.Commit:
		return fmt.Errorf("the replica of partition %d is %d entries behind", r.ID(), s.Commit-s.Applied)
	}
	return nil
}

func (n *Node) setReady(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.starting = err
}

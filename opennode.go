package main

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	gometrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"kahuna/cluster"
	"kahuna/commands"
	"kahuna/config"
	"kahuna/hub"
	"kahuna/internal/clock"
	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/peer"
	"kahuna/placement"
	"kahuna/script"
	"kahuna/server"
	"kahuna/txn/coord"
	"kahuna/version"
)

// openNode is THE PLACE where the node and the handler of commands are constructed: it turns settings into the options of
// packages cluster, commands and server, and fits what they give to the interfaces of node.go.
func openNode(_ context.Context, cfg *config.Config, ports *ports, log zerolog.Logger) (node, error) {
	k := &kahunaNode{failed: make(chan error, 1), messages: newMessages()}
	identity, err := cluster.OpenIdentity(cfg.DataDir, randomID)
	if err != nil {
		return nil, err
	}
	if k.network, err = openNetwork(cfg, ports, identity, log); err != nil {
		return nil, err
	}
	n, err := cluster.Open(clusterConfig(cfg, ports, identity, k, log))
	if err != nil {
		return nil, errors.Join(err, k.network.Close())
	}
	k.node = n
	k.messages.connect(n)
	debug.FreeOSMemory() // opening reads whole log segments and tables, which Go would hold on to for minutes
	options := coord.DefaultOptions()
	options.Left = n.LeftTransactions
	options.OpenMax, options.TimeoutMax, options.RecordsKept = cfg.TransactionsMax, cfg.TransactionTimeoutMax, cfg.TransactionRecord
	options.WorkingBytesMax = int(cfg.TransactionBytesMax)
	k.coord = coord.New(n.Router(), options)
	started := time.Now()
	handler := commands.NewHandler(commands.Options{
		Backend:  backend{k.coord, n, info(cfg, ports, k, started)},
		History:  n.History(),
		Feed:     n,
		Limits:   commandLimits(cfg),
		Now:      time.Now,
		Rand:     rand.Uint64,
		Settings: settings(cfg),
		After:    time.After,
		Hub:      k.messages.hub,
		Scripts:  scriptOptions(cfg, n, log),
		Users:    commands.UserOptions{Documents: n.Documents(), Secret: secretly, Password: cfg.RequirePass, Protected: cfg.ProtectedMode, Member: n.Member},
		Events:   cfg.NotifyKeyspaceEvents,

		Cluster: n, Operators: n,
	})
	k.handler.Store(handler)
	k.users = followUsers(handler, log)
	serving := serverConfig(cfg, log)
	serving.Refuse = handler.Refusal
	k.server = server.New(serving, sessions{handler, sessionLimits(cfg)})
	return k, nil
}

func clusterConfig(cfg *config.Config, ports *ports, identity *cluster.Identity, k *kahunaNode, log zerolog.Logger) cluster.Config {
	return cluster.Config{
		DataDir: cfg.DataDir, Clock: clock.Real(), Network: k.network, RandomID: randomID, Identity: identity, Join: cfg.Join,
		DiskFree: func() (uint64, error) { return diskFree(cfg.DataDir) }, OnFault: k.fail, OnBelong: k.network.Reconnect, Logger: log,
		Calls: map[hub.Kind]hub.Handler{callMessages: k.messages.receive}, OnChanges: k.changed,
		Name: nodeName(cfg), Zone: cfg.Zone, ClientAddr: advertised(cfg, ports.client), ClusterAddr: advertised(cfg, ports.cluster),
		Partitions: cfg.Partitions, Replication: cfg.Replication, DeadAfter: cfg.NodeDeadAfter, RequestTimeout: cfg.RequestTimeout, ReplicaStaleness: cfg.ReplicaStaleness, QueueOpsMax: cfg.QueueOpsMax,
		LockWaitersMax: cfg.LockWaitersMax, WaitersMax: cfg.WaitersMax, ChangesRecentBytes: int(cfg.ChangesRecentBytes),
		QueueBytesMax: int(cfg.QueueBytesMax), MemtableBytes: cfg.MemtableBytes, BlockCacheBytes: cfg.BlockCacheBytes,
		RecordsKept: cfg.TransactionRecord, ClockBound: cfg.ClockBound, ClockJumpMax: cfg.ClockJumpMax, LogSegmentBytes: cfg.LogSegmentBytes, CheckpointInterval: cfg.CheckpointInterval, DiskReserveBytes: uint64(cfg.DiskReserveBytes),
		HistoryRetention: cfg.HistoryRetention, HistoryCollectRate: cfg.HistoryCollectRate, HistoryHoldsMax: cfg.HistoryHoldsMax,
		Limits: planLimits(cfg),
	}
}

func planLimits(cfg *config.Config) placement.Limits {
	l := placement.DefaultLimits()
	l.SplitLoad, l.SplitBytes = uint64(cfg.SplitOps), uint64(cfg.SplitBytes)
	l.CopyBytesPerSec, l.StepsAtOnce = cfg.CopyBytes, cfg.ReplicaChangesMax
	return l
}

func commandLimits(cfg *config.Config) commands.Limits {
	return commands.Limits{NameBytes: cfg.NameBytesMax, ValueBytes: int(cfg.ValueBytesMax), LockTTLMilli: cfg.LockTTLMax.Milliseconds(),
		LockWaitMilli: cfg.LockWaitMax.Milliseconds(), IdemMilli: cfg.SequenceIdemWindow.Milliseconds(), HoldTTLMilli: cfg.HistoryHoldTTLMax.Milliseconds(), QueuedCommands: cfg.MultiCommandsMax, QueuedBytes: int(cfg.MultiBytesMax),
		Watches: cfg.WatchesMax, Subscriptions: cfg.SubscriptionsMax, ReplyBytes: int(cfg.ReplyBytesMax)}
}

// redisVersion is the version of Redis whose commands the server has, for clients and scripts that look at it.
const redisVersion = "7.4.0"

func scriptOptions(cfg *config.Config, n *cluster.Node, log zerolog.Logger) commands.ScriptOptions {
	levels := [...]zerolog.Level{zerolog.DebugLevel, zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel}
	return commands.ScriptOptions{
		Version: redisVersion,
		Limits: script.Limits{ScriptBytes: cfg.ScriptBytesMax, Steps: cfg.ScriptStepsMax, Time: cfg.ScriptTimeMax,
			MemoryBytes: cfg.ScriptMemoryBytesMax, TotalBytes: cfg.ScriptsMemoryBytesMax, ReplyBytes: int(cfg.ReplyBytesMax)},
		Store: n.Scripts(), CacheBytes: int(cfg.ScriptsCacheBytesMax),
		Log: func(level int, line string) { log.WithLevel(levels[level]).Str("from", "script").Msg(line) },
	}
}

func serverConfig(cfg *config.Config, log zerolog.Logger) server.Config {
	return server.Config{Logger: log, MaxClients: cfg.ClientsMax, MaxRequestBytes: int(cfg.RequestBytesMax), InputBytesMax: cfg.InputBytesMax,
		OutputBufferBytes: int(cfg.OutputBufferBytesMax), PushBufferBytes: int(cfg.PushBufferBytesMax), IdleTimeout: cfg.IdleTimeout, WriteTimeout: cfg.WriteTimeout}
}

func sessionLimits(cfg *config.Config) server.Limits {
	return server.Limits{BulkBytes: int(max(cfg.ValueBytesMax, int64(cfg.NameBytesMax))), RequestBytes: int(cfg.RequestBytesMax),
		PipelineCommands: cfg.PipelineCommandsMax}
}

func nodeName(cfg *config.Config) string {
	if cfg.NodeName != "" {
		return cfg.NodeName
	}
	name, _ := os.Hostname() // a node without a name is shown by its id
	return name
}

func randomID() string {
	var b [20]byte
	if _, err := crand.Read(b[:]); err != nil {
		panic(err) // it never does, says crypto/rand
	}
	return hex.EncodeToString(b[:])
}

// secretly fills b with what nobody can guess.
func secretly(b []byte) {
	if _, err := crand.Read(b); err != nil {
		panic(err) // it never does, says crypto/rand
	}
}

func diskFree(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

func settings(cfg *config.Config) func() []commands.Setting {
	return func() (all []commands.Setting) {
		for _, v := range cfg.Values() {
			all = append(all, commands.Setting{Name: v.Key, Value: v.Text})
		}
		return all
	}
}

// info tells commands about the node.
func info(cfg *config.Config, ports *ports, k *kahunaNode, started time.Time) func() commands.NodeInfo {
	name := nodeName(cfg)
	port := func(l net.Listener) int {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			return a.Port
		}
		return 0
	}
	return func() commands.NodeInfo {
		s, served := k.node.Stats(), server.Stats{}
		if k.server != nil { // the handler asks once while it is made
			served = k.server.Stats()
		}
		user, system := cpuTime()
		return commands.NodeInfo{Program: "kahuna", Version: version.Get().Version, RedisVersion: redisVersion, NodeID: s.NodeID, NodeName: name,
			ClusterID: s.ClusterID, Started: started, Port: port(ports.client), ClusterPort: port(ports.cluster), PeerPort: port(ports.peer),
			AdminPort: port(ports.admin), ClientsMax: cfg.ClientsMax, Nodes: s.Nodes, Partitions: s.Partitions, Leaders: s.Leaders, Replicas: s.Replication,
			StoreBytes: s.StoreBytes, LogBytes: s.LogBytes, MemoryBytes: memoryBytes(), CPUUser: user, CPUSystem: system, Keys: s.Keys,
			IdleSeconds: int64(cfg.IdleTimeout.Seconds()), ProcessID: os.Getpid(), OS: runtime.GOOS + " " + runtime.GOARCH, Commands: served.Commands,
			BytesIn: served.BytesIn, BytesOut: served.BytesOut, Rejected: served.Rejected,
			Extra: append(slices.Concat(placementFields(&s), replicaFields(&s), historyFields(&s), waitingFields(&s)), commands.Field{Name: "messages_not_delivered_to_nodes", Value: strconv.FormatInt(k.messages.relay.Dropped(), 10)})}
	}
}

// placementFields are what INFO tells of where leaders and replicas are.
func placementFields(s *cluster.Stats) []commands.Field {
	leads, placement := strings.Trim(fmt.Sprint(s.Led), "[]"), "complete"
	if s.Placement != nil {
		placement = strings.ReplaceAll(s.Placement.Error(), "\n", "; ")
	}
	return []commands.Field{{Name: "leads", Value: strings.ReplaceAll(leads, " ", ",")}, {Name: "placement", Value: placement},
		{Name: "replica_changes_in_flight", Value: fmt.Sprint(s.Moving)}, {Name: "splits_in_flight", Value: fmt.Sprint(s.Splitting)},
		{Name: "operations_per_second_led_here", Value: fmt.Sprint(s.OpsPerSec)}, {Name: "bytes_led_here", Value: fmt.Sprint(s.LedBytes)}}
}

// replicaFields are what INFO tells of reads on replicas.
func replicaFields(s *cluster.Stats) []commands.Field {
	return []commands.Field{{Name: "replica_reads", Value: fmt.Sprint(s.ReplicaReads)}, {Name: "replica_reads_passed_on", Value: fmt.Sprint(s.ReplicaPassed)},
		{Name: "replica_staleness_ms_max", Value: fmt.Sprint(s.ReplicaStaleness)}}
}

// historyFields are what INFO tells of the history.
func historyFields(s *cluster.Stats) []commands.Field {
	return []commands.Field{{Name: "history_safe_point", Value: fmt.Sprint(s.SafePoint)}, {Name: "history_safe_point_age_ms", Value: fmt.Sprint(s.SafeAge)},
		{Name: "history_holds", Value: fmt.Sprint(s.Holds)}, {Name: "history_versions_collected", Value: fmt.Sprint(s.Collected)}}
}

// waitingFields are what INFO tells of who waits for locks and changes.
func waitingFields(s *cluster.Stats) []commands.Field {
	return []commands.Field{{Name: "lock_waiters", Value: fmt.Sprint(s.Waiters)}, {Name: "change_readers", Value: fmt.Sprint(s.Readers)},
		{Name: "change_pages_recent", Value: fmt.Sprint(s.Recent)}, {Name: "change_pages_walked", Value: fmt.Sprint(s.Walked)}}
}

// memoryBytes is what Go has from the system for this process.
func memoryBytes() int64 {
	sample := []gometrics.Sample{{Name: "/memory/classes/total:bytes"}}
	gometrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// cpuTime is what the process has used of the processors.
func cpuTime() (user, system time.Duration) {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0, 0
	}
	return time.Duration(used.Utime.Nano()), time.Duration(used.Stime.Nano())
}

// kahunaNode is the node with what serves its clients.
type kahunaNode struct {
	messages *messages
	node     *cluster.Node
	coord    *coord.Coordinator
	server   *server.Server
	network  *peer.Network
	handler  atomic.Pointer[commands.Handler]
	failed   chan error
	users    *users
}

// changed is told of changes of names. The partitions run before there is a handler, and with it clients to tell.
func (k *kahunaNode) changed(changes []mvcc.Change) {
	if h := k.handler.Load(); h != nil {
		h.Changed(changes)
	}
}

func (k *kahunaNode) fail(err error) {
	select {
	case k.failed <- err:
	default:
	}
}

// Ready tells why commands can't be served.
func (k *kahunaNode) Ready() error { return k.node.Ready() }

// Failed gets the fault that ended the node.
func (k *kahunaNode) Failed() <-chan error { return k.failed }

// Collectors are the node's metrics.
func (k *kahunaNode) Collectors() []prometheus.Collector { return collectors(k.node, k.server) }

// Clients serves the clients of both ports.
func (k *kahunaNode) Clients() clients { return k.server }

// Close stops what runs on the node, then the node.
func (k *kahunaNode) Close() error {
	k.users.close()
	k.coord.Close()
	k.messages.close()
	return errors.Join(k.node.Close(), k.network.Close())
}

// backend is what the commands stand on.
type backend struct {
	*coord.Coordinator
	node *cluster.Node
	info func() commands.NodeInfo
}

func (b backend) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	return b.node.Router().Do(ctx, ops)
}

func (b backend) Transact(ctx context.Context, watches []op.Seen, fn func(commands.Doer) error) (bool, error) {
	return b.Coordinator.Transact(ctx, watches, func(tx coord.Doer) error { return fn(tx) })
}

func (b backend) Snapshot(ctx context.Context, at op.Timestamp) (commands.Doer, op.Timestamp, error) {
	return b.Coordinator.Snapshot(ctx, at)
}

func (b backend) Begin(ctx context.Context, o coord.BeginOptions) (commands.Txn, error) {
	tx, err := b.Coordinator.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return interactive{tx}, nil
}

func (b backend) TxnStatus(ctx context.Context, start op.Timestamp) (coord.Status, error) {
	return b.Coordinator.Status(ctx, start)
}

// interactive is an interactive transaction as commands see it.
type interactive struct{ *coord.Tx }

func (x interactive) Step(ctx context.Context, fn func(commands.Doer) error) error {
	return x.Tx.Step(ctx, func(d coord.Doer) error { return fn(d) })
}

func (b backend) Timestamps(ctx context.Context, n int) (op.Timestamp, error) {
	return b.node.Router().Now(ctx, n)
}

func (b backend) Wait(ctx context.Context, o *op.LockAcquire, then func(op.Outcome)) {
	b.node.Router().WaitThen(ctx, o, then)
}

func (b backend) Info() commands.NodeInfo { return b.info() }

// sessions fits the handler of commands to the server of connections.
type sessions struct {
	handler *commands.Handler
	limits  server.Limits
}

func (s sessions) Open(info server.ConnInfo) server.Session {
	return &session{s.handler.Open(commands.Conn{ID: info.ID, Remote: info.Remote, Local: info.Local, Cluster: info.Port == server.PortCluster, Kill: info.Kill, Flush: info.Flush, Push: info.Push, Collect: info.Collect, Suspend: info.Suspend}), s.limits, nil}
}

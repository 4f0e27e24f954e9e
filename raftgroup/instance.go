package raftgroup

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// instance is one run of Raft for a group. A group has one at a time; a new one takes its place after a restart.
type instance struct {
	raft      *raft.Raft
	transport *groupTransport
	dead      chan struct{} // closed when raft has stopped: what has no answer by then never gets one
	ctx       context.Context
	cancel    context.CancelFunc // called when dead is closed
}

// groupTransport closes once: Raft closes its transport after it has stopped, and here it is closed before, to end what is under way.
type groupTransport struct {
	*transport
	once  sync.Once
	stall *stall
	limit time.Duration // of a stall
}

func (t *groupTransport) Close() (err error) {
	t.once.Do(func() { err = t.transport.Close() })
	return err
}

func (g *Group) raftConfig() *raft.Config {
	t := g.host.cfg.Timing
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(g.host.cfg.NodeID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = t.HeartbeatTimeout, t.ElectionTimeout, t.LeaseTimeout
	c.CommitTimeout, c.MaxAppendEntries, c.TrailingLogs = t.CommitTimeout, t.MaxAppendEntries, t.TrailingLogs
	c.SnapshotInterval, c.SnapshotThreshold = 10*365*24*time.Hour, 1<<62 // only Compact makes snapshots
	c.NoSnapshotRestoreOnStart = true
	c.NoLegacyTelemetry = true
	c.ShutdownOnRemove = false // the group alone decides when Raft stops
	c.Logger = newBridge(g.logger)
	return c
}

// start runs Raft from what is on disk.
func (g *Group) start() error {
	inst := &instance{dead: make(chan struct{})}
	inst.transport = &groupTransport{transport: g.host.mux.open(g.cfg.ID, groupGuard{g}), stall: &g.log.stall,
		limit: stallLimit * g.host.cfg.Timing.HeartbeatTimeout}
	machine := &adapter{group: g, instance: inst}
	machine.begin()
	err := guarded(func() (err error) {
		inst.raft, err = raft.NewRaft(g.raftConfig(), machine, g.log, g.log, g.snapshots, inst.transport)
		return err
	})
	if err != nil {
		_ = inst.transport.Close()
		return fmt.Errorf("starting raft: %w", err)
	}
	inst.ctx, inst.cancel = context.WithCancel(context.Background())
	g.voters.reset(inst.raft)
	g.refuses.Store(false)
	g.instance.Store(inst)
	g.hurry(inst.raft)
	return nil
}

// Campaign makes this replica stand for election now, if it has not heard of a leader since it was opened. It is for a group that was
// just made, of which nobody leads yet; elsewhere it changes nothing.
func (g *Group) Campaign() {
	if inst := g.instance.Load(); inst != nil {
		campaign(inst.raft)
	}
}

// hurry makes a replica that is the only voter stand for election now. There is nobody else to hear from, so waiting for a
// leader's heartbeat is of no use.
func (g *Group) hurry(r *raft.Raft) {
	if v := g.voters.load(); !v.self || v.quorum != 1 {
		return
	}
	campaign(r)
}

// campaign: Raft looks at its heartbeat timeout at once when it was shortened, and finds that it has never heard from a leader.
func campaign(r *raft.Raft) {
	normal := r.ReloadableConfig()
	short := normal
	short.HeartbeatTimeout -= time.Millisecond
	if err := r.ReloadConfig(short); err == nil {
		_ = r.ReloadConfig(normal)
	}
}

// stop ends Raft and waits for it.
func (g *Group) stop() {
	inst := g.instance.Swap(nil)
	if inst == nil {
		return
	}
	g.ready.Store(0)
	stopped := inst.raft.Shutdown()
	_ = inst.transport.Close() // ends what Raft waits for
	_ = stopped.Error()
	inst.cancel()
	close(inst.dead)
	notify(g.replaced)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// requestRestart asks for a restart of this very instance.
func (g *Group) requestRestart(inst *instance) {
	g.outworn.Store(inst)
	notify(g.restarts)
}

// keep stops Raft when the group is closed or failed, and starts it again when asked to.
func (g *Group) keep() {
	defer close(g.stopped)
	failed := g.failed
	for {
		select {
		case <-g.restarts:
			g.restart()
		case <-failed:
			failed = nil
			g.stop()
			g.tellFault()
		case <-g.closing:
			g.stop()
			if failed != nil && g.failure() != nil {
				g.tellFault()
			}
			return
		}
	}
}

func (g *Group) restart() {
	if inst := g.instance.Load(); g.failure() != nil || inst == nil || inst != g.outworn.Load() {
		return
	}
	g.logger.Warn().Msg("the replica restarts")
	g.stop()
	g.watchdog.clear()
	if err := g.start(); err != nil {
		g.fail(err)
		return
	}
	notify(g.replaced)
}

func (g *Group) tellFault() {
	err := g.failure()
	g.logger.Error().Err(err).Msg("the replica has stopped for good")
	if f := g.host.cfg.OnFault; f != nil {
		f(g.cfg.ID, err)
	}
}

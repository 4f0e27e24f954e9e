package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"kahuna/raftgroup"
	"kahuna/raftgroup/simnet"
)

// nemesis brings faults over a world, by a plan that the seed decides.
type nemesis struct {
	w   *world
	rng *rand.Rand
}

// fault begins something bad and returns how it ends.
type fault struct {
	name  string
	begin func(*nemesis) (end func())
}

// faults are all there are. A run has each at least once.
var faults = []fault{
	{"minority cut off", (*nemesis).split},
	{"one-way cuts", (*nemesis).oneWay},
	{"leader cut off", (*nemesis).isolateLeader},
	{"loss", func(n *nemesis) func() { return n.chance(simnet.Faults{Loss: 0.3, DelayMax: 5 * time.Millisecond}) }},
	{"answers lost", func(n *nemesis) func() {
		return n.chance(simnet.Faults{AnswerLoss: 0.3, DelayMax: 5 * time.Millisecond})
	}},
	{"duplicates and delays", func(n *nemesis) func() {
		return n.chance(simnet.Faults{Duplicate: 0.5, DelayMax: 60 * time.Millisecond})
	}},
	{"node killed", func(n *nemesis) func() { return n.kill(false, n.any()) }},
	{"leader killed", func(n *nemesis) func() { return n.kill(false, n.leader()) }},
	{"all killed", func(n *nemesis) func() { return n.kill(false, n.w.nodes...) }},
	{"power cut", func(n *nemesis) func() { return n.kill(true, n.any()) }},
	{"power cut of all", func(n *nemesis) func() { return n.kill(true, n.w.nodes...) }},
	{"restart", (*nemesis).restart},
	{"transfer", (*nemesis).transfer},
	{"compaction", (*nemesis).compact},
	{"left behind", (*nemesis).leaveBehind},
	{"killed while installing", (*nemesis).killInstalling},
	{"clocks jump", (*nemesis).jump},
	{"slow disks", func(n *nemesis) func() { n.w.diskDelayMax.Store(int64(30 * time.Millisecond)); return n.w.heal }},
	{"slow global clock", func(n *nemesis) func() { n.w.stamper.slow.Store(true); return n.w.heal }},
	{"no global clock", func(n *nemesis) func() { n.w.stamper.down.Store(true); return n.w.heal }},
	{"new leader without global clock", (*nemesis).leadWithoutClock},
	{"snapshot streams cut", (*nemesis).cutStreams},
}

// run goes through all faults in a random order, some two at a time, with time to recover in between, until the time is up and each
// was there.
func (n *nemesis) run(duration time.Duration) {
	end := time.Now().Add(duration)
	for time.Now().Before(end) {
		plan := n.rng.Perm(len(faults))
		for k := 0; k < len(plan); k++ {
			ends := []func(){n.begin(faults[plan[k]])}
			if k+1 < len(plan) && n.rng.IntN(4) == 0 {
				k++
				n.sleep(0, 300)
				ends = append(ends, n.begin(faults[plan[k]]))
			}
			n.sleep(500, 1000)
			for _, end := range ends {
				end()
			}
			n.w.heal()
			if err := n.w.recovers(); err != nil {
				n.w.fail(fmt.Errorf("after %q: %w", faults[plan[k]].name, err))
				return
			}
			n.sleep(300, 800)
		}
	}
}

func (n *nemesis) begin(f fault) func() {
	n.w.logger.Info().Str("fault", f.name).Msg("fault begins")
	n.w.tally.add("fault: "+f.name, 1)
	return f.begin(n)
}

// sleep waits for a random time, in milliseconds.
func (n *nemesis) sleep(least, more int) {
	time.Sleep(time.Duration(least+n.rng.IntN(more)) * time.Millisecond)
}

func (n *nemesis) any() *node { return n.w.nodes[n.rng.IntN(len(n.w.nodes))] }

// leader is the leader of some partition, or any node when there is none.
func (n *nemesis) leader() *node {
	if l := n.w.leader(uint32(1 + n.rng.IntN(len(ranges)))); l != nil {
		return l
	}
	return n.any()
}

func (n *nemesis) split() func() {
	var groups [2][]string
	minority := n.rng.IntN((len(n.w.nodes)+1)/2-1) + 1
	for place, k := range n.rng.Perm(len(n.w.nodes)) {
		side := 0
		if place >= minority {
			side = 1
		}
		groups[side] = append(groups[side], n.w.nodes[k].id)
	}
	n.w.net.Partition(groups[:]...)
	return n.w.heal
}

func (n *nemesis) oneWay() func() {
	for range len(n.w.nodes) {
		if from, to := n.any(), n.any(); from != to {
			n.w.net.Cut(from.id, to.id)
		}
	}
	n.w.net.Cut(n.w.nodes[0].id, n.w.nodes[1].id)
	return n.w.heal
}

func (n *nemesis) isolateLeader() func() {
	n.w.net.Isolate(n.leader().id)
	return n.w.heal
}

func (n *nemesis) chance(f simnet.Faults) func() {
	n.w.net.SetFaults(f)
	return n.w.heal
}

// kill kills nodes at one moment; they start again when it ends.
func (n *nemesis) kill(power bool, nodes ...*node) func() {
	synctest.Wait()
	for _, v := range nodes {
		if v.running() == nil {
			continue
		}
		if err := v.kill(power); err != nil {
			n.w.fail(err)
		}
		n.w.tally.add("kills", 1)
	}
	return func() { n.start(nodes...) }
}

func (n *nemesis) start(nodes ...*node) {
	for _, v := range nodes {
		if v.running() == nil {
			if err := v.start(); err != nil {
				n.w.fail(err)
			}
		}
	}
}

func (n *nemesis) restart() func() {
	v := n.any()
	if err := v.stop(); err != nil {
		n.w.fail(fmt.Errorf("stopping %s: %w", v.id, err))
	}
	n.w.tally.add("restarts", 1)
	return func() { n.start(v) }
}

func (n *nemesis) transfer() func() {
	for id := range uint32(len(ranges)) {
		l := n.w.leader(id + 1)
		if l == nil {
			continue
		}
		if i := l.enter(); i != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if i.replicas[id+1].Group().TransferLeadership(ctx, n.any().id) == nil {
				n.w.tally.add("transfers", 1)
			}
			cancel()
			i.calls.Done()
		}
	}
	return n.w.heal
}

func (n *nemesis) compact() func() {
	for _, v := range n.w.nodes {
		n.compactNode(v)
	}
	return n.w.heal
}

func (n *nemesis) compactNode(v *node) {
	i := v.enter()
	if i == nil {
		return
	}
	defer i.calls.Done()
	for id, r := range i.replicas {
		switch err := r.Group().Compact(); {
		case err == nil:
			n.w.tally.add("compactions", 1)
		case i.dead.Load(), errors.Is(err, raftgroup.ErrNothingToCompact), errors.Is(err, raftgroup.ErrClosed):
		default:
			n.w.fail(fmt.Errorf("compacting partition %d on %s: %w", id, v.id, err))
		}
	}
}

// leaveBehind cuts a node off until what it lacks is compacted away elsewhere, so that it needs a snapshot.
func (n *nemesis) leaveBehind() func() {
	v := n.any()
	n.w.net.Isolate(v.id)
	n.sleep(1500, 500)
	n.compact()
	return n.w.heal
}

// killInstalling does so, and kills the node while it gets the snapshot, or shortly before or after.
func (n *nemesis) killInstalling() func() {
	v := n.any()
	n.w.net.Isolate(v.id)
	n.sleep(1500, 500)
	n.compact()
	n.w.heal()
	before := n.w.installs.Load()
	for range 400 {
		if n.w.installs.Load() != before {
			break
		}
		time.Sleep(5 * time.Millisecond)
		if n.rng.IntN(200) == 0 {
			break
		}
	}
	return n.kill(n.rng.IntN(2) == 0, v)
}

func (n *nemesis) jump() func() {
	for _, v := range n.w.nodes {
		v.clock.Set(time.Duration(n.rng.IntN(12)-6) * time.Hour)
	}
	n.w.tally.add("jumps", len(n.w.nodes))
	return n.w.heal
}

// leadWithoutClock makes a leader lose its place while nobody can get timestamps.
func (n *nemesis) leadWithoutClock() func() {
	n.w.stamper.down.Store(true)
	n.w.net.Isolate(n.leader().id)
	return n.w.heal
}

// cutStreams leaves a node behind, and then breaks the snapshots that are sent to it.
func (n *nemesis) cutStreams() func() {
	n.leaveBehind()
	n.w.heal()
	return n.chance(simnet.Faults{StreamCut: 1})
}

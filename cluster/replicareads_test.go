package cluster_test

import (
	"context"
	"errors"
	"fmt"
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

// What reads on replicas promise is checked on names of one partition that one writer sets in a fixed order, one after the other, to
// 1, then to 2, and so on. In the state after any prefix of the log they are then the same, or the first some of them are one more.

// written is that a round was acknowledged.
type written struct {
	round int
	at    time.Time
}

// looked is what one session was shown of all names by one request.
type looked struct {
	began  time.Time
	values []int
}

// checkReplicaReads checks what sessions were shown, each in its order, against the writes that were acknowledged, in their order.
func checkReplicaReads(writes []written, sessions [][]looked, bound time.Duration) error {
	var errs []error
	for i, session := range sessions {
		before := looked{values: make([]int, 64)}
		for _, l := range session {
			if !prefix(l.values) {
				errs = append(errs, fmt.Errorf("session %d was shown %v, which was at no time so", i, l.values))
			}
			for k, v := range l.values {
				if v < before.values[k] {
					errs = append(errs, fmt.Errorf("session %d was shown %v after %v", i, l.values, before.values))
				}
			}
			if least := roundAt(writes, l.began.Add(-bound)); l.values[len(l.values)-1] < least {
				errs = append(errs, fmt.Errorf("session %d was shown %v: round %d was acknowledged longer than %v before", i, l.values, least, bound))
			}
			before = l
		}
	}
	return errors.Join(errs...)
}

func prefix(values []int) bool {
	for k, v := range values {
		if v > values[0] || v < values[0]-1 || k > 0 && v > values[k-1] {
			return false
		}
	}
	return true
}

// roundAt is the last round that was acknowledged by then.
func roundAt(writes []written, then time.Time) (round int) {
	for _, w := range writes {
		if !w.at.After(then) {
			round = w.round
		}
	}
	return round
}

// TestReplicaReadChecker shows the checker histories that break each of the promises.
func TestReplicaReadChecker(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	writes := []written{{1, at(10)}, {2, at(20)}, {3, at(100)}}
	for name, c := range map[string]struct {
		session []looked
		wrong   string
	}{
		"good":               {[]looked{{at(0), []int{0, 0}}, {at(15), []int{1, 0}}, {at(60), []int{2, 1}}, {at(130), []int{3, 2}}, {at(160), []int{3, 3}}}, ""},
		"stale":              {[]looked{{at(151), []int{2, 2}}}, "longer than"},
		"back in time":       {[]looked{{at(30), []int{2, 2}}, {at(40), []int{2, 1}}}, "after"},
		"a later name first": {[]looked{{at(30), []int{1, 2}}}, "at no time"},
		"a round is missing": {[]looked{{at(30), []int{2, 0}}}, "at no time"},
	} {
		err := checkReplicaReads(writes, [][]looked{c.session}, 50*time.Millisecond)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// replicaReadsRig is one writer and many readers.
type replicaReadsRig struct {
	t      *testing.T
	c      *clustertest.Cluster
	coords []*coord.Coordinator
	names  []string
	stop   atomic.Bool
	writes []written
}

// write writes rounds, now and then as a transaction over two partitions, until stop. A round whose end is not known is written
// again: it is the same.
func (r *replicaReadsRig) write(elsewhere string) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := 1; !r.stop.Load(); round++ {
		value := strconv.Itoa(round)
		if round%4 == 0 {
			ops := []op.Op{set(elsewhere, value)}
			for _, name := range r.names {
				ops = append(ops, set(name, value))
			}
			r.untilDone(rng, func(i int) bool {
				_, done, err := r.coords[i].Atomic(context.Background(), ops, nil)
				return err == nil && done
			})
		} else {
			for _, name := range r.names {
				r.untilDone(rng, func(i int) bool {
					return r.c.Nodes[i].Router().Do(context.Background(), []op.Op{set(name, value)})[0].Err == nil
				})
			}
		}
		r.writes = append(r.writes, written{round, time.Now()})
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
}

func (r *replicaReadsRig) untilDone(rng *rand.Rand, write func(node int) bool) {
	for !write(rng.IntN(len(r.coords))) {
		time.Sleep(5 * time.Millisecond)
	}
}

// read is one session on a node. Errors are what nothing was shown by.
func (r *replicaReadsRig) read(node int, seed uint64) (seen []looked) {
	rng := rand.New(rand.NewPCG(seed, 3))
	var session cluster.ReplicaSession
	var ops []op.Op
	for _, name := range r.names {
		ops = append(ops, get(name))
	}
	for !r.stop.Load() {
		l := looked{began: time.Now()}
		out, _ := r.c.Nodes[node].ReadReplicas(context.Background(), &session, ops, false)
		for i := range out {
			if out[i].Err != nil {
				break
			}
			n, _ := strconv.Atoi(string(out[i].Value)) // not there: 0
			l.values = append(l.values, n)
		}
		if len(l.values) == len(ops) {
			seen = append(seen, l)
		}
		time.Sleep(time.Duration(1+rng.IntN(15)) * time.Millisecond)
	}
	return seen
}

// TestReplicaReads reads on all nodes while one writes, while nodes are cut off, and while the leader changes.
func TestReplicaReads(t *testing.T) {
	const bound = 400 * time.Millisecond
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, dir, 3, 2, 5)
		c.Tune = func(_ int, cfg *cluster.Config) { cfg.ReplicaStaleness, cfg.KeepLeaders = bound, true }
		c.OpenAll()
		defer c.Close()
		r := &replicaReadsRig{t: t, c: c, names: []string{"{b}1", "{b}2", "{b}3", "{b}4"}}
		for _, n := range c.Nodes {
			k := coord.New(n.Router(), coord.DefaultOptions())
			defer k.Close()
			r.coords = append(r.coords, k)
		}
		id := c.Nodes[0].Router().Partition(op.Key([]byte("{b}1")))
		var running sync.WaitGroup
		running.Go(func() { r.write("{a}elsewhere") })
		sessions := make([][]looked, 6)
		for i := range sessions {
			running.Go(func() { sessions[i] = r.read(i%3, uint64(i)) })
		}
		time.Sleep(2 * time.Second)
		for round := range 4 {
			leader := c.AwaitLeader(id)
			cut := clustertest.Address((leader + 1 + round%3) % 3) // a follower, the other one, the leader
			c.Net.Isolate(cut)
			time.Sleep(3 * bound)
			c.Net.Heal()
			time.Sleep(time.Second)
		}
		r.stop.Store(true)
		running.Wait()
		if err := checkReplicaReads(r.writes, sessions, bound); err != nil {
			t.Error(err)
		}
		for i, n := range c.Nodes {
			s := n.Stats()
			t.Logf("node %d: %d reads by replicas, %d passed on", i, s.ReplicaReads, s.ReplicaPassed)
			if s.ReplicaReads == 0 || s.ReplicaPassed == 0 {
				t.Errorf("node %d: %d reads by replicas, %d passed on", i, s.ReplicaReads, s.ReplicaPassed)
			}
		}
		if len(r.writes) < 50 {
			t.Errorf("%d rounds only", len(r.writes))
		}
	})
}

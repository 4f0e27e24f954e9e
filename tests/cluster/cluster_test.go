package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
)

const clients = 9

// floors are what every round must have seen.
var floors = map[string]int{"changes of leader": 1, "dropped packets": 1, "Set": 30, "Get": 30, "Incr": 20, "LockAcquire": 10, "SeqNext": 20,
	"timestamps": 20, "transfers": 5, "looks": 5}

// TestFaults brings faults over a cluster while clients work, in rounds, and judges each round.
func TestFaults(t *testing.T) {
	rng, seed := dice(t)
	// Every node has every partition, so that whoever is in a connected majority can work.
	p := launch(t, *nodesFlag, "--partitions", "4", "--replication-factor", fmt.Sprint(*nodesFlag), "--log-segment-bytes", "8388608", "--checkpoint-interval-ms", "2000")
	end := time.Now().Add(time.Duration(*minutesFlag * float64(time.Minute)))
	checked, given := 0, 0
	for round := 1; ; round++ {
		w := load.New(fmt.Sprintf("%d.", round), seed+uint64(round))
		w.Pause = 40 * time.Millisecond
		n := &nemesis{p, rng, w}
		plan := n.plan(*minutesFlag > 0)
		n.round(t, plan, round, seed)
		if t.Failed() {
			return
		}
		checked, given = checked+w.Checked(), given+len(plan)
		if !time.Now().Before(end) {
			break
		}
	}
	for i := range p.nodes {
		p.stop(i)
	}
	t.Logf("%d operations checked, %d faults given, 0 violations", checked, given)
}

// round has clients work under faults, and judges what they saw.
func (n *nemesis) round(t *testing.T, plan []fault, round int, seed uint64) {
	dropped, changes := n.net.Dropped(), n.changes
	stop := n.load.Run(clients, func(client int) (all []load.Target) {
		for i := range n.nodes {
			all = append(all, &target{w: n.load, name: nodeName(i), addr: n.addr(i, clientPort)})
		}
		return all
	})
	var err error
	for _, f := range plan {
		if err = n.bring(f); err != nil {
			break
		}
	}
	err = errors.Join(err, n.heal())
	stop()
	final := load.Final{}
	if err == nil {
		final, err = n.finish()
	}
	n.load.Count("changes of leader", n.changes-changes)
	n.load.Count("dropped packets", n.net.Dropped()-dropped)
	kept := filepath.Join(os.TempDir(), "kahuna-cluster-failed")
	if mk := os.MkdirAll(kept, 0o700); mk != nil {
		t.Fatal(mk)
	}
	var found []string
	if err == nil {
		found = n.load.Verdict(final, kept)
	}
	if err != nil || len(found) > 0 {
		history := filepath.Join(kept, "history.txt")
		t.Errorf("round %d: %v\n%s\nagain: go test ./tests/cluster -run Faults -seed %d -nodes %d\nhistory in %s (%v)\n%s", round, err,
			strings.Join(found[:min(len(found), 10)], "\n"), seed, len(n.nodes), history, n.load.Save(history), n.logs())
		return
	}
	_ = os.Remove(kept) // nothing is in it, unless a run before failed
	if err := load.Floors(n.load.Counts(), floors); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
	t.Logf("round %d: %d operations checked: %s", round, n.load.Checked(), load.Text(n.load.Counts()))
}

// finish waits until nobody holds a lock and all replicas are placed, and asks for everything.
func (n *nemesis) finish() (f load.Final, err error) {
	asking := &target{w: n.load, name: "final", addr: n.addr(0, clientPort)}
	defer asking.close()
	ask := func(o op.Op) (res op.Result, err error) {
		err = n.await(recoverMax, func() error {
			var end load.Outcome
			if res, end = asking.Do(o); end != load.Answered {
				return fmt.Errorf("no answer to %q", command(o))
			}
			return nil
		})
		return res, err
	}
	if err := n.await(recoverMax+load.LeaseMax, func() error {
		held, err := n.load.Free(ask)
		if err == nil && held != "" {
			return fmt.Errorf("lock %s is still held", held)
		}
		return err
	}); err != nil {
		return f, err
	}
	if err := n.await(recoverMax, n.placed); err != nil {
		return f, err
	}
	return n.load.Finish(ask)
}

func (t *target) close() {
	if t.conn != nil {
		t.conn.Close()
	}
}

// In a ring each node reaches a majority, itself among them, and not all.
func TestRing(t *testing.T) {
	for size := 3; size <= 5; size++ {
		n := &nemesis{processes: &processes{nodes: make([]*process, size)}, rng: rand.New(rand.NewPCG(1, 1))}
		cut := map[int]int{}
		for _, w := range n.ring() {
			cut[w.From]++
		}
		some := 0
		for i := range size {
			if size-cut[i] <= size/2 {
				t.Errorf("%d nodes: node %d reaches %d", size, i, size-cut[i])
			}
			some += cut[i]
		}
		if some == 0 {
			t.Errorf("%d nodes: nothing is cut", size)
		}
	}
}

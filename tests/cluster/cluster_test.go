package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/nemesis"
	"kahuna/tests/cluster/remote"
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
	n := &rounds{Nemesis: &nemesis.Nemesis{Fleet: p, Rng: rng, Replication: *nodesFlag}}
	end := time.Now().Add(time.Duration(*minutesFlag * float64(time.Minute)))
	checked, given := 0, 0
	for round := 1; ; round++ {
		w := load.New(fmt.Sprintf("%d.", round), seed+uint64(round))
		w.Pause = 40 * time.Millisecond
		n.Watch, n.load = w, w
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
	for _, i := range p.Members() {
		if err := p.Stop(i); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d operations checked, %d faults given, 0 violations", checked, given)
}

// rounds are rounds of faults over one cluster.
type rounds struct {
	*nemesis.Nemesis
	load *load.World
}

// plan are the faults of one round: the basic ones, a few others for a short run, all of them for a long one.
func (n *rounds) plan(all bool) []nemesis.Fault {
	var rest []nemesis.Fault
	for _, f := range nemesis.More {
		if f.Lacks == nil || f.Lacks(n.Nemesis) == "" {
			rest = append(rest, f)
		}
	}
	n.Rng.Shuffle(len(rest), func(i, k int) { rest[i], rest[k] = rest[k], rest[i] })
	if !all {
		rest = rest[:2]
	}
	plan := append(slices.Clone(nemesis.Basic), rest...)
	n.Rng.Shuffle(len(plan), func(i, k int) { plan[i], plan[k] = plan[k], plan[i] })
	return plan
}

// round has clients work under faults, and judges what they saw.
func (n *rounds) round(t *testing.T, plan []nemesis.Fault, round int, seed uint64) {
	dropped, changes := n.Net.Dropped(), n.Changes
	stop := n.load.Run(clients, func(client int) (all []load.Target) {
		for _, i := range n.Members() {
			all = append(all, remote.New(n.load, fleet.Name(i), n.Addr(i, fleet.ClientPort)))
		}
		return all
	})
	var err error
	for _, f := range plan {
		if err = n.Bring(f); err != nil {
			break
		}
	}
	err = errors.Join(err, n.Heal())
	stop()
	final := load.Final{}
	if err == nil {
		final, err = n.finish()
	}
	n.load.Count("changes of leader", n.Changes-changes)
	n.load.Count("dropped packets", n.Net.Dropped()-dropped)
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
			strings.Join(found[:min(len(found), 10)], "\n"), seed, n.Size(), history, n.load.Save(history), n.Logs())
		return
	}
	_ = os.Remove(kept) // nothing is in it, unless a run before failed
	if err := load.Floors(n.load.Counts(), floors); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
	t.Logf("round %d: %d operations checked: %s", round, n.load.Checked(), load.Text(n.load.Counts()))
}

// finish waits until nobody holds a lock and all replicas are placed, and asks for everything.
func (n *rounds) finish() (f load.Final, err error) {
	asking := remote.New(n.load, "final", n.Addr(0, fleet.ClientPort))
	defer asking.Close()
	ask := func(o op.Op) (res op.Result, err error) {
		err = n.Await(nemesis.RecoverMax, func() error {
			var end load.Outcome
			if res, end = asking.Do(o); end != load.Answered {
				return fmt.Errorf("no answer to %q", remote.Command(o))
			}
			return nil
		})
		return res, err
	}
	if err := n.Await(nemesis.RecoverMax+load.LeaseMax, func() error {
		held, err := n.load.Free(ask)
		if err == nil && held != "" {
			return fmt.Errorf("lock %s is still held", held)
		}
		return err
	}); err != nil {
		return f, err
	}
	if err := n.Await(nemesis.RecoverMax, n.Placed); err != nil {
		return f, err
	}
	return n.load.Finish(ask)
}

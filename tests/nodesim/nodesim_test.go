package nodesim

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/tests/cluster/load"
)

var (
	seedsFlag = flag.Int("seeds", 1, "how many seeds to run, from 1 on")
	seedFlag  = flag.Uint64("seed", 0, "the one seed to run")
)

const clients = 6

// run is what came of one seed.
type run struct {
	load  *load.World
	final load.Final
	err   error
}

// simulate runs one seed in a bubble. At most faultsMax faults come; wrap changes how clients reach nodes.
func simulate(t *testing.T, seed uint64, faultsMax int, wrap func(*target) load.Target) (r run) {
	dir := diskRoot(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, seed)
		defer w.close()
		r.load = w.load
		stop := w.load.Run(clients, func(int) (all []load.Target) {
			for i := range nodes {
				all = append(all, wrap(&target{w, i}))
			}
			return all
		})
		time.Sleep(time.Second)
		r.err = w.torment(faultsMax)
		stop()
		if r.err == nil {
			r.final, r.err = w.finish()
		}
		w.countNet()
	})
	return r
}

// finish waits until nobody holds a lock, sees that the stores are in order, and asks for everything.
func (w *world) finish() (f load.Final, err error) {
	for limit := time.Now().Add(recoverMax); ; time.Sleep(100 * time.Millisecond) {
		held, err := w.load.Free(w.ask)
		if err == nil && held == "" {
			break
		}
		if time.Now().After(limit) {
			return f, errors.Join(errors.New("still held: "+held), err)
		}
	}
	w.WaitPlaced()
	for _, n := range w.Nodes {
		clustertest.Settled(w.t, n)
	}
	if err := w.same(); err != nil {
		return f, err
	}
	return w.load.Finish(w.ask)
}

func (w *world) countNet() {
	c := w.Net.Counters()
	for what, n := range map[string]int{"lost": c.Lost, "answers lost": c.AnswersLost, "duplicated": c.Duplicated, "delayed": c.Delayed} {
		w.load.Count(what, n)
	}
}

// floors are what every run must have seen.
var floors = map[string]int{"changes of leader": 4, "Set": 100, "Get": 100, "Incr": 50, "LockAcquire": 20, "SeqNext": 50, "timestamps": 50,
	"transfers": 20, "looks": 20, "denied": 1, "splits": 1, "unknown": 1, "lost": 50, "answers lost": 1, "duplicated": 5, "delayed": 100,
	"answered by n0": 100, "answered by n1": 100, "answered by n2": 100}

func TestNodes(t *testing.T) {
	from, to := uint64(1), uint64(*seedsFlag)
	if *seedFlag > 0 {
		from, to = *seedFlag, *seedFlag
	}
	for seed := from; seed <= to && !t.Failed(); seed++ {
		began := time.Now()
		r := simulate(t, seed, len(faults), func(t *target) load.Target { return t })
		took := time.Since(began)
		kept := filepath.Join(os.TempDir(), "kahuna-nodesim")
		if err := os.MkdirAll(kept, 0o700); err != nil {
			t.Fatal(err)
		}
		found := r.load.Verdict(r.final, kept)
		if r.err != nil || len(found) > 0 {
			path := filepath.Join(kept, "history.txt")
			t.Errorf("seed %d: %v\n%s\nagain: go test ./tests/nodesim -run TestNodes -seed %d -count 5\nhistory in %s (%v)", seed, r.err,
				strings.Join(found[:min(len(found), 10)], "\n"), seed, path, r.load.Save(path))
			return
		}
		_ = os.Remove(kept) // nothing is in it, unless a run before failed
		if err := load.Floors(r.load.Counts(), floors); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		t.Logf("seed %d, %v: %d operations checked: %s", seed, took.Round(time.Millisecond), r.load.Checked(), load.Text(r.load.Counts()))
	}
}

// diskRoot is a directory in memory where there is one.
func diskRoot(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "kahuna-nodesim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/tests/sim/history"
)

var (
	seedsFlag = flag.Int("seeds", 3, "how many seeds to run, from 1 on")
	seedFlag  = flag.Uint64("seed", 0, "the one seed to run")
)

// runTime is how long faults go on at least, in virtual time.
const runTime = 30 * time.Second

// clientsPerRun is how many clients there are.
const clientsPerRun = 6

// run is what came of one seed.
type run struct {
	world  *world
	final  final
	events []*history.Event
	err    error // that the run itself met
	took   time.Duration
}

// simulate runs one seed in a bubble.
func simulate(t *testing.T, seed uint64, dir string) (r run) {
	synctest.Test(t, func(*testing.T) {
		size := 3
		if seed%3 == 0 {
			size = 5
		}
		w, err := newWorld(seed, dir, size, timing)
		r.world = w
		defer w.close()
		if err != nil {
			r.err = err
			return
		}
		w.heal()
		w.work()
		if r.err = w.failure(); r.err == nil {
			r.final, r.err = w.finish()
		}
		r.took = time.Since(w.began)
	})
	r.events = r.world.history.Events()
	return r
}

// work lets clients work while faults come and go, and ends with all nodes up and healed.
func (w *world) work() {
	stop := clients(w, clientsPerRun)
	defer stop()
	time.Sleep(2 * time.Second) // time to see that it works at all
	n := &nemesis{w: w, rng: rand.New(rand.NewPCG(w.seed, 1))}
	n.run(runTime)
	n.start(w.nodes...)
	w.heal()
	time.Sleep(3 * time.Second)
}

// floors are what every run must have seen.
var floors = map[string]int{
	"answered": 1000, "unknown": 5, "set": 100, "compare-and-set": 30, "compare-and-set failed": 5, "delete": 10, "get found": 100,
	"get not found": 5, "past found": 50, "incr": 100, "next": 100, "next repeated": 10, "next repeated elsewhere": 2, "lock": 10,
	"lock refused": 10, "lock after expiry": 2, "lock seen": 2, "extend": 10, "release": 2,
	"kills": 5, "restarts": 1, "compactions": 4, "jumps": 3, "changes of leader": 8, "clock failures": 1,
	"lost": 50, "answers lost": 1, "duplicated": 5, "delayed": 100, "log truncations": 4,
}

// floorsOfAll are what must have been seen in all runs together.
var floorsOfAll = map[string]int{"installs": 4, "transfers": 1}

// floorsOfMany are what must have been seen in many runs: a stream breaks at a random place, which may be behind its end.
var floorsOfMany = map[string]int{"streams cut": 3, "installs": 20}

const many = 10

// gate fails a run that did too little, or whose faults did not bite.
func (r *run) gate() error {
	w, c := r.world, r.world.net.Counters()
	for what, n := range map[string]int{"changes of leader": int(w.leaders.Load()), "installs": int(w.installs.Load()),
		"log truncations": int(w.truncations.Load()), "clock failures": int(w.stamper.fails.Load()), "lost": c.Lost,
		"answers lost": c.AnswersLost, "duplicated": c.Duplicated, "delayed": c.Delayed, "streams cut": c.StreamsCut} {
		w.tally.add(what, n)
	}
	needed := map[string]int{}
	for what, n := range floors {
		needed[what] = n
	}
	for _, f := range faults {
		needed["fault: "+f.name] = 1
	}
	return w.tally.below(needed)
}

// TestSim runs seeds and judges each.
func TestSim(t *testing.T) {
	from, to := uint64(1), uint64(*seedsFlag)
	if *seedFlag > 0 {
		from, to = *seedFlag, *seedFlag
	}
	var all tally
	for seed := from; seed <= to && !t.Failed(); seed++ {
		testSeed(t, seed, &all)
	}
	if *seedFlag > 0 || t.Failed() {
		return
	}
	if err := all.below(floorsOfAll); err != nil {
		t.Errorf("%d seeds: %v", to, err)
	}
	if err := all.below(floorsOfMany); err != nil && to >= many {
		t.Errorf("%d seeds: %v", to, err)
	}
	t.Logf("%d seeds: %s", to, all.String())
}

func testSeed(t *testing.T, seed uint64, all *tally) {
	began := time.Now()
	r := simulate(t, seed, diskRoot(t))
	simulated := time.Since(began)
	kept := keepDir(seed)
	if err := firstError(r.world.failure, func() error { return r.err }, func() error { return verdict(r.events, r.final, kept) }, r.gate); err != nil {
		r.keep(t, kept)
		t.Errorf("seed %d: %v\nagain: go test ./tests/sim -run TestSim -seed %d -count 5\nkept in %s", seed, err, seed, kept)
		return
	}
	t.Logf("seed %d: %v in %v, judged in %v: %s", seed, r.took.Round(time.Second), simulated.Round(time.Millisecond),
		(time.Since(began) - simulated).Round(time.Millisecond), r.world.tally.String())
	all.sum(&r.world.tally)
	if err := os.RemoveAll(kept); err != nil {
		t.Error(err)
	}
}

func firstError(checks ...func() error) error {
	for _, c := range checks {
		if err := c(); err != nil {
			return err
		}
	}
	return nil
}

// keepDir is where what explains a failure is kept.
func keepDir(seed uint64) string {
	dir, err := os.MkdirTemp("", fmt.Sprintf("kahuna-sim-%d-", seed))
	if err != nil {
		return os.TempDir()
	}
	return dir
}

func (r *run) keep(t *testing.T, dir string) {
	if err := history.Save(filepath.Join(dir, "history.txt"), r.events); err != nil {
		t.Error(err)
	}
	if err := r.world.ring.save(filepath.Join(dir, "log.json")); err != nil {
		t.Error(err)
	}
}

// diskRoot is a directory in memory where there is one: a simulation writes and syncs a lot.
func diskRoot(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "kahuna-sim-")
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

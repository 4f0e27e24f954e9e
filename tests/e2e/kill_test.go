package e2e

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/rig"
)

// TestKill kills servers with kill -9 at random moments under load, sometimes again while they start, and starts them on the
// same data: what was acknowledged is there, what was not is there as a whole or not at all, and nothing goes back.
func TestKill(t *testing.T) {
	r, seed := dice(t)
	kills := number(*killsFlag, 36, 10)
	t.Run("default settings", func(t *testing.T) { killOften(t, r, seed, kills/3, nil) })
	t.Run("small files", func(t *testing.T) { killOften(t, r, seed+1, kills-kills/3, small) })
}

// killed is what a test has done.
type killed struct{ kills, whileStarting, whileStopping, torn, ackless int }

func killOften(t *testing.T, r *rand.Rand, seed uint64, kills int, args []string) {
	o := rig.Options{Dir: t.TempDir(), Args: args}
	w := load.New("", 16, seed)
	w.ValueBytesMax = 6000
	var did killed
	for did.kills < kills {
		s := start(t, o)
		check(t, w, s, load.Depth{Resolve: true}, "after a kill")
		killUnderLoad(t, r, w, s, &did)
		if (did.torn == 0 || r.IntN(2) == 0) && tearTail(t, r, o.Dir) {
			did.torn++
		}
		if r.IntN(5) == 0 {
			killWhileStarting(t, r, o, &did)
		}
	}
	s := start(t, o)
	check(t, w, s, load.Depth{Resolve: true, All: true}, "at the end")
	stop(t, s)
	c := w.Counts()
	t.Logf("%d kills, %d of them while starting, %d while stopping, %d torn tails added; %v; %d journal keys; refused by: %s", did.kills,
		did.whileStarting, did.whileStopping, did.torn, c, w.Keys(), w.Refusals())
	if c.Unknown == 0 || did.ackless > 0 || did.torn == 0 {
		t.Errorf("vacuous: %d unknown ends, %d kills without an acknowledgement, %d torn tails", c.Unknown, did.ackless, did.torn)
	}
}

func killUnderLoad(t *testing.T, r *rand.Rand, w *load.World, s *rig.Server, did *killed) {
	before := w.Counts()
	k := work(w, s.Listen)
	k.until(t, int64(20+r.IntN(1000)))
	<-time.After(time.Duration(r.IntN(20_000)) * time.Microsecond) // any moment, not just behind an acknowledgement
	w.End()
	if r.IntN(5) == 0 {
		stopFor(t, s, time.Duration(r.IntN(60_000))*time.Microsecond)
		did.whileStopping++
	}
	s.Kill()
	<-k.done
	hold(t, w, "under load")
	if w.Counts().Sub(before).Acked == 0 {
		did.ackless++
	}
	did.kills++
}

// stopFor asks a server to end and gives it a little time for it.
func stopFor(t *testing.T, s *rig.Server, d time.Duration) {
	t.Helper()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(d):
	case <-s.Ended():
	}
}

// killWhileStarting kills a server at any moment before it is ready.
func killWhileStarting(t *testing.T, r *rand.Rand, o rig.Options, did *killed) {
	o.Binary = program
	s, err := rig.Spawn(o)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(time.Duration(r.IntN(400)) * time.Millisecond):
	case <-s.Ready():
	case <-s.Ended():
		t.Fatalf("the server ended by itself:\n%s", s.Log())
	}
	s.Kill()
	did.kills++
	did.whileStarting++
}

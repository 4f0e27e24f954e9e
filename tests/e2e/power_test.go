//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/rig"
)

// disk makes a disk for a test, or skips it.
func disk(t *testing.T, bytes int64) *rig.Disk {
	t.Helper()
	d, err := rig.NewDisk(t.TempDir(), bytes)
	if errors.Is(err, rig.ErrNoLoop) {
		t.Skip(err) // the kernel, not the rig, lacks it
	}
	if err != nil {
		lack(t, "a disk can't be made: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestPowerCut takes the disk away under a server at work, as a power cut does, and starts it again as after a boot. A reply
// counts as an acknowledgement only if it had come before the cut.
func TestPowerCut(t *testing.T) {
	r, seed := dice(t)
	d := disk(t, 1<<30)
	w := load.New("", 16, seed)
	w.ValueBytesMax = 6000
	var did cutOff
	cuts := number(*cutsFlag, 6, 3)
	o := rig.Options{Dir: filepath.Join(d.Mount, "data"), Args: small}
	for did.cuts < cuts {
		o.BootID = fmt.Sprintf("boot-%d", did.cuts)
		s := start(t, o)
		check(t, w, s, load.Depth{Resolve: true}, "after "+o.BootID)
		cut(t, r, w, s, d, &did)
		if r.IntN(4) == 0 {
			o.BootID = fmt.Sprintf("boot-%d", did.cuts)
			cutWhileStarting(t, r, o, d, &did)
		}
	}
	o.BootID = "boot-last"
	s := start(t, o)
	check(t, w, s, load.Depth{Resolve: true, All: true}, "at the end")
	stop(t, s)
	if b, err := os.ReadFile(filepath.Join(o.Dir, "store", "CHECKPOINT")); err != nil || !strings.Contains(string(b), o.BootID) {
		t.Errorf("the server did not see the boot id %s: %q, %v", o.BootID, b, err)
	}
	t.Logf("%d power cuts, %d of them while starting, %d while stopping; %v; %d journal keys; refused by: %s", did.cuts, did.whileStarting,
		did.whileStopping, w.Counts(), w.Keys(), w.Refusals())
	if did.ackless > 0 || w.Counts().Unknown == 0 {
		t.Errorf("vacuous: %d cuts without an acknowledgement, %d unknown ends", did.ackless, w.Counts().Unknown)
	}
}

// cutOff is what a test has done.
type cutOff struct{ cuts, whileStarting, whileStopping, ackless int }

// cut cuts the power under load, or while the server stops.
func cut(t *testing.T, r *rand.Rand, w *load.World, s *rig.Server, d *rig.Disk, did *cutOff) {
	before := w.Counts()
	k := work(w, s.Listen)
	k.until(t, int64(200+r.IntN(2500)))
	<-time.After(time.Duration(r.IntN(20_000)) * time.Microsecond)
	w.End()
	if r.IntN(4) == 0 {
		stopFor(t, s, time.Duration(r.IntN(150_000))*time.Microsecond)
		did.whileStopping++
	}
	unsynced := filepath.Join(d.Mount, "unsynced")
	writeFile(t, unsynced, "this was never synced")
	w.Freeze()
	cutNow(t, s, d)
	<-k.done
	hold(t, w, "under load")
	if b, err := os.ReadFile(unsynced); err == nil && len(b) > 0 {
		t.Error("the cut had no effect: what was never synced is there")
	}
	if w.Counts().Sub(before).Acked == 0 {
		did.ackless++
	}
	did.cuts++
}

// cutWhileStarting cuts the power at any moment before a server is ready.
func cutWhileStarting(t *testing.T, r *rand.Rand, o rig.Options, d *rig.Disk, did *cutOff) {
	o.Binary = program
	s, err := rig.Spawn(o)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(time.Duration(r.IntN(300)) * time.Millisecond):
	case <-s.Ready():
	case <-s.Ended():
		t.Fatalf("the server ended by itself:\n%s", s.Log())
	}
	cutNow(t, s, d)
	did.cuts++
	did.whileStarting++
}

func cutNow(t *testing.T, s *rig.Server, d *rig.Disk) {
	t.Helper()
	if err := d.Cut(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := d.Restore(); err != nil {
		t.Fatal(err)
	}
}

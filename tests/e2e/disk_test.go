//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

// diskReserve is the --disk-reserve-bytes of these tests, and diskBytes the size of their disks.
const (
	diskReserve = 48 << 20
	diskBytes   = 320 << 20
)

// TestFullDisk fills the disk of a data directory below the reserve, by the server's own writes and by another program at
// once. Writes answer TRYAGAIN and change nothing, reads go on, and when there is room again, so do writes.
func TestFullDisk(t *testing.T) {
	t.Run("by its own writes", func(t *testing.T) {
		fullDisk(t, func(t *testing.T, s *rig.Server, dir string) {
			fillUp(t, dir, diskReserve+24<<20) // the rest is left to the server
			writeUntilRefused(t, s)
		})
	})
	t.Run("by another program", func(t *testing.T) {
		fullDisk(t, func(t *testing.T, _ *rig.Server, dir string) { fillUp(t, dir, diskReserve/2) })
	})
}

func fullDisk(t *testing.T, fill func(t *testing.T, s *rig.Server, dir string)) {
	_, seed := dice(t)
	d, o := smallDisk(t)
	s := start(t, o)
	w := load.New("", 8, seed)
	k := work(w, s.Listen)
	k.until(t, 200)
	before := w.Counts()
	fill(t, s, d.Mount)
	awaitRefusals(t, k, 100)
	k.rest()
	during := w.Counts().Sub(before)
	check(t, w, s, load.Depth{All: true}, "while the disk is full")
	c := connect(t, s.Listen)
	r := do(t, c, "SET", "x", "y")
	if text := r.Err(); !strings.HasPrefix(text, "TRYAGAIN ") || !strings.Contains(text, "disk") {
		t.Errorf("while the disk is full SET answers %s", r)
	}
	makeRoom(t, d.Mount)
	awaitWrites(t, c)
	k = work(w, s.Listen)
	k.until(t, 200)
	k.rest()
	check(t, w, s, load.Depth{Resolve: true, All: true}, "with room again")
	s.Kill()
	s = start(t, o)
	check(t, w, s, load.Depth{Resolve: true, All: true}, "after a restart")
	stop(t, s)
	t.Logf("while full: %v; at all: %v; refused by: %s", during, w.Counts(), w.Refusals())
}

// smallDisk makes a disk and says how a server works on it.
func smallDisk(t *testing.T) (*rig.Disk, rig.Options) {
	d := disk(t, diskBytes)
	return d, rig.Options{Dir: filepath.Join(d.Mount, "data"),
		Args: append([]string{"--disk-reserve-bytes", fmt.Sprint(diskReserve)}, small...)}
}

// TestDiskFilledToTheLastByte leaves a server at work no byte at all, at once: faster than it looks. It may end, but with
// room again everything that was acknowledged is there.
func TestDiskFilledToTheLastByte(t *testing.T) {
	_, seed := dice(t)
	d, o := smallDisk(t)
	s := start(t, o)
	w := load.New("", 8, seed)
	k := work(w, s.Listen)
	k.until(t, 300)
	w.End()
	fillUp(t, d.Mount, 0)
	<-k.done
	select {
	case <-s.Ended():
		e := &rig.ExitError{Code: s.ExitCode(), Log: s.Log()}
		t.Logf("the server ended with exit code %d: %q", e.Code, e.Message())
	case <-time.After(2 * time.Second):
		err := w.Check(s.Listen, load.Depth{All: true})
		hold(t, w, "while the disk is full")
		if err != nil { // then because it has ended meanwhile
			if _, late := s.Wait(); late != nil {
				t.Fatalf("while the disk is full: %v, %v", err, late)
			}
		}
		t.Logf("the server goes on; %v", err)
		s.Kill()
	}
	hold(t, w, "under load")
	makeRoom(t, d.Mount)
	s = start(t, o)
	check(t, w, s, load.Depth{Resolve: true, All: true}, "with room again")
	k = work(w, s.Listen)
	k.until(t, 100)
	k.rest()
	stop(t, s)
	t.Logf("%v", w.Counts())
}

func makeRoom(t *testing.T, dir string) {
	t.Helper()
	if err := os.Remove(ballast(dir)); err != nil {
		t.Fatal(err)
	}
}

// ballast is the file that fills the disk.
func ballast(dir string) string { return filepath.Join(dir, "ballast") }

// fillUp fills the disk in one go, save so many bytes.
func fillUp(t *testing.T, dir string, leave int64) {
	t.Helper()
	f, err := os.Create(ballast(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := free(t, dir) - leave; n > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, n); err != nil && leave > 0 {
			t.Fatal(err)
		}
	}
	if block := make([]byte, 4096); leave == 0 {
		for err == nil { // what is left
			_, err = f.Seek(0, 2)
			if err == nil {
				_, err = f.Write(block)
			}
		}
	}
}

func free(t *testing.T, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// writeUntilRefused writes large values until the server takes no more.
func writeUntilRefused(t *testing.T, s *rig.Server) {
	t.Helper()
	c := connect(t, s.Listen)
	value := strings.Repeat("v", 256<<10)
	for i := range 4000 {
		r, err := c.Do("SET", fmt.Sprint("fill", i), value)
		if err != nil {
			s.Wait()
			t.Fatalf("SET: %v; the server's log:\n%s", err, tail(s.Log()))
		}
		if text := r.Err(); text != "" {
			if !strings.HasPrefix(text, "TRYAGAIN ") {
				t.Errorf("SET answers %s", r)
			}
			return
		}
	}
	t.Fatal("the disk can't be filled")
}

// awaitRefusals waits until so many operations more were refused.
func awaitRefusals(t *testing.T, k *working, n int64) {
	t.Helper()
	limit := time.Now().Add(60 * time.Second)
	for from := k.world.Counts().Refused; k.world.Counts().Refused < from+n; {
		if time.Now().After(limit) {
			t.Fatalf("operations are not refused: %v", k.world.Counts())
		}
		select {
		case <-k.done:
			t.Fatalf("the load ended:\n%s", report(k.world))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// awaitWrites waits until writes are taken again.
func awaitWrites(t *testing.T, c *wire.Conn) {
	t.Helper()
	limit := time.Now().Add(60 * time.Second)
	for {
		r := do(t, c, "SET", "x", "y")
		if r.Err() == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("with room again SET answers %s", r)
		}
	}
}

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/tests/e2e/load"
	"kahuna/tests/e2e/logfile"
	"kahuna/tests/e2e/rig"
)

// verdict is what became of a server on damaged files.
type verdict string

const (
	intact verdict = "intact"  // it serves everything that was acknowledged
	found  verdict = "refused" // it ended with an error that says what is wrong
	bad    verdict = "BAD"     // anything else
)

// judge starts a server on a copy that may be damaged, and holds what it serves against the world. fixed: what it serves teaches
// the world nothing.
func judge(w *load.World, dir string, fixed bool) (verdict, string) {
	s, err := rig.Start(rig.Options{Binary: program, Dir: dir, Args: small})
	if err != nil {
		return judgeEnd(err)
	}
	defer s.Kill()
	before := len(w.Violations())
	err = w.Check(s.Listen, load.Depth{All: true, Copy: true, Fixed: fixed})
	if all := w.Violations(); len(all) > before {
		return bad, fmt.Sprintf("served: %d violations, first: %s", len(all)-before, all[before])
	}
	if err == nil {
		return intact, ""
	}
	select { // the server may have met the damage while it was asked
	case <-s.Ended():
		return judgeEnd(&rig.ExitError{Code: s.ExitCode(), Log: s.Log()})
	case <-time.After(time.Minute):
		return bad, fmt.Sprintf("it runs and can't be asked: %v", err)
	}
}

func judgeEnd(err error) (verdict, string) {
	var exit *rig.ExitError
	if !errors.As(err, &exit) {
		return bad, tail(err.Error())
	}
	if exit.Code <= 0 || exit.Message() == "" || exit.Panicked() {
		return bad, fmt.Sprintf("exit code %d: %s", exit.Code, tail(exit.Log))
	}
	return found, exit.Message()
}

// tail is the end of a long text.
func tail(s string) string { return s[max(0, len(s)-1500):] }

// TestBitFlip flips one bit in one file of a copy of the data directory, after a clean stop and after kill -9. A server on the copy
// refuses to start and says why, or serves everything that was acknowledged.
func TestBitFlip(t *testing.T) {
	r, seed := dice(t)
	flips := number(*flipsFlag, 44, 12)
	t.Run("stopped", func(t *testing.T) { flipBits(t, r, seed, flips/2, false) })
	t.Run("killed", func(t *testing.T) { flipBits(t, r, seed+1, flips-flips/2, true) })
}

func flipBits(t *testing.T, r *rand.Rand, seed uint64, flips int, kill bool) {
	original, w := madeData(t, r, seed, kill)
	results := map[string]map[verdict]int{}
	files := regularFiles(t, original)
	for i := range flips {
		dir := copyOf(t, original)
		file := pick(r, files, i)
		at, bit := flip(t, r, filepath.Join(dir, file))
		v, why := judge(w, dir, true)
		t.Logf("%s byte %d bit %d: %s %.300s", file, at, bit, v, why)
		if results[kind(file)] == nil {
			results[kind(file)] = map[verdict]int{}
		}
		if results[kind(file)][v]++; v == bad {
			t.Errorf("one bit of %s (byte %d bit %d, seed %d): %s", file, at, bit, seed, why)
		}
		os.RemoveAll(dir)
	}
	refusals := 0
	for k, n := range results {
		t.Logf("%-12s %v", k, n)
		refusals += n[found]
	}
	if refusals == 0 {
		t.Error("vacuous: no flipped bit was found")
	}
}

// madeData fills a data directory and gives what must be in it, exactly.
func madeData(t *testing.T, r *rand.Rand, seed uint64, kill bool) (dir string, w *load.World) {
	t.Helper()
	dir = t.TempDir()
	w = load.New("", 16, seed)
	w.ValueBytesMax = 60_000
	o := rig.Options{Dir: dir, Args: small}
	for range 2 {
		s := start(t, o)
		check(t, w, s, load.Depth{Resolve: true}, "before")
		k := work(w, s.Listen)
		k.until(t, int64(500+r.IntN(300)))
		if !kill {
			k.rest()
			stop(t, s)
			continue
		}
		w.End()
		s.Kill()
		<-k.done
	}
	settled := copyOf(t, dir) // narrows what is unknown to what every copy holds
	v, why := judge(w, settled, false)
	if os.RemoveAll(settled); v != intact {
		t.Fatalf("undamaged data: %s %s\n%s", v, why, report(w))
	}
	return dir, w
}

// kind is what sort of file it is.
func kind(file string) string {
	base := filepath.Base(file)
	switch ext := filepath.Ext(base); {
	case ext == ".wal" || ext == ".mem" || ext == ".sst" || ext == ".vlog":
		return ext[1:]
	case strings.HasPrefix(file, "groups"):
		return "group"
	}
	return base
}

// pick chooses files so that each kind has its turn.
func pick(r *rand.Rand, files []string, turn int) string {
	kinds := map[string][]string{}
	var order []string
	for _, f := range files {
		if kinds[kind(f)] == nil {
			order = append(order, kind(f))
		}
		kinds[kind(f)] = append(kinds[kind(f)], f)
	}
	of := kinds[order[turn%len(order)]]
	return of[r.IntN(len(of))]
}

// regularFiles are the files with content below dir.
func regularFiles(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func flip(t *testing.T, r *rand.Rand, path string) (at int64, bit int) {
	t.Helper()
	at, bit, err := logfile.FlipBit(r, path)
	if err != nil {
		t.Fatal(err)
	}
	return at, bit
}

// copyOf copies a data directory.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestLostLog takes away or overwrites parts of the log that were acknowledged. A server must refuse each.
func TestLostLog(t *testing.T) {
	r, seed := dice(t)
	original, w := madeData(t, r, seed, true)
	mark, _ := readMark(t, original)
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		intact bool // may also be made good
	}{
		{"a batch in the middle is zeroed", func(t *testing.T, dir string) {
			s := logfile.Fullest(readLog(t, dir))
			f := s.Frames[r.IntN(len(s.Frames)-1)]
			write(t, s.Path, int64(f.At), make([]byte, f.End-f.At))
		}, false},
		{"a sector in the middle is zeroed", func(t *testing.T, dir string) {
			s := logfile.Fullest(readLog(t, dir))
			write(t, s.Path, int64(s.Frames[0].End-1-r.IntN(8)), make([]byte, 512))
		}, false},
		{"everything from a durable batch on is zeroed", func(t *testing.T, dir string) { cutAt(t, readLog(t, dir), mark) }, false},
		{"the last file is cut off", func(t *testing.T, dir string) {
			s := logfile.Current(readLog(t, dir))
			if err := os.Truncate(s.Path, int64(s.Frames[r.IntN(len(s.Frames))].At)); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"the last file is missing", func(t *testing.T, dir string) {
			s := logfile.Current(readLog(t, dir))
			if s.Frames[0].Seq > mark {
				t.Skip("nothing says yet that it must be there")
			}
			if err := os.Remove(s.Path); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"the whole log is missing", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"the mark is missing", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "log", "mark")); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"the store is missing", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, original)
			c.damage(t, dir)
			v, why := judge(w, dir, true)
			t.Logf("%s: %.300s", v, why)
			if v != found && !(c.intact && v == intact) {
				t.Errorf("%s (seed %d): %s", v, seed, why)
			}
		})
	}
}

// cutAt zeroes the log from the batch with that sequence on.
func cutAt(t *testing.T, all []*logfile.Segment, seq uint64) {
	t.Helper()
	for _, s := range all {
		for _, f := range s.Frames {
			if f.Seq >= seq {
				write(t, s.Path, int64(f.At), make([]byte, s.Used()-f.At))
				break
			}
		}
	}
}

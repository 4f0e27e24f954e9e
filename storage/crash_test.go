package storage

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// crashHistory fills a test memtable with a few thousand batches.
var crashHistory = history{keys: 400, valueBytes: 120}

// TestMain doubles as the process that the crash tests kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STORAGE_TEST_CHILD"); dir != "" {
		every, _ := strconv.Atoi(os.Getenv("STORAGE_TEST_CHECKPOINT_EVERY"))
		child(dir, os.Getenv("STORAGE_TEST_BOOT"), uint64(every))
	}
	os.Exit(m.Run())
}

// child commits batches until it is killed, and prints what is committed and what is checkpointed.
func child(dir, boot string, every uint64) {
	o := testOptions(dir)
	o.BootID = boot
	s, err := Open(o)
	if err != nil {
		panic(err)
	}
	n, err := crashHistory.check(s)
	if err != nil {
		panic(err)
	}
	fmt.Println("open", n)
	for n++; ; n++ {
		if err := crashHistory.commit(s, n); err != nil {
			panic(err)
		}
		fmt.Println("commit", n)
		if every > 0 && n%every == 0 {
			if err := s.Checkpoint(nil); err != nil {
				panic(err)
			}
			fmt.Println("checkpoint", n)
		}
	}
}

// progress is what a killed child had said.
type progress struct{ opened, committed, checkpointed uint64 }

// runAndKill lets a child run on a directory until it has committed some more batches, and kills it with SIGKILL.
func runAndKill(t *testing.T, dir, boot string, batches, every uint64) progress {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), "STORAGE_TEST_CHILD="+dir, "STORAGE_TEST_BOOT="+boot,
		fmt.Sprint("STORAGE_TEST_CHECKPOINT_EVERY=", every))
	var problems bytes.Buffer
	c.Stderr = &problems
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	var p progress
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue // cut by the kill, or noise of the test binary
		}
		switch what {
		case "open":
			p.opened = n
		case "commit":
			p.committed = n
		case "checkpoint":
			p.checkpointed = n
		}
		if p.committed >= p.opened+batches {
			_ = c.Process.Kill()
		}
	}
	_ = c.Wait()
	if p.committed == 0 {
		t.Fatalf("the child did nothing: %s", problems.String())
	}
	return p
}

// kill -9 loses nothing, however often, with and without checkpoints.
func TestKillLosesNothing(t *testing.T) {
	for _, every := range []uint64{0, 37} {
		t.Run(fmt.Sprint("checkpoint every ", every), func(t *testing.T) {
			dir, rnd := t.TempDir(), rand.New(rand.NewPCG(every, 1))
			var last progress
			for range 6 {
				p := runAndKill(t, dir, "boot-1", 1+rnd.Uint64N(2500), every)
				if p.opened < last.committed {
					t.Fatalf("%d batches were committed, %d are there", last.committed, p.opened)
				}
				last = p
			}
			s := openTest(t, dir)
			if n, err := crashHistory.check(s); err != nil || n < last.committed {
				t.Fatalf("%d batches were committed, %d are there: %v", last.committed, n, err)
			}
		})
	}
}

// loseUnsynced does to a directory what a power cut may do: of each *.mem, pages that were written after the last
// checkpoint are lost at random, in any file, or it is cut short or empty; deleted files come back.
func loseUnsynced(t *testing.T, dir string, rnd *rand.Rand) {
	t.Helper()
	last, err := readCheckpoint(dir)
	must(t, err)
	if last == nil {
		last = &checkpoint{}
	}
	mems, _, err := listFiles(dir)
	must(t, err)
	for _, m := range mems {
		path := filepath.Join(dir, m.name)
		mark, listed := last.find(m.id)
		b, err := os.ReadFile(path)
		must(t, err)
		if !listed && rnd.IntN(6) == 0 {
			must(t, os.Truncate(path, 0))
			continue
		}
		const page = 4096
		for at := (mark.end + page - 1) / page * page; at < int64(len(b)); at += page {
			if rnd.IntN(4) == 0 {
				clear(b[at:min(at+page, int64(len(b)))])
			}
		}
		if rnd.IntN(4) == 0 { // the rest of the page that was synced may be as it was then
			clear(b[mark.end:min(int64(len(b)), (mark.end+page-1)/page*page)])
		}
		must(t, os.WriteFile(path, b, 0o600))
	}
}

// A power cut leaves a prefix, at or after the last checkpoint.
func TestPowerCutLeavesPrefix(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(7, 7))
	floor, lost := uint64(0), 0
	for i := range 14 {
		boot := fmt.Sprint("boot-", i)
		p := runAndKill(t, dir, boot, 1+rnd.Uint64N(3000), []uint64{0, 50, 700}[i%3])
		if p.opened < floor {
			t.Fatalf("cut %d: at batch %d, but %d was durable", i, p.opened, floor)
		}
		// What was found at the opening is durable too: Open makes it so.
		floor = max(p.opened, p.checkpointed)
		before := copyDir(t, dir)
		loseUnsynced(t, dir, rnd)
		o := testOptions(dir)
		o.BootID = boot + "-after"
		s, err := Open(o)
		if err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
		n, err := crashHistory.check(s)
		if err != nil || n < floor {
			t.Fatalf("cut %d: at batch %d, %d was durable, %d committed: %v (files in %s)", i, n, floor, p.committed, err, before)
		}
		if n < p.committed {
			lost++
		}
		must(t, s.Checkpoint(nil))
		floor = n
		must(t, s.Close())
	}
	if lost == 0 {
		t.Error("no cut lost anything: the test does not test")
	}
}

// Without the guard a cut that hits an older memtable is not a prefix: the simulation can tell.
func TestPowerCutNegativeControl(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	for range 12 {
		dir := t.TempDir()
		runAndKill(t, dir, "boot-1", 2500, 900)
		loseUnsynced(t, dir, rnd)
		// The same boot id: the files are taken for whole.
		s, err := Open(testOptions(dir))
		if err != nil {
			return // seen
		}
		_, err = crashHistory.check(s)
		_ = s.Close()
		if err != nil {
			return // seen
		}
	}
	t.Error("the simulated cuts do no damage")
}

// A *.mem that outlived its flush, as when a snapshot holds it, must not bring back what was deleted in its cut-off end.
func TestPowerCutDropsFlushedMemtable(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, testOptions(dir))
	set(t, s, "victim", "1")
	must(t, s.Checkpoint(nil))
	mems, _, err := listFiles(dir)
	must(t, err)
	if len(mems) != 1 {
		t.Fatal(mems)
	}
	early, err := os.ReadFile(filepath.Join(dir, mems[0].name))
	must(t, err)
	mark, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	must(t, err)
	b := s.NewBatch()
	b.Delete([]byte("victim"))
	must(t, b.Commit())
	must(t, s.Close()) // flushes; the deletion and what it deletes may be collected from here on
	must(t, os.WriteFile(filepath.Join(dir, mems[0].name), early, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, checkpointFile), mark, 0o600))
	o := testOptions(dir)
	o.BootID = "boot-2"
	p, err := survey(dir, o.BootID)
	must(t, err)
	if len(p.keep) != 0 {
		t.Fatalf("a flushed memtable is kept: %v", p.keep)
	}
	s = mustOpen(t, o)
	defer s.Close()
	if got := get(t, s, "victim"); got != "-" {
		t.Fatal(got)
	}
}

// The first version of a *.mem is compared with the tables' largest, so a batch that only deletes must leave a trace there.
func TestDeletingBatchLeavesTrace(t *testing.T) {
	s := openTest(t, t.TempDir())
	set(t, s, "a", "1")
	b := s.NewBatch()
	b.Delete([]byte("a"))
	must(t, b.Commit())
	if get(t, s, string(witnessKey)) == "-" {
		t.Fatal("no trace")
	}
}

func TestBootIDDecidesTrust(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, testOptions(dir))
	must(t, crashHistory.commit(s, 1))
	must(t, s.Checkpoint(nil))
	must(t, crashHistory.commit(s, 2))
	live := copyDir(t, dir)
	must(t, s.Close())
	for boot, want := range map[string]uint64{"boot-1": 2, "boot-2": 1} {
		o := testOptions(copyDir(t, live))
		o.BootID = boot
		s := mustOpen(t, o)
		if n, err := crashHistory.check(s); n != want || err != nil {
			t.Errorf("%s: batch %d, %v", boot, n, err)
		}
		must(t, s.Close())
	}
	o := testOptions(dir) // closed cleanly: nothing is cut
	o.BootID = "boot-3"
	s = mustOpen(t, o)
	defer s.Close()
	if n, err := crashHistory.check(s); n != 2 || err != nil {
		t.Errorf("clean: batch %d, %v", n, err)
	}
}

// capture sees exactly what becomes durable.
func TestCheckpointIsOneMoment(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, testOptions(dir))
	h, stop, done := crashHistory, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
				must(t, h.commit(s, n))
			}
		}
	}()
	for i := range 10 {
		var at uint64
		must(t, s.Checkpoint(func() { at, _ = h.check(s) }))
		cut := copyDuring(t, dir)
		o := testOptions(cut)
		o.BootID = "boot-2"
		c, err := Open(o)
		must(t, err)
		if n, err := h.check(c); n < at || err != nil {
			t.Errorf("%d: captured at %d, found at %d: %v", i, at, n, err)
		}
		must(t, c.Close())
	}
	close(stop)
	<-done
	must(t, s.Close())
}

// copyDuring copies a store in use such that the copy could be what a power cut leaves: first what may be cut back, then
// the list of tables, then the tables. It starts over when a table is compacted away meanwhile.
func copyDuring(t *testing.T, from string) string {
	t.Helper()
	for range 100 {
		to := t.TempDir()
		if copyAll(from, to, formatFile) && copyAll(from, to, checkpointFile) && copyAll(from, to, "*.mem") &&
			copyAll(from, to, "MANIFEST") && copyAll(from, to, "*.sst") {
			if ids, _, err := readManifest(to, 0, false); err == nil {
				if _, err := verifyTables(to, ids); err == nil {
					return to
				}
			}
		}
	}
	t.Fatal("no copy to be had")
	return ""
}

func copyAll(from, to, pattern string) bool {
	names, _ := filepath.Glob(filepath.Join(from, pattern))
	for _, name := range names {
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) && pattern == "*.mem" {
			continue
		}
		if err != nil || os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600) != nil {
			return false
		}
	}
	return true
}

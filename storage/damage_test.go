package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	badger "github.com/dgraph-io/badger/v4"
)

// runDir is a store with tables and a memtable, as a killed process leaves it, and how far it got.
func runDir(t *testing.T) (string, progress) {
	t.Helper()
	dir := t.TempDir()
	p := runAndKill(t, dir, "boot-1", 4000, 250)
	p2 := runAndKill(t, dir, "boot-1", 300, 250)
	return dir, progress{committed: p2.committed, checkpointed: max(p.checkpointed, p2.checkpointed, p2.opened)}
}

// flip copies a store and flips bits in one of its files.
func flip(t *testing.T, dir, name string, rnd *rand.Rand) (copied string, at int64) {
	t.Helper()
	to := copyDir(t, dir)
	path := filepath.Join(to, name)
	b, err := os.ReadFile(path)
	must(t, err)
	size := int64(len(b))
	if strings.HasSuffix(name, ".mem") { // most of it is zeros
		f, err := os.Open(path)
		must(t, err)
		size, err = lastData(f, 0, size)
		must(t, errors.Join(err, f.Close()))
	}
	at = rnd.Int64N(size)
	b[at] ^= 1 << rnd.IntN(8)
	must(t, os.WriteFile(path, b, 0o600))
	return to, at
}

// A flipped bit in any file is an error, or harmless. It is never a wrong or missing key.
func TestFlippedBits(t *testing.T) {
	dir, p := runDir(t)
	rnd := rand.New(rand.NewPCG(5, 5))
	files := map[string][]string{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		kind := filepath.Ext(e.Name())
		if kind == "" {
			kind = e.Name()
		}
		if info, err := e.Info(); err == nil && info.Size() > 0 && e.Name() != lockFile && e.Name() != "LOCK" {
			files[kind] = append(files[kind], e.Name())
		}
	}
	for kind, rounds := range map[string]int{".mem": 30, ".sst": 30, "MANIFEST": 30, checkpointFile: 10, formatFile: 10, ".vlog": 3, "KEYREGISTRY": 5} {
		if len(files[kind]) == 0 {
			t.Fatalf("no %s to damage in %v", kind, files)
		}
		t.Run(strings.Trim(kind, "."), func(t *testing.T) {
			found := 0
			for range rounds {
				name := files[kind][rnd.IntN(len(files[kind]))]
				to, at := flip(t, dir, name, rnd)
				before := fingerprint(t, to)
				s, err := Open(testOptions(to))
				if err != nil {
					found++
					var damage *DamagedError
					var newer ErrNewerFormat
					if !errors.As(err, &damage) && !errors.As(err, &newer) {
						t.Errorf("%s, byte %d: not said to be damage: %v", name, at, err)
					} else if fingerprint(t, to) != before {
						t.Errorf("%s, byte %d: refused (%v), and changed", name, at, err)
					}
					continue
				}
				n, err := crashHistory.check(s)
				if err != nil || n < p.checkpointed {
					t.Errorf("%s, byte %d: at batch %d of %d, %d were durable: %v", name, at, n, p.committed, p.checkpointed, err)
				}
				must(t, s.Close())
			}
			t.Logf("%d of %d found", found, rounds)
		})
	}
}

// Damage that appears while the store is open is found by reading, by a scan as well as by a point read, and stays found.
func TestDamageWhileOpen(t *testing.T) {
	for _, how := range []string{"get", "scan", "verify"} {
		t.Run(how, func(t *testing.T) {
			o := testOptions(t.TempDir())
			s := mustOpen(t, o)
			for n := range uint64(300) {
				must(t, crashHistory.commit(s, n+1))
			}
			must(t, s.Close())
			s = mustOpen(t, o)
			tables, err := filepath.Glob(filepath.Join(o.Dir, "*.sst"))
			must(t, err)
			damageInPlace(t, tables[0], 6000) // the second block
			v := s.Snapshot()
			switch how {
			case "get":
				for i := range crashHistory.keys {
					if _, _, err = v.Get(crashHistory.key(uint64(i))); err != nil {
						break
					}
				}
			case "scan":
				err = v.Scan(nil, nil, false, true, func(_, _ []byte) (bool, error) { return true, nil })
			case "verify":
				err = s.Verify(nil)
			}
			v.Close()
			var damage *DamagedError
			if !errors.As(err, &damage) {
				t.Errorf("reading gives %v", err)
			}
			if err := s.Close(); !errors.As(err, &damage) {
				t.Errorf("Close gives %v", err)
			}
			damageInPlace(t, tables[0], 6000) // back as it was: but a compaction may have lost it meanwhile
			if _, err := Open(o); !errors.As(err, &damage) {
				t.Errorf("Open after that gives %v", err)
			}
		})
	}
}

// damageInPlace flips bits of a byte in the page cache, where a mapping of the file sees it.
func damageInPlace(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 0x55
	_, err = f.WriteAt(b[:], at)
	must(t, errors.Join(err, f.Close()))
}

// What is missing is damage too, unless it is known to be elsewhere.
func TestMissingFiles(t *testing.T) {
	dir, _ := runDir(t)
	mems, _, err := listFiles(dir)
	must(t, err)
	newest := mems[len(mems)-1].name
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	must(t, err)
	for _, name := range []string{badger.ManifestFilename, formatFile, newest, filepath.Base(tables[0])} {
		to := copyDir(t, dir)
		must(t, os.Remove(filepath.Join(to, name)))
		var damage *DamagedError
		if s, err := Open(testOptions(to)); !errors.As(err, &damage) {
			t.Errorf("without %s: %v", name, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
}

// A kill between creating a *.mem and giving it its size leaves an empty one, which Badger does not open (badger#2207).
func TestEmptyMemFile(t *testing.T) {
	dir, p := runDir(t)
	mems, _, err := listFiles(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, memName(mems[len(mems)-1].id+1)), nil, 0o600))
	s := openTest(t, dir)
	if n, err := crashHistory.check(s); n < p.committed || err != nil {
		t.Fatal(n, p, err)
	}
}

// tail says where the newest *.mem of a store ends, and where its last transaction starts.
func tail(t *testing.T, dir string) (path string, starts []int64, end int64) {
	t.Helper()
	mems, _, err := listFiles(dir)
	must(t, err)
	m := mems[len(mems)-1]
	path = filepath.Join(dir, m.name)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	w := window{r: f, limit: m.size}
	for at := int64(memHeaderBytes); ; {
		rec, _, err := w.record(at)
		must(t, err)
		if rec == nil {
			return path, starts, at
		}
		starts = append(starts, at)
		at += rec.size
	}
}

// oneMemtable is a store that was killed with all in one memtable: 100 batches, the first 30 of them checkpointed.
func oneMemtable(t *testing.T) (string, progress) {
	t.Helper()
	o := testOptions(t.TempDir())
	o.MemTableBytes *= 8
	s := mustOpen(t, o)
	p := progress{checkpointed: 30, committed: 100}
	for n := range p.committed {
		must(t, crashHistory.commit(s, n+1))
		if n+1 == p.checkpointed {
			must(t, s.Checkpoint(nil))
		}
	}
	dir := copyDir(t, o.Dir)
	must(t, s.Close())
	return dir, p
}

// A broken entry is damage when something comes behind it, or when it was durable; not when a power cut explains it.
func TestBrokenEntry(t *testing.T) {
	dir, p := oneMemtable(t)
	path, starts, _ := tail(t, dir)
	last, err := readCheckpoint(dir)
	must(t, err)
	beforeEnd := last.mems[0].end - 10 // in the entry that ends batch 30
	for _, c := range []struct {
		name    string
		at      int64
		alone   bool // nothing behind it
		boot    string
		damaged bool
	}{
		{"killed, data behind it", starts[len(starts)/2] + 40, false, "boot-1", true},
		{"killed, durable, data behind it", beforeEnd, false, "boot-1", true},
		{"killed, durable, nothing behind it", beforeEnd, true, "boot-1", true},
		{"power cut, durable", beforeEnd, false, "boot-2", true},
		{"power cut, not durable", starts[len(starts)/2] + 40, false, "boot-2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(copyDir(t, dir))
			o.BootID = c.boot
			name := filepath.Join(o.Dir, filepath.Base(path))
			damageInPlace(t, name, c.at)
			if c.alone {
				must(t, os.Truncate(name, last.mems[0].end))
			}
			s, err := Open(o)
			var damage *DamagedError
			if errors.As(err, &damage) != c.damaged {
				t.Fatal(err)
			}
			if err == nil {
				if n, err := crashHistory.check(s); n != p.checkpointed || err != nil {
					t.Error(n, err)
				}
				must(t, s.Close())
			}
		})
	}
}

// What a kill in the middle of a commit leaves is cut off; the same in a file that is not the newest is damage.
func TestTornTail(t *testing.T) {
	dir, p := oneMemtable(t)
	path, starts, end := tail(t, dir)
	b, err := os.ReadFile(path)
	must(t, err)
	for name, zeroFrom := range map[string]int64{
		"before the end of the transaction": starts[len(starts)-1],
		"in its end":                        end - 3,
		"in an entry":                       starts[len(starts)-3] + 20,
		"between entries":                   starts[len(starts)-3],
		"start of an entry not written":     -starts[len(starts)-1],
	} {
		t.Run(name, func(t *testing.T) {
			to, torn := copyDir(t, dir), append([]byte(nil), b...)
			if zeroFrom < 0 {
				clear(torn[-zeroFrom : -zeroFrom+6])
			} else {
				clear(torn[zeroFrom:end])
			}
			must(t, os.WriteFile(filepath.Join(to, filepath.Base(path)), torn, 0o600))
			s := mustOpen(t, testOptions(to))
			if n, err := crashHistory.check(s); err != nil || n < p.committed-1 || n < p.checkpointed {
				t.Error(n, p, err)
			}
			must(t, s.Close())

			to = copyDir(t, dir)
			must(t, os.WriteFile(filepath.Join(to, filepath.Base(path)), torn, 0o600))
			id := uint64(0)
			_, _ = fmt.Sscanf(filepath.Base(path), "%d.mem", &id)
			must(t, os.WriteFile(filepath.Join(to, memName(id+1)), make([]byte, 100), 0o600))
			var damage *DamagedError
			if _, err := Open(testOptions(to)); !errors.As(err, &damage) {
				t.Error("not the newest:", err)
			}
		})
	}
}

// A record of MANIFEST with a damaged length is told from one that was not written to its end.
func TestManifestTail(t *testing.T) {
	dir, p := runDir(t)
	path := filepath.Join(dir, badger.ManifestFilename)
	b, err := os.ReadFile(path)
	must(t, err)
	var starts []int
	for at := 8; at < len(b); at += 8 + int(binary.BigEndian.Uint32(b[at:])) {
		starts = append(starts, at)
	}
	last := starts[len(starts)-1]
	grown := append([]byte(nil), b...)
	binary.BigEndian.PutUint32(grown[last:], uint32(len(b)-last-8+1))
	torn := append(append([]byte(nil), b...), b[last:len(b)-1]...)
	for name, c := range map[string]struct {
		content []byte
		ok      bool
		durable int64
	}{
		"length too large":         {grown, false, 0},
		"cut short":                {torn, true, int64(len(b))},
		"cut where it was durable": {b[:last+9], false, int64(len(b))},
	} {
		t.Run(name, func(t *testing.T) {
			to := copyDir(t, dir)
			mark, err := readCheckpoint(to)
			must(t, err)
			mark.manifest = c.durable
			must(t, writeCheckpoint(to, mark))
			must(t, os.WriteFile(filepath.Join(to, badger.ManifestFilename), c.content, 0o600))
			s, err := Open(testOptions(to))
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			if err == nil {
				if n, err := crashHistory.check(s); n < p.committed || err != nil {
					t.Error(n, p, err)
				}
				must(t, s.Close())
			}
		})
	}
}

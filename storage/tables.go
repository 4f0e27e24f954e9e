package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// readManifest is the tables that MANIFEST lists. Badger reads a record whose length field was damaged as one that was not
// written to its end, and drops it; that is told apart here. durable is how much of it the last checkpoint saw, end how much
// of it is good.
func readManifest(dir string, durable int64, clean bool) (ids []uint64, end int64, err error) {
	damage := func(at int64, reason string) error {
		return &DamagedError{File: badger.ManifestFilename, Offset: at, Reason: reason}
	}
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	manifest, end, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return nil, 0, damage(0, err.Error())
	}
	all, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	if tail := all[end:]; len(tail) > 0 {
		if clean || end < durable || wholeRecord(tail) {
			return nil, 0, damage(end, "a record is broken")
		}
	}
	ids = make([]uint64, 0, len(manifest.Tables))
	for id := range manifest.Tables {
		ids = append(ids, id)
	}
	return ids, end, nil
}

// wholeRecord tells whether a record of MANIFEST, [length 4][crc32c 4][content], is all there but for its length.
func wholeRecord(b []byte) bool {
	return len(b) > 8 && crc32.Checksum(b[8:], castagnoli) == binary.BigEndian.Uint32(b[4:])
}

// verifyTables reads all of the tables and checks their checksums. It returns the largest version in them. Badger does not
// do this itself, for it does it in goroutines of its own, where damage is a panic that nobody can catch.
func verifyTables(dir string, ids []uint64) (maxVersion uint64, err error) {
	var (
		wg    sync.WaitGroup
		next  atomic.Int64
		mu    sync.Mutex
		first error
	)
	work := func() {
		defer wg.Done()
		for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
			version, err := verifyTable(dir, ids[i])
			mu.Lock()
			maxVersion = max(maxVersion, version)
			if first == nil {
				first = err
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}
	for range min(len(ids), runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go work()
	}
	wg.Wait()
	return maxVersion, first
}

// verifyTable checks one table: its index and every block. The checksum alarm knows this function by its name.
func verifyTable(dir string, id uint64) (maxVersion uint64, err error) {
	name := table.IDToFilename(id)
	defer func() {
		if r := recover(); r != nil {
			err = caught(name, r)
		}
	}()
	file, err := z.OpenMmapFile(filepath.Join(dir, name), os.O_RDONLY, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, &DamagedError{File: name, Reason: "the table is missing"}
		}
		return 0, &DamagedError{File: name, Reason: err.Error()}
	}
	t, err := table.OpenTable(file, table.Options{ReadOnly: true, BlockSize: blockBytes, ChkMode: options.OnTableAndBlockRead})
	if err != nil {
		return 0, &DamagedError{File: name, Reason: err.Error()}
	}
	maxVersion = t.MaxVersion()
	return maxVersion, t.Close(-1)
}

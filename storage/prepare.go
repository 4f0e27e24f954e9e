package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	badger "github.com/dgraph-io/badger/v4"
)

// plan is what is to be done to the directory before Badger opens it. It is made without changing anything, so that a
// store that is found damaged stays as it was found.
type plan struct {
	remove []string         // names of files
	cut    map[string]int64 // name: new length in bytes
	keep   []memMark        // the *.mem files that are left, as they are afterwards
	// manifest is how many bytes of MANIFEST are good; 0: there is none yet.
	manifest int64
}

// memFile is a *.mem file that was found.
type memFile struct {
	name string
	id   uint64
	size int64
}

// survey looks at a store that exists and decides what of it is to be trusted; see doc.go. boot is the present boot id.
func survey(dir, boot string) (*plan, error) {
	last, err := readCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	if last == nil { // only a creation that was cut short has none
		last = &checkpoint{}
	}
	mems, rest, err := listFiles(dir)
	if err != nil {
		return nil, err
	}
	p := &plan{cut: make(map[string]int64), remove: rest.disposable}
	if !rest.manifest {
		return p, checkUnborn(last, mems, rest)
	}
	ids, end, err := readManifest(dir, last.manifest, last.clean)
	if err != nil {
		return nil, err
	}
	p.manifest = end
	flushed, err := verifyTables(dir, ids)
	if err != nil {
		return nil, err
	}
	if err := checkMissing(last, mems, flushed); err != nil {
		return nil, err
	}
	switch {
	case last.clean:
		// Everything is in tables. A *.mem can only be what a reader held on to when the store was closed.
		for _, m := range mems {
			p.remove = append(p.remove, m.name)
		}
	case boot != "" && last.boot == boot:
		err = p.trust(dir, last, mems)
	default:
		err = p.cutBack(dir, last, mems, flushed)
	}
	return p, err
}

// checkUnborn accepts a directory without MANIFEST only if Badger has never written anything to it.
func checkUnborn(last *checkpoint, mems []memFile, rest otherFiles) error {
	written := last.clean || last.manifest > 0 || len(last.mems) > 0 || rest.tables > 0
	for _, m := range mems {
		written = written || m.size > 0
	}
	if written {
		return &DamagedError{File: badger.ManifestFilename, Reason: "the file is missing"}
	}
	return nil
}

// checkMissing finds that a *.mem is gone whose content is not in the tables.
func checkMissing(last *checkpoint, mems []memFile, flushed uint64) error {
	for _, mark := range last.mems {
		there := slices.ContainsFunc(mems, func(m memFile) bool { return m.id == mark.id && m.size > 0 })
		if !there && mark.first > flushed {
			return &DamagedError{File: memName(mark.id), Reason: "the file is missing and its content is in no table"}
		}
	}
	return nil
}

// trust is for a store that was killed but whose machine kept running: all that was written is there. The newest file may
// end with a transaction, and an entry, that was being written.
func (p *plan) trust(dir string, last *checkpoint, mems []memFile) error {
	newest := uint64(0) // of those that have any content
	for _, m := range mems {
		if m.size > 0 {
			newest = m.id
		}
	}
	for _, m := range mems {
		if m.size == 0 {
			// Killed while creating it (badger#2207), or, since deleting begins with truncating, while deleting it.
			p.remove = append(p.remove, m.name)
			continue
		}
		mark, err := checkMem(dir, m, m.id == newest)
		if err != nil {
			return err
		}
		if old, ok := last.find(m.id); ok && mark.end < old.end {
			return &DamagedError{File: m.name, Offset: mark.end, Reason: fmt.Sprintf("broken before byte %d, which was durable", old.end)}
		}
		p.leave(m, mark)
	}
	return nil
}

// cutBack is for a store whose machine went down: only what the checkpoint covers is known to be whole.
func (p *plan) cutBack(dir string, last *checkpoint, mems []memFile, flushed uint64) error {
	for _, m := range mems {
		old, listed := last.find(m.id)
		if !listed || m.size == 0 || old.first <= flushed {
			p.remove = append(p.remove, m.name)
			continue
		}
		mark, err := scanMem(dir, m, old.end)
		if err != nil {
			return err
		}
		if mark.end != old.end || mark.first != old.first {
			return &DamagedError{File: m.name, Offset: mark.end, Reason: fmt.Sprintf("broken before byte %d, which was durable", old.end)}
		}
		p.leave(m, mark)
	}
	return nil
}

// leave keeps a *.mem as far as mark says.
func (p *plan) leave(m memFile, mark memMark) {
	if mark.first == 0 {
		p.remove = append(p.remove, m.name)
		return
	}
	if mark.end < m.size {
		p.cut[m.name] = mark.end
	}
	p.keep = append(p.keep, mark)
}

// scanMem reads a *.mem up to a limit and says how far it is good.
func scanMem(dir string, m memFile, limit int64) (memMark, error) {
	f, err := os.Open(filepath.Join(dir, m.name))
	if err != nil {
		return memMark{}, err
	}
	defer f.Close()
	if err := checkMemHeader(f, m.name); err != nil {
		return memMark{}, err
	}
	var log memLog
	if _, err := log.advance(f, min(limit, m.size)); err != nil {
		return memMark{}, err
	}
	return memMark{id: m.id, end: log.end, first: log.first}, nil
}

// checkMem reads all of a *.mem: good entries and then only zeros. In the newest one, the last transaction may be without
// its end, and one entry may be broken, if nothing comes after it.
func checkMem(dir string, m memFile, newest bool) (memMark, error) {
	f, err := os.Open(filepath.Join(dir, m.name))
	if err != nil {
		return memMark{}, err
	}
	defer f.Close()
	if m.size >= memHeaderBytes || !newest {
		if err := checkMemHeader(f, m.name); err != nil {
			return memMark{}, err
		}
	}
	var log memLog
	stop, err := log.advance(f, m.size)
	if err != nil {
		return memMark{}, err
	}
	data, err := lastData(f, stop.at, m.size)
	if err != nil {
		return memMark{}, err
	}
	allowed := stop.at
	if newest {
		allowed += cmp.Or(stop.extent, memRecordMax) // an entry need not have been written from its start on
	}
	if data > allowed {
		return memMark{}, &DamagedError{File: m.name, Offset: stop.at, Reason: "a broken entry with data behind it"}
	}
	if stop.inTxn && !newest {
		return memMark{}, &DamagedError{File: m.name, Offset: stop.at, Reason: "a transaction without its end"}
	}
	return memMark{id: m.id, end: log.end, first: log.first}, nil
}

// checkMemHeader sees that the file says it is not encrypted. The rest of the header is not used then.
func checkMemHeader(f *os.File, name string) error {
	var head [memHeaderBytes]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return &DamagedError{File: name, Reason: "the header: " + err.Error()}
	}
	if binary.BigEndian.Uint64(head[:8]) != 0 {
		return &DamagedError{File: name, Reason: "the header names an encryption key"}
	}
	return nil
}

// otherFiles is what else there is of Badger's.
type otherFiles struct {
	manifest   bool
	tables     int
	disposable []string
}

// listFiles is the *.mem files, oldest first, and the rest. Disposable are files that hold nothing in this store, but which
// a crash may leave in a state that Badger does not open: the value log and its statistics (all values are below the
// threshold), and the registry of encryption keys (there are none).
func listFiles(dir string) (mems []memFile, rest otherFiles, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, rest, err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == badger.ManifestFilename:
			rest.manifest = true
		case strings.HasSuffix(name, ".sst"):
			rest.tables++
		case strings.HasSuffix(name, ".vlog"), name == "DISCARD", name == badger.KeyRegistryFileName, strings.HasSuffix(name, ".tmp"):
			rest.disposable = append(rest.disposable, name)
		case strings.HasSuffix(name, ".mem"):
			m, err := statMem(e)
			if err != nil {
				return nil, rest, err
			}
			mems = append(mems, m)
		}
	}
	slices.SortFunc(mems, func(a, b memFile) int { return int(int64(a.id) - int64(b.id)) })
	return mems, rest, nil
}

func statMem(e fs.DirEntry) (memFile, error) {
	id, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".mem"), 10, 63)
	if err != nil {
		return memFile{}, &DamagedError{File: e.Name(), Reason: "the name has no number"}
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return memFile{name: e.Name(), id: id}, nil // deleted since; size 0 says so
	}
	if err != nil {
		return memFile{}, err
	}
	return memFile{name: e.Name(), id: id, size: info.Size()}, nil
}

// carryOut does what was planned and makes it durable.
func (p *plan) carryOut(dir string) error {
	for _, name := range p.remove {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, size := range p.cut {
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			return err
		}
	}
	for _, m := range p.keep {
		if err := syncPath(filepath.Join(dir, memName(m.id))); err != nil {
			return err
		}
	}
	if p.manifest > 0 {
		if err := syncPath(filepath.Join(dir, badger.ManifestFilename)); err != nil {
			return err
		}
	}
	return syncPath(dir)
}

package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	badger "github.com/dgraph-io/badger/v4"
)

// Checkpoint makes everything durable that was committed before capture is called. capture runs while no commit is under
// way, so that the caller can note how far it has come; it must be quick, and must not write. When Checkpoint returns nil, not
// even a power cut brings the store back to before that moment. Checkpoints run one at a time, others wait.
//
// Badger's DB.Sync is not used: it syncs the log of the active memtable only, which is synced here with all others (msync
// and fsync are the same thing in Linux), and the value log, which is empty; and it makes readers wait meanwhile.
func (s *Store) Checkpoint(capture func()) error {
	select {
	case <-s.ended:
		return ErrClosed
	case <-s.faults.raised:
		return s.faults.check()
	case <-s.checkpointing:
		defer func() { s.checkpointing <- struct{}{} }()
	}
	err := s.checkpoint(capture)
	if err == nil {
		err = s.checkAlarm()
	}
	if err != nil {
		return s.faults.raise(err)
	}
	return nil
}

func (s *Store) checkpoint(capture func()) error {
	// Most of the reading is done while commits go on. What is left under the gate is what came in the meantime.
	if _, err := s.readMems(false); err != nil {
		return err
	}
	marks, size, err := s.capture(capture)
	if err != nil {
		return err
	}
	for _, m := range marks {
		// A file that is gone was flushed: its table is durable.
		if err := syncPath(filepath.Join(s.dir, memName(m.id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncPath(filepath.Join(s.dir, badger.ManifestFilename)); err != nil { // its last record may be just being synced
		return err
	}
	if err := syncPath(s.dir); err != nil { // a *.mem made since the last time
		return err
	}
	if err := s.faults.check(); err != nil {
		return err
	}
	return writeCheckpoint(s.dir, &checkpoint{boot: s.boot, manifest: size, mems: marks})
}

// capture notes how far all files go at one moment between commits.
func (s *Store) capture(capture func()) ([]memMark, int64, error) {
	s.commits.shut()
	defer s.commits.open()
	if capture != nil {
		capture()
	}
	size, err := manifestBytes(s.dir)
	if err != nil {
		return nil, 0, err
	}
	marks, err := s.readMems(true)
	return marks, size, err
}

// readMems reads on in all *.mem files. With settled, nothing is being written, and each must end with a transaction.
func (s *Store) readMems(settled bool) ([]memMark, error) {
	files, _, err := listFiles(s.dir)
	if err != nil {
		return nil, err
	}
	for id := range s.mems {
		if !slices.ContainsFunc(files, func(m memFile) bool { return m.id == id }) {
			delete(s.mems, id)
		}
	}
	var marks []memMark
	for _, m := range files {
		log := s.mems[m.id]
		if log == nil {
			log = new(memLog)
			s.mems[m.id] = log
		}
		there, err := readMem(filepath.Join(s.dir, m.name), m, log, settled)
		if err != nil {
			return nil, err
		}
		if there && log.first != 0 {
			marks = append(marks, memMark{id: m.id, end: log.end, first: log.first})
		}
	}
	return marks, nil
}

// readMem reads on in one file; false when it is gone, or going: Badger empties a file before it removes it.
func readMem(path string, m memFile, log *memLog, settled bool) (there bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	stop, err := log.advance(f, m.size)
	if err != nil {
		return false, err
	}
	now, err := f.Stat()
	if err != nil {
		return false, err
	}
	if now.Size() < log.end {
		return false, nil
	}
	if settled && (stop.inTxn || stop.extent != 0) {
		return false, &DamagedError{File: m.name, Offset: stop.at, Reason: "what was just written is not there"}
	}
	return true, nil
}

func writeCheckpoint(dir string, c *checkpoint) error {
	return replaceFile(dir, checkpointFile, c.encode())
}

func manifestBytes(dir string) (int64, error) {
	info, err := os.Stat(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Reserve gives the memtables' files the disk blocks that they may come to need. Badger makes them sparse and maps them into
// memory, so that a disk that others fill meanwhile would end the process in the middle of a write. It is called from time to
// time, by one goroutine; a file that has its blocks costs nothing.
func (s *Store) Reserve() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	files, err := filepath.Glob(filepath.Join(s.dir, "*.mem"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := reserve(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Blocks*512 >= st.Size {
		return err
	}
	return unix.Fallocate(int(f.Fd()), 0, 0, st.Size)
}

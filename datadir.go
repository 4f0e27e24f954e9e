package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file in a data directory whose lock says that a process uses it. It stays when the process has gone: the
// lock is the kernel's and goes with it.
const lockName = "LOCK"

// dataDir is a data directory that is this process's own until Close.
type dataDir struct{ lock *os.File }

// lockDataDir makes the directory if it is not there and takes it for this process.
func lockDataDir(dir string) (*dataDir, error) {
	if err := makeDir(filepath.Clean(dir)); err != nil {
		return nil, &failure{exitSetting, fmt.Errorf("data-dir = %q can't be used: %w", dir, err)}
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &failure{exitSetting, fmt.Errorf("data-dir = %q can't be used: %w", dir, err)}
	}
	if err := take(f, dir); err != nil {
		f.Close()
		return nil, err
	}
	return &dataDir{f}, nil
}

// take locks f and writes this process's id into it, for who is refused.
func take(f *os.File, dir string) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &failure{exitBusy, fmt.Errorf("data directory %s is in use by process %s; stop that one, or choose another "+
			"directory with --data-dir", dir, owner(f))}
	}
	if err != nil {
		return fmt.Errorf("data directory %s can't be locked: %w", dir, err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	return nil
}

// owner is the process id that stands in the lock file.
func owner(f *os.File) string {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	id := strings.TrimSpace(string(text))
	if _, bad := strconv.Atoi(id); err != nil || bad != nil {
		return "(unknown)"
	}
	return id
}

// Close gives the directory free.
func (d *dataDir) Close() error { return d.lock.Close() }

// makeDir makes a directory and those above it that are missing, and syncs each one's entry: what is stored in it later must
// not be lost with the directory itself in a power cut.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return &os.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

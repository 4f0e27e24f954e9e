package storage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of the store's own files. The rest of the directory is Badger's.
const (
	formatFile     = "FORMAT"
	checkpointFile = "CHECKPOINT"
	damagedFile    = "DAMAGED"
	lockFile       = "STORE-LOCK"
)

// storedFormat is the format this program writes, and the newest it knows.
const storedFormat = 1

// memMark is what a checkpoint knows of one *.mem file.
type memMark struct {
	id    uint64
	end   int64  // bytes, the end of a transaction
	first uint64 // version of its first transaction; 0: it has none
}

// checkpoint is what stands in CHECKPOINT: how much of the store is durable.
type checkpoint struct {
	boot     string // boot id of the kernel it was made under
	clean    bool   // the store was closed: all is in tables, no *.mem counts
	manifest int64  // bytes of MANIFEST that were durable
	mems     []memMark
}

func (c *checkpoint) find(id uint64) (memMark, bool) {
	for _, m := range c.mems {
		if m.id == id {
			return m, true
		}
	}
	return memMark{}, false
}

func (c *checkpoint) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "checkpoint 1\nboot %q\nclean %t\nmanifest %d\n", c.boot, c.clean, c.manifest)
	for _, m := range c.mems {
		fmt.Fprintf(&b, "mem %d %d %d\n", m.id, m.end, m.first)
	}
	fmt.Fprintf(&b, "crc %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

func decodeCheckpoint(b []byte) (*checkpoint, error) {
	bad := &DamagedError{File: checkpointFile, Reason: "not a checkpoint"}
	i := bytes.LastIndex(b, []byte("crc "))
	if i < 0 || string(b[i:]) != fmt.Sprintf("crc %08x\n", crc32.Checksum(b[:i], castagnoli)) {
		return nil, bad
	}
	c, r := new(checkpoint), bytes.NewReader(b[:i])
	if _, err := fmt.Fscanf(r, "checkpoint 1\nboot %q\nclean %t\nmanifest %d\n", &c.boot, &c.clean, &c.manifest); err != nil {
		return nil, bad
	}
	for r.Len() > 0 {
		var m memMark
		if _, err := fmt.Fscanf(r, "mem %d %d %d\n", &m.id, &m.end, &m.first); err != nil {
			return nil, bad
		}
		c.mems = append(c.mems, m)
	}
	return c, nil
}

// readCheckpoint reads CHECKPOINT; nil when there is none.
func readCheckpoint(dir string) (*checkpoint, error) {
	b, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeCheckpoint(b)
}

// replaceFile gives a file new content, such that after a crash it has the old one or the new one, and is durable on return.
func replaceFile(dir, name string, content []byte) error {
	temp := filepath.Join(dir, name+".tmp")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncPath(dir)
}

// syncPath makes a file, or the entries of a directory, durable. A file need not be open for writing for that.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readFormat is the format of the store in a directory; 0 when there is no store.
func readFormat(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var found int
	if _, err := fmt.Sscanf(string(b), "store-format %d\n", &found); err != nil || found < 1 {
		return 0, &DamagedError{File: formatFile, Reason: "not a format number"}
	}
	if found > storedFormat {
		return found, ErrNewerFormat{Found: found, Known: storedFormat}
	}
	return found, nil
}

func writeFormat(dir string) error {
	return replaceFile(dir, formatFile, fmt.Appendf(nil, "store-format %d\n", storedFormat))
}

// readDamaged is the damage that an earlier run met while it was running, if any.
func readDamaged(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, damagedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return &DamagedError{Reason: "found by an earlier run: " + strings.TrimSpace(string(b))}
}

// bootID names the running kernel's boot; empty, and so never equal to a stored one, when it is not known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

package wal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const markName = "mark"

// mark is what must be true of the log: it reaches at least up to a batch, and begins with a segment.
type mark struct {
	seq   uint64 // last batch known to be durable
	first uint64 // number of the oldest segment; older files are leftovers
	clean bool   // the log was closed in order: it ends exactly at seq, with nothing behind
}

func (m mark) encode() []byte {
	b := make([]byte, markBytes)
	if m.clean {
		b[12] = 1
	}
	le.PutUint64(b[16:], m.seq)
	le.PutUint64(b[24:], m.first)
	seal(b, markMagic)
	return b
}

func decodeMark(b []byte) (mark, error) {
	if err := unseal(b, markMagic); err != nil {
		return mark{}, err
	}
	return mark{seq: le.Uint64(b[16:]), first: le.Uint64(b[24:]), clean: b[12] == 1}, nil
}

// markFile is the open mark. It is overwritten in place, within one sector, so that it needs no space on a full disk. It has
// one user at a time: Open, the keeper, Close.
type markFile struct {
	f    *os.File
	sync func(*os.File) error
	mark mark // what is in the file
}

func (m *markFile) save(to mark) error {
	if to == m.mark {
		return nil
	}
	if _, err := m.f.WriteAt(to.encode(), 0); err != nil {
		return err
	}
	if err := m.sync(m.f); err != nil {
		return err
	}
	m.mark = to
	return nil
}

// openMark reads the mark. Without the file it returns fs.ErrNotExist.
func openMark(o Options) (*markFile, error) {
	f, err := os.OpenFile(filepath.Join(o.Dir, markName), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	b := make([]byte, markBytes+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, err
	}
	got, err := decodeMark(b[:min(n, markBytes)])
	if err == nil && n != markBytes {
		err = errors.New("wrong length")
	}
	if err != nil {
		f.Close()
		if errors.Is(err, ErrNewerFormat) {
			return nil, err
		}
		return nil, &CorruptError{Reason: "mark: " + err.Error()}
	}
	return &markFile{f: f, sync: o.Sync, mark: got}, nil
}

// createMark makes the mark of an empty log. It is there before the first segment.
func createMark(o Options) error {
	path := filepath.Join(o.Dir, markName)
	f, err := os.OpenFile(path+tempSuffix, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(mark{first: 1}.encode(), 0); err != nil {
		return err
	}
	if err := o.Sync(f); err != nil {
		return err
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return o.syncDir()
}

// openOrCreateMark refuses a directory that has segments and no mark: what the mark guarded is lost.
func openOrCreateMark(o Options, segments int) (*markFile, error) {
	m, err := openMark(o)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	if segments > 0 {
		return nil, &CorruptError{Reason: "mark is missing"}
	}
	if err := createMark(o); err != nil {
		return nil, err
	}
	return openMark(o)
}

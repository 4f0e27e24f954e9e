// Package datadir copies data directories, as a kill at that moment would leave them.
package datadir

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Copy copies a directory with all that is in it to a path where nothing is, while a node may still write to it.
func Copy(from, to string) error {
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(copySparse(w, r), w.Close())
}

// copySparse copies a file, leaving holes where it is zero: the store's and the log's files are mostly that.
func copySparse(w, r *os.File) error {
	var block, zero [16 << 10]byte
	for at := int64(0); ; {
		n, err := io.ReadFull(r, block[:])
		if n > 0 && !bytes.Equal(block[:n], zero[:n]) {
			if _, err := w.WriteAt(block[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return w.Truncate(at)
			}
			return err
		}
	}
}

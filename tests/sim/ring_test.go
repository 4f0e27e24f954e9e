package sim

import (
	"bytes"
	"os"
	"slices"
	"sync"
)

// ring keeps the last lines of a log in memory: writing to a terminal would change what is simulated.
type ring struct {
	mu    sync.Mutex
	lines [][]byte
	next  int
}

const ringLines = 20000

func (r *ring) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < ringLines {
		r.lines = append(r.lines, bytes.Clone(line))
	} else {
		r.lines[r.next] = bytes.Clone(line)
	}
	r.next = (r.next + 1) % ringLines
	return len(line), nil
}

// save writes the lines to a file, oldest first.
func (r *ring) save(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := 0
	if len(r.lines) == ringLines {
		from = r.next
	}
	return os.WriteFile(path, bytes.Join(slices.Concat(r.lines[from:], r.lines[:from]), nil), 0o600)
}

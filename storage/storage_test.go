package storage

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// testMemTable is small, so that tests go through many memtables.
const testMemTable = 1 << 20

func testOptions(dir string) Options {
	return Options{Dir: dir, MemTableBytes: testMemTable, Logger: zerolog.Nop(), BootID: "boot-1"}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openTest(t testing.TB, dir string) *Store {
	t.Helper()
	s := mustOpen(t, testOptions(dir))
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func set(t testing.TB, s *Store, kv ...string) {
	t.Helper()
	b := s.NewBatch()
	for i := 0; i < len(kv); i += 2 {
		b.Set([]byte(kv[i]), []byte(kv[i+1]))
	}
	must(t, b.Commit())
}

func get(t testing.TB, s *Store, key string) string {
	t.Helper()
	v := s.Snapshot()
	defer v.Close()
	value, ok, err := v.Get([]byte(key))
	must(t, err)
	if !ok {
		return "-"
	}
	return string(value)
}

func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(from)
	must(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, e.Name()), b, 0o600))
	}
	return to
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// history is a sequence of batches of which any prefix can be told from any other state. Batch n sets "seq" to n and writes
// a few keys, each with n in its value, and deletes some.
type history struct{ keys, valueBytes int }

func (h history) key(i uint64) []byte { return fmt.Appendf(nil, "k%06d", i%uint64(h.keys)) }

// writes of batch n: keys set and keys deleted.
func (h history) writes(n uint64) (sets, deletes [][]byte) {
	x := n * 0x9E3779B97F4A7C15
	for i := range uint64(6) {
		sets = append(sets, h.key(x>>(i*8)))
	}
	return sets, [][]byte{h.key(x>>13 + 1), h.key(x>>29 + 3)}
}

func (h history) value(n uint64) []byte {
	v := make([]byte, max(8, h.valueBytes))
	binary.BigEndian.PutUint64(v, n)
	for i := 8; i < len(v); i++ {
		v[i] = byte(n) + byte(i)
	}
	return v
}

func (h history) commit(s *Store, n uint64) error {
	b := s.NewBatch()
	defer b.Discard()
	sets, deletes := h.writes(n)
	for _, k := range deletes {
		b.Delete(k)
	}
	for _, k := range sets {
		b.Set(k, h.value(n))
	}
	b.Set([]byte("seq"), number(n))
	return b.Commit()
}

// states keeps what state computed, as many copies of one store are checked.
var states sync.Map

type stateOf struct {
	history
	n uint64
}

// state is the store after batches 1 to n. It is not to be changed.
func (h history) state(n uint64) map[string]uint64 {
	if m, ok := states.Load(stateOf{h, n}); ok {
		return m.(map[string]uint64)
	}
	m := make(map[string]uint64)
	defer states.Store(stateOf{h, n}, m)
	for i := uint64(1); i <= n; i++ {
		sets, deletes := h.writes(i)
		for _, k := range deletes {
			delete(m, string(k))
		}
		for _, k := range sets {
			m[string(k)] = i
		}
	}
	return m
}

// check tells at which batch a store is, or an error if it is at none, or reading fails.
func (h history) check(s *Store) (uint64, error) {
	v := s.Snapshot()
	defer v.Close()
	var n uint64
	value, ok, err := v.Get([]byte("seq"))
	if err != nil {
		return 0, err
	}
	if ok {
		n = binary.BigEndian.Uint64(value)
	}
	want, found := h.state(n), 0
	err = v.Scan([]byte("k"), []byte("l"), false, false, func(k, value []byte) (bool, error) {
		found++
		at, ok := want[string(k)]
		if !ok || string(value) != string(h.value(at)) {
			return false, &wrongError{fmt.Sprintf("at batch %d: key %s is wrong: wanted batch %d (%t)", n, k, at, ok)}
		}
		return true, nil
	})
	if err != nil {
		return n, err
	}
	if found != len(want) {
		return n, &wrongError{fmt.Sprintf("at batch %d: %d keys, wanted %d", n, found, len(want))}
	}
	for i := range h.keys {
		k := h.key(uint64(i))
		value, ok, err := v.Get(k)
		if err != nil {
			return n, err
		}
		at, exists := want[string(k)]
		if ok != exists || ok && string(value) != string(h.value(at)) {
			return n, &wrongError{fmt.Sprintf("at batch %d: reading %s gives %t, wanted %t", n, k, ok, exists)}
		}
	}
	return n, nil
}

// wrongError says that a store gave wrong data without an error.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

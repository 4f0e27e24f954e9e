// Package storetest helps tests of what is written into a store: it opens stores, writes what they hold as text, and runs
// scripted tests. Only tests import it.
package storetest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rs/zerolog"

	"kahuna/storage"
)

// Open opens a store in a folder, closed at the end of the test.
func Open(t testing.TB, dir string) *storage.Store {
	t.Helper()
	fault := func(err error) { t.Errorf("the store has a fault: %v", err) }
	s, err := storage.Open(storage.Options{Dir: dir, Logger: zerolog.Nop(), BootID: "boot", OnFault: fault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Reopen closes a store and opens it again.
func Reopen(t testing.TB, s *storage.Store, dir string) *storage.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return Open(t, dir)
}

// Pair is a stored key with its value.
type Pair struct{ Key, Value []byte }

// Pairs are all that a store holds under keys that begin with one of kinds, in order; without kinds, all of it but the store's
// own.
func Pairs(t testing.TB, s *storage.Store, kinds ...storage.Kind) (all []Pair) {
	t.Helper()
	snap := s.Snapshot()
	defer snap.Close()
	err := snap.Scan(nil, nil, false, false, func(key, value []byte) (bool, error) {
		if wanted(storage.Kind(key[0]), kinds) {
			all = append(all, Pair{bytes.Clone(key), bytes.Clone(value)})
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wanted(k storage.Kind, kinds []storage.Kind) bool {
	for _, w := range kinds {
		if w == k {
			return true
		}
	}
	return len(kinds) == 0 && k != storage.KindFormat
}

// Difference says how two stores' contents differ; empty when they don't.
func Difference(a, b []Pair) string {
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i].Key, b[i].Key) || !bytes.Equal(a[i].Value, b[i].Value) {
			return fmt.Sprintf("%s\nand\n%s", a[i], b[i])
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d keys and %d keys", len(a), len(b))
	}
	return ""
}

func (p Pair) String() string {
	if text := describe(p); len(text) < 300 {
		return fmt.Sprintf("%s (%x = %x)", text, p.Key, p.Value)
	}
	return fmt.Sprintf("%x = %.200x... (%d bytes)", p.Key, p.Value, len(p.Value))
}

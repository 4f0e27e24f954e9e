package e2e

import (
	"math/rand/v2"
	"testing"

	"kahuna/tests/e2e/logfile"
)

func readLog(t *testing.T, dir string) []*logfile.Segment {
	t.Helper()
	all, err := logfile.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readMark(t *testing.T, dir string) (durable uint64, clean bool) {
	t.Helper()
	durable, clean, err := logfile.ReadMark(dir)
	if err != nil {
		t.Fatal(err)
	}
	return durable, clean
}

func tearTail(t *testing.T, r *rand.Rand, dir string) bool {
	t.Helper()
	torn, err := logfile.TearTail(r, dir)
	if err != nil {
		t.Fatal(err)
	}
	return torn
}

// write overwrites a part of a file.
func write(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	if err := logfile.Overwrite(path, at, b); err != nil {
		t.Fatal(err)
	}
}

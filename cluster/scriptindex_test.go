package cluster

import (
	"encoding/hex"
	"testing"
)

// The oldest scripts go when there are too many, or when they are too large together.
func TestScriptIndexIsBounded(t *testing.T) {
	name := func(i int) []byte {
		n := make([]byte, 20)
		n[0], n[1] = byte(i>>8), byte(i)
		return n
	}
	var many, large scriptIndex
	for i := range scriptsMax {
		if gone := many.add(name(i), 100); len(gone) > 0 {
			t.Fatalf("%d of %d scripts have to go", len(gone), i)
		}
	}
	if gone := many.add(name(scriptsMax), 100); len(gone) != 1 || gone[0] != hex.EncodeToString(name(0)) || many.has(name(0)) {
		t.Errorf("one too many: %v go", gone)
	}
	for i := range 3 {
		large.add(name(i), scriptsBytesMax/3)
	}
	if gone := large.add(name(3), scriptsBytesMax/2); len(gone) != 2 || !large.has(name(3)) {
		t.Errorf("too large together: %v go", gone)
	}
	again := decodeScripts(large.encode())
	if !again.has(name(2)) || again.has(name(0)) || again.generation != 0 {
		t.Errorf("the list reads back as %+v", again)
	}
}

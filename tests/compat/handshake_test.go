package compat

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kahuna/commands/scripttest"
)

// TestHandshakes plays what clients send when they connect, and looks at the answers as they do. In a file, lines "> words" are
// sent in one write; each line "< beginning" is how a reply to them begins, as a Go string, one of several with "||" between
// them, or "any".
func TestHandshakes(t *testing.T) {
	paths, err := filepath.Glob("testdata/handshakes/*.txt")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d handshakes, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { playHandshake(t, path) })
	}
}

func playHandshake(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(c)
	var out []byte
	for n, line := range strings.Split(string(data), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case ">":
			words, err := scripttest.Words(rest)
			if err != nil {
				t.Fatal(path, n+1, err)
			}
			out = append(out, scripttest.Encode(words)...)
		case "<":
			if _, err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			out = nil
			got, err := scripttest.ReadReply(in)
			if err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
			if !begins(t, got, rest) {
				t.Errorf("line %d: got %q, want %s", n+1, got, rest)
			}
		}
	}
}

// begins tells whether a reply begins in one of the ways of a pattern.
func begins(t *testing.T, got, pattern string) bool {
	for _, one := range strings.Split(pattern, " || ") {
		if one == "any" {
			return true
		}
		want, err := strconv.Unquote(one)
		if err != nil {
			t.Fatal(one, err)
		}
		if strings.HasPrefix(got, want) {
			return true
		}
	}
	return false
}

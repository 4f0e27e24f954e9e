package commands

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kahuna/commands/scripttest"
)

var rewrite = flag.Bool("rewrite", false, "write the output of golden tests into their files")

// TestReplies plays the scripts in testdata. A step is lines of commands, sent one after the other, a line "----", and the
// raw replies as Go strings; where RESP3 differs its reply follows in a line that begins with "3:". "b: " before a command
// sends it from a second client, "advance MS" moves the clock. Tokens and times follow from the clock, which starts at
// 2025-06-01. -rewrite writes the replies.
func TestReplies(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { playGolden(t, path) })
	}
}

func playGolden(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	players := []*player{newPlayer(2), newPlayer(3)}
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(string(data), "\n"), "\n\n") {
		commands, want, _ := strings.Cut(block, "\n----\n")
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(commands + "\n")
		if strings.HasPrefix(commands, "#") {
			continue
		}
		got := strings.TrimRight(playStep(t, players, commands), "\n")
		if out.WriteString("----\n" + got + "\n"); !*rewrite && got != strings.TrimRight(want, "\n") {
			t.Errorf("%s\n----\n%s\nwant:\n%s", commands, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// player is a server of its own with two clients that speak one version of the protocol.
type player struct {
	rig     *rig
	clients map[bool]*client
}

func newPlayer(proto int) *player {
	r := newRig(Limits{})
	return &player{r, map[bool]*client{false: r.client(7, proto), true: r.client(8, proto)}}
}

func playStep(t *testing.T, players []*player, commands string) string {
	var out strings.Builder
	for _, line := range strings.Split(commands, "\n") {
		two, three := players[0].line(t, line), players[1].line(t, line)
		out.WriteString(two)
		if two != three {
			out.WriteString("3:" + three)
		}
	}
	return out.String()
}

func (p *player) line(t *testing.T, line string) string {
	if ms, ok := strings.CutPrefix(line, "advance "); ok {
		n, err := strconv.Atoi(ms)
		if err != nil {
			t.Fatal(err)
		}
		p.rig.clock = p.rig.clock.Add(time.Duration(n) * time.Millisecond)
		return ""
	}
	line, second := strings.CutPrefix(line, "b: ")
	reply := p.clients[second].do(t, line)
	if !wellFormed(reply, 1) {
		t.Errorf("%s: not one reply: %q", line, reply)
	}
	return strconv.Quote(reply) + "\n"
}

// TestGoldenCoversTable sees that every command has its replies in a script.
func TestGoldenCoversTable(t *testing.T) {
	seen := map[string]bool{}
	for _, pattern := range []string{"testdata/*.golden", "testdata/*.script"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(strings.NewReader(string(data)))
			for lines.Scan() {
				note(seen, lines.Text())
			}
		}
	}
	for _, row := range newTable().sorted {
		if !seen[row.Name] {
			t.Errorf("no script has %s", row.Name)
		}
		for i := range row.Sub {
			if name := row.Sub[i].fullName(); !seen[name] {
				t.Errorf("no script has %s", name)
			}
		}
	}
}

func note(seen map[string]bool, line string) {
	words, err := scripttest.Words(line)
	if err != nil || len(words) == 0 {
		return
	}
	if words[0] == "b:" || strings.HasPrefix(words[0], "@") {
		words = words[1:]
	}
	seen[strings.ToLower(words[0])] = true
	if len(words) > 1 {
		seen[strings.ToLower(fmt.Sprintf("%s|%s", words[0], words[1]))] = true
	}
}

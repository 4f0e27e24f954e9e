package storetest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Player runs the commands of one script, each of which is a few words, and tells the state after each step.
type Player interface {
	Run(words []string) (answer string)
	State() string
}

// Scripts runs every file of a folder, each with a Player of its own. A file begins with a paragraph that says what it shows.
// Then come steps: one or more commands, a line "----", their answers, and the state after them, indented; an empty line ends
// a step. With -rewrite (a flag of viewtest) the output is written into the files instead of being compared.
func Scripts(t *testing.T, dir string, start func(*testing.T) Player) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts in %s (%v)", dir, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { file(t, path, start(t)) })
	}
}

func file(t *testing.T, path string, p Player) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "# ") {
		t.Errorf("%s does not begin with a comment that says what it shows", path)
	}
	got := Play(string(b), p)
	switch {
	case got == string(b):
	case flag.Lookup("rewrite").Value.String() == "true":
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s:%d is not what came out; run with -rewrite and look at the difference. Got:\n%s", path,
			difference(got, string(b)), got)
	}
}

// Play runs a script and returns it with what came out.
func Play(script string, p Player) string {
	var out, answers strings.Builder
	running := false
	for _, line := range append(strings.Split(strings.TrimRight(script, "\n"), "\n"), "") {
		line = strings.TrimSpace(line)
		switch {
		case running && line == "":
			fmt.Fprintf(&out, "----\n%s%s\n", answers.String(), indent(p.State()))
			answers.Reset()
			running = false
		case line == "" || !running && strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		case line == "----":
			running = true
		case !running:
			out.WriteString(line + "\n")
			if a := p.Run(strings.Fields(line)); a != "" {
				answers.WriteString(a + "\n")
			}
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func difference(a, b string) int {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return i + 1
		}
	}
	return min(len(as), len(bs))
}

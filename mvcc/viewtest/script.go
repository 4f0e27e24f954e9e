package viewtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kahuna/op"
)

var rewrite = flag.Bool("rewrite", false, "write the output of scripted tests into their files")

// A Script runs scripted tests. A file begins with a paragraph of comment that says what it shows. Then come steps: one or
// more commands, a line "----", and what they answered followed by the state after them; an empty line ends a step.
// With -rewrite the output is written into the files instead of being compared.
//
// Each command runs as an operation of its own, at the timestamp after the one before. Words are bare or Go strings in
// quotes. The runner knows these itself:
//
//	at TIME                    the next operation is at TIME (milliseconds, or milliseconds.counter)
//	same COMMAND ...           runs in the operation before it, at the same timestamp, as inside a MULTI
//	intent SPACE NAME [SUB]    another transaction's intent now lies at the name
//	resolve SPACE NAME [SUB]   and is gone
type Script struct {
	// Run runs one command. An error ends the operation and drops what it wrote.
	Run func(v *View, args []string) (string, error)
	// Show writes a stored value; nil: as a Go string.
	Show func(n op.Name, value []byte) string
}

// Files runs every file of a folder, each on a View of its own.
func (s Script) Files(t *testing.T, dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts in %s (%v)", dir, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { s.file(t, path) })
	}
}

func (s Script) file(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "# ") {
		t.Errorf("%s does not begin with a comment that says what it shows", path)
	}
	got, line := s.play(string(b))
	if got == string(b) {
		return
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s:%d is not what came out; run with -rewrite and look at the difference. Got:\n%s", path, line, got)
}

// play runs a script and returns it with the output that came, and the first line that differs.
func (s Script) play(text string) (out string, line int) {
	p := player{Script: s, view: New()}
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); {
		if blank(lines[i]) || strings.HasPrefix(lines[i], "#") {
			p.out.WriteString(lines[i])
			i++
			continue
		}
		i = p.step(lines, i)
	}
	return p.out.String(), firstDifference(p.out.String(), text)
}

type player struct {
	Script
	view *View
	next op.Timestamp
	out  strings.Builder
}

// step runs the step that begins at line i and returns where the next begins.
func (p *player) step(lines []string, i int) int {
	var answers strings.Builder
	for ; i < len(lines) && !blank(lines[i]) && strings.TrimSpace(lines[i]) != "----"; i++ {
		command := strings.TrimSpace(lines[i])
		p.out.WriteString(command + "\n")
		if a := p.command(command); a != "" {
			answers.WriteString(a + "\n")
		}
	}
	for i < len(lines) && !blank(lines[i]) {
		i++
	}
	show := p.Show
	if show == nil {
		show = func(_ op.Name, value []byte) string { return strconv.Quote(string(value)) }
	}
	fmt.Fprintf(&p.out, "----\n%s%s", answers.String(), indent(p.view.DumpFunc(show)))
	return i
}

func (p *player) command(command string) string {
	args, err := words(command)
	if err != nil || len(args) == 0 {
		return fmt.Sprintf("bad line: %v", err)
	}
	switch args[0] {
	case "at":
		if p.next, err = ParseTime(args[1]); err != nil {
			return "bad line: " + err.Error()
		}
		return ""
	case "intent", "resolve":
		return p.intent(args)
	case "same":
		return p.run(args[1:])
	}
	p.view.Begin(max(p.next, p.view.Now()+1))
	return p.run(args)
}

func (p *player) run(args []string) string {
	answer, err := p.Run(p.view, args)
	if err != nil {
		p.view.Undo()
		return "error: " + err.Error()
	}
	return answer
}

func (p *player) intent(words []string) string {
	a := NewArgs(words[1:])
	n := op.Name{Space: spaceOf(a.Word()), Key: a.Bytes()}
	if len(a.words) > 0 {
		n.Sub = a.Bytes()
	}
	a.End()
	var i *op.Intent
	if words[0] == "intent" {
		i = &op.Intent{Txn: p.view.Now(), Name: n}
	}
	p.view.SetIntent(n, i)
	return ""
}

// words splits a line at spaces; a word in quotes is a Go string.
func words(line string) (args []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			args, line = append(args, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		args, line = append(args, word), line[len(quoted):]
	}
	return args, nil
}

func blank(line string) bool { return strings.TrimSpace(line) == "" }

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func firstDifference(a, b string) int {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return i + 1
		}
	}
	return min(len(as), len(bs))
}

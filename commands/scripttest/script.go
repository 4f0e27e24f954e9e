// Package scripttest plays scripts of commands on a Redis server and on another one, and compares the replies to the last
// byte. Only tests import it.
//
// A script is lines of words; a word with spaces or special bytes is a Go string in quotes. A line that begins with # is a
// comment. A line may begin with a mark that says how its replies are compared:
//
//	@any     not at all: only that there is one
//	@kind    by their first byte
//	@near    as integers that may differ by 10,000 (milliseconds), or in seconds by 10
//	@sorted  as arrays whose elements may come in any order
package scripttest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Step is one command of a script.
type Step struct {
	Line int
	Mark string // "", any, kind, near, sorted
	Args []string
}

// Load reads a script.
func Load(t testing.TB, path string) []Step {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []Step
	for i, line := range strings.Split(string(data), "\n") {
		words, err := Words(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", path, i+1, err)
		}
		if len(words) == 0 {
			continue
		}
		s := Step{Line: i + 1, Args: words}
		if mark, ok := strings.CutPrefix(words[0], "@"); ok {
			s.Mark, s.Args = mark, words[1:]
		}
		steps = append(steps, s)
	}
	return steps
}

// Words splits a line of a script; a comment has none.
func Words(line string) (words []string, err error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil, nil
	}
	for line != "" {
		word, rest := line, ""
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			rest = line[len(quoted):]
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
		} else if i := strings.IndexByte(line, ' '); i >= 0 {
			word, rest = line[:i], line[i:]
		}
		words = append(words, word)
		line = strings.TrimSpace(rest)
	}
	return words, nil
}

// A Call sends one command and returns its raw reply.
type Call func(args []string) (string, error)

// Compare plays the steps on both and reports every reply that differs. It returns how many commands were compared.
func Compare(t testing.TB, steps []Step, want, got Call) (compared int) {
	t.Helper()
	for _, s := range steps {
		w, err := want(s.Args)
		if err != nil {
			t.Fatalf("line %d: %q: Redis: %v", s.Line, s.Args, err)
		}
		g, err := got(s.Args)
		if err != nil {
			t.Fatalf("line %d: %q: %v", s.Line, s.Args, err)
		}
		if compared++; !s.same(w, g) {
			from := differAt(w, g)
			t.Errorf("line %d: %q: at byte %d\n  Redis: %.200q\n  here:  %.200q", s.Line, s.Args, from, w[from:], g[from:])
		}
	}
	return compared
}

// differAt is where two replies begin to differ, or a little before.
func differAt(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return max(i-60, 0)
}

func (s Step) same(want, got string) bool {
	switch s.Mark {
	case "any":
		return got != ""
	case "kind":
		return got[0] == want[0]
	case "near":
		return near(want, got)
	case "sorted":
		return slices.Equal(sorted(want), sorted(got))
	}
	return want == got
}

func near(want, got string) bool {
	w, err1 := strconv.ParseInt(strings.TrimRight(want[1:], "\r\n"), 10, 64)
	g, err2 := strconv.ParseInt(strings.TrimRight(got[1:], "\r\n"), 10, 64)
	limit := int64(10)
	if max(w, -w) > 10_000 {
		limit = 10_000
	}
	return err1 == nil && err2 == nil && (w < 0) == (g < 0) && max(w-g, g-w) <= limit
}

// sorted is the header and the elements of an array in order.
func sorted(reply string) []string {
	r := bufio.NewReader(strings.NewReader(reply))
	head, err := r.ReadString('\n')
	if err != nil {
		return []string{reply}
	}
	var all []string
	for {
		e, err := ReadReply(r)
		if err != nil {
			slices.Sort(all)
			return append(all, head)
		}
		all = append(all, e)
	}
}

// ReadReply reads one whole reply of RESP2 or RESP3 and returns its bytes. Anything that is not well-formed is an error.
func ReadReply(r *bufio.Reader) (string, error) {
	var b bytes.Buffer
	err := readReply(r, &b, 0)
	return b.String(), err
}

func readReply(r *bufio.Reader, b *bytes.Buffer, depth int) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	b.WriteString(line)
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || text == "" || depth > 16 || strings.Contains(text, "\r") {
		return fmt.Errorf("malformed reply line %q", line)
	}
	kind, rest := text[0], text[1:]
	switch kind {
	case '+', '-', '(':
		return nil
	case '_':
		return emptyRest(rest)
	case '#':
		if rest != "t" && rest != "f" {
			return fmt.Errorf("malformed bool %q", rest)
		}
		return nil
	case ',':
		_, err := strconv.ParseFloat(rest, 64)
		return err
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || kind == ':' {
		return err
	}
	return readParts(r, b, kind, n, depth)
}

func emptyRest(rest string) error {
	if rest != "" {
		return fmt.Errorf("malformed null %q", rest)
	}
	return nil
}

func readParts(r *bufio.Reader, b *bytes.Buffer, kind byte, n int64, depth int) error {
	if n < -1 || n < 0 && kind != '$' && kind != '*' {
		return fmt.Errorf("malformed length %d", n)
	}
	switch kind {
	case '$', '=':
		if n < 0 {
			return nil
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		if !bytes.HasSuffix(data, []byte("\r\n")) {
			return fmt.Errorf("a string does not end where it says")
		}
		b.Write(data)
		return nil
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return fmt.Errorf("unknown kind of reply %q", kind)
	}
	for range max(n, 0) {
		if err := readReply(r, b, depth+1); err != nil {
			return err
		}
	}
	return nil
}

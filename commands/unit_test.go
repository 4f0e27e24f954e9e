package commands

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kahuna/cluster"
	"kahuna/op"
	"kahuna/txn/coord"
)

// TestStatusTable reads the statuses from the source of op: each but OK must have its row.
func TestStatusTable(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "../op/result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || fmt.Sprint(spec.Type) != "Status" || len(spec.Values) != 1 {
			return true
		}
		number, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		_, isText := statusText[op.Status(number)]
		_, isCause := statusCause[op.Status(number)]
		if number != 0 && isText == isCause {
			t.Errorf("op.%s must have one row in the error table", spec.Names[0].Name)
		}
		return true
	})
	if found < 20 {
		t.Errorf("found only %d statuses", found)
	}
}

func TestErrorPrefixes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{cluster.ErrTryAgain, "TRYAGAIN"}, {cluster.ErrClusterDown, "CLUSTERDOWN"}, {cluster.ErrUncertain, "UNCERTAIN"},
		{cluster.ErrTooLarge, "ERR"}, {cluster.ErrFuture, "ERR"}, {cluster.ErrCollected, "ERR"}, {cluster.ErrHolds, "ERR"}, {coord.ErrConflict, "CONFLICT"},
		{errors.New("nobody\r\nthought of it"), "UNCERTAIN"}, {context.Canceled, "UNCERTAIN"}, {userError("ERR x"), "ERR"},
		{fmt.Errorf("%w after %w", cluster.ErrUncertain, cluster.ErrTryAgain), "UNCERTAIN"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("what happened: %w", c.err)} {
			text := errorText(err)
			if prefix, _, _ := strings.Cut(text, " "); prefix != c.want || strings.ContainsAny(text, "\r\n") {
				t.Errorf("%v: %q, want prefix %s", err, text, c.want)
			}
		}
	}
}

func TestErrorsReachClient(t *testing.T) {
	r := newRig(Limits{})
	c := r.client(1, 2)
	r.fake.fail = fmt.Errorf("%w: no leader", cluster.ErrTryAgain)
	for _, line := range []string{"GET k", "SET k v", "MSET a 1 b 2", "MGET a b", "MSETNX a 1", "SCAN 0", "KEYS *", "TIMESTAMP",
		"WATCH k", "FLUSHALL", "RENAME a b", "KPREFIX p", "KGET k ASOF 5", "KGET k ASOF -5", "DBSIZE", "RANDOMKEY"} {
		if got := c.do(t, line); !strings.HasPrefix(got, "-TRYAGAIN ") || !wellFormed(got, 1) {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, line := range []string{"GET k", "DBSIZE"} {
		got := c.send([]string{"MULTI"}, strings.Fields(line), []string{"EXEC"})
		if !strings.HasPrefix(got, "+OK\r\n+QUEUED\r\n-TRYAGAIN ") || !wellFormed(got, 3) {
			t.Errorf("EXEC of %s: %q", line, got)
		}
	}
}

func TestParseInt(t *testing.T) {
	for _, s := range []string{"0", "1", "-1", "9223372036854775807", "-9223372036854775808", "10"} {
		want, _ := strconv.ParseInt(s, 10, 64)
		if got, ok := parseInt([]byte(s)); !ok || got != want {
			t.Errorf("%s: %d %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0", "0x1", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "99999999999999999999", "1e3", "١"} {
		if got, ok := parseInt([]byte(s)); ok {
			t.Errorf("%q is %d", s, got)
		}
	}
}

func FuzzParseInt(f *testing.F) {
	f.Add("1")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseInt([]byte(s))
		want, err := strconv.ParseInt(s, 10, 64)
		strict := err == nil && strconv.FormatInt(want, 10) == s
		if ok != strict || ok && got != want {
			t.Errorf("%q: %d %v", s, got, ok)
		}
	})
}

func TestSubrange(t *testing.T) {
	v := []byte("0123456789")
	for _, c := range []struct {
		start, end int64
		want       string
	}{{0, 0, "0"}, {0, -1, "0123456789"}, {-3, -1, "789"}, {5, 4, ""}, {10, 20, ""}, {math.MinInt64, math.MaxInt64, "0123456789"}, {-1, math.MinInt64, ""}, {math.MinInt64, math.MinInt64, "0"}} {
		if got := string(subrange(v, c.start, c.end)); got != c.want {
			t.Errorf("%d %d: %q, want %q", c.start, c.end, got, c.want)
		}
	}
	if got := subrange(nil, 0, -1); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

// TestSyntaxRows holds what the rows say about themselves together.
func TestSyntaxRows(t *testing.T) {
	check := func(c *Command) {
		if c.Summary == "" || c.Complexity == "" || c.Group == "" {
			t.Errorf("%s lacks its documentation", c.fullName())
		}
		if c.parse == nil && c.direct == nil && len(c.Sub) == 0 {
			t.Errorf("%s does nothing", c.fullName())
		}
		for _, f := range strings.Fields(c.Flags) {
			if f != "dangerous" && !strings.Contains(strings.Join(redisFlags, " "), f) {
				t.Errorf("%s: unknown flag %s", c.fullName(), f)
			}
		}
		least := 1
		if c.parent != "" {
			least = 2
		}
		optional := false
		for _, a := range parseSyntax(c.Syntax) {
			optional = optional || len(a.flags) > 0
			if !strings.Contains(strings.Join(a.flags, " "), "optional") {
				least += words(a)
			}
		}
		want := least
		if optional {
			want = -least
		}
		loose := map[string]bool{"auth": true, "flushall": true, "client|kill": true, "client|tracking": true, "client|list": true}
		if len(c.Sub) == 0 && c.Arity != want && !loose[c.fullName()] && !(c.Arity < 0 && -c.Arity == least) {
			t.Errorf("%s: arity %d, but its syntax says %d", c.fullName(), c.Arity, want)
		}
		if (c.FirstKey > 0 || c.NumKeysAt > 0) != (c.Access != "") {
			t.Errorf("%s: key positions and access do not agree", c.fullName())
		}
	}
	for _, row := range newTable().sorted {
		check(row)
		for i := range row.Sub {
			check(&row.Sub[i])
		}
	}
}

// words is the least number of words that an argument takes.
func words(a argument) int {
	n := 1
	switch a.kind {
	case "oneof":
		n = math.MaxInt
		for _, p := range a.parts {
			n = min(n, words(p))
		}
		return n
	case "block":
		n = 0
		for _, p := range a.parts {
			if !strings.Contains(strings.Join(p.flags, " "), "optional") {
				n += words(p)
			}
		}
		return n
	case "pure-token":
		return 1
	}
	if a.token != "" {
		n++
	}
	return n
}

// TestReadme holds the README to the table; -rewrite writes it there.
func TestReadme(t *testing.T) {
	const path = "../README.md"
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no README yet")
	}
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile("(?s)" + MarkdownBegin + ".*" + MarkdownEnd)
	if !section.Match(data) {
		t.Skip("the README has no marks for the table of commands")
	}
	want := section.ReplaceAllLiteral(data, []byte(MarkdownBegin+"\n"+Markdown()+MarkdownEnd))
	if string(want) == string(data) {
		return
	}
	if !*rewrite {
		t.Fatal("the README's table of commands is not that of the code; run the test with -rewrite")
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMarkdownHasAll(t *testing.T) {
	text := Markdown()
	for _, row := range newTable().sorted {
		if !strings.Contains(text, "`"+strings.ToUpper(row.Name)) {
			t.Errorf("%s is missing; its group is %q", row.Name, row.Group)
		}
	}
}

// Users see no names of packages in errors.
func TestPlainErrors(t *testing.T) {
	err := fmt.Errorf("%w: the range did not answer within 5s: %w", cluster.ErrClusterDown, errors.New("partition: this node does not lead the partition: raftgroup: unreachable"))
	if got, want := errorText(err), "CLUSTERDOWN the range did not answer within 5s: this node does not lead the partition: unreachable"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := errorText(errors.New("cluster: partition: odd")); got != "UNCERTAIN odd" {
		t.Errorf("%q", got)
	}
}

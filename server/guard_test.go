package server

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pieces is a connection that gives its bytes in pieces of the given sizes, in turn.
type pieces struct {
	data  []byte
	sizes []int
	next  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := min(p.sizes[p.next%len(p.sizes)], len(b), len(p.data))
	p.next++
	copy(b, p.data[:n])
	p.data = p.data[n:]
	return n, nil
}

// parsed is what came out of a byte stream: one string per command, and the error that ended it.
type parsed struct {
	commands []string
	err      string
	bufMax   int
}

func parse(data []byte, l Limits, sizes ...int) (out parsed) {
	var g guard
	var b batch
	in := &pieces{data: data, sizes: sizes}
	l = l.settled(16 << 20)
	for {
		g.scan(&l)
		cmds := b.take(&g)
		for _, cmd := range cmds {
			out.commands = append(out.commands, describe(cmd))
		}
		g.release()
		if len(cmds) > 0 {
			continue
		}
		if g.err != nil {
			out.err = g.err.text
			return out
		}
		if _, _, err := g.fill(in); err != nil {
			return out
		}
		out.bufMax = max(out.bufMax, len(g.buf))
	}
}

func describe(cmd Command) string {
	if cmd.Refused != "" {
		return "refused: " + cmd.Refused
	}
	return fmt.Sprintf("%q", cmd.Args)
}

const protocol = "ERR Protocol error: "

// streams are byte streams with what must come of them. redis-server 7.0.15 answers the same, except that it takes any
// two bytes for the end of an argument or a length line, counts up to 2^31-1 until memory ends, and
// waits for ever behind a NUL.
var streams = []struct {
	name, in string
	want     []string
	err      string
}{
	{"one", "*1\r\n$4\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"pipeline", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", []string{`["PING"]`, `["ECHO" "\r\n"]`}, ""},
	{"empty name", "*1\r\n$0\r\n\r\n", []string{`[""]`}, ""},
	{"binary", "*2\r\n$1\r\nX\r\n$3\r\n\x00\xff*\r\n", []string{`["X" "\x00\xff*"]`}, ""},
	{"unfinished", "*2\r\n$4\r\nECHO\r\n$2\r\na", nil, ""},
	{"nothing: *0", "*0\r\n*1\r\n$4\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"nothing: *-2", "*-2\r\n*-10\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"nothing: *-1", "*-1\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"nothing: empty lines", "\r\n\n \r\n\t\r\nPING\r\n", []string{`["PING"]`}, ""},
	{"inline", "SET key value\r\nGET  key \n", []string{`["SET" "key" "value"]`, `["GET" "key"]`}, ""},
	{"inline between", "*1\r\n$1\r\na\r\nPING\r\n*1\r\n$1\r\nb\r\n", []string{`["a"]`, `["PING"]`, `["b"]`}, ""},
	{"inline: lone CR is a space", "PI\rNG\r\n", []string{`["PI" "NG"]`}, ""},
	{"inline: leading CR", "\rPING\r\n", []string{`["PING"]`}, ""},
	{"inline: two CR", "PING\r\r\n", []string{`["PING"]`}, ""},
	{"inline: dollar", "$4\r\nPING\r\n", []string{`["$4"]`, `["PING"]`}, ""},
	{"inline: double quotes", `echo "\x41\n\r\t\b\a\"\q"` + "\n", []string{`["echo" "A\n\r\t\b\a\"q"]`}, ""},
	{"inline: half an escape", `echo "a\x4"` + "\n", []string{`["echo" "ax4"]`}, ""},
	{"inline: single quotes", `echo 'a\'b\n"'` + "\n", []string{`["echo" "a'b\\n\""]`}, ""},
	{"inline: quotes in a word", "echo a'b'\n", []string{`["echo" "ab"]`}, ""},
	{"inline: empty argument", `echo "" ''` + "\n", []string{`["echo" "" ""]`}, ""},
	{"inline: only an empty argument", `""` + "\n", []string{`[""]`}, ""},
	{"inline: text behind a quote", "PING\necho \"a\"b\n", []string{`["PING"]`}, protocol + "unbalanced quotes in request"},
	{"inline: open double quote", "\"abc\r\n", nil, protocol + "unbalanced quotes in request"},
	{"inline: open single quote", "'abc\r\n", nil, protocol + "unbalanced quotes in request"},
	{"inline: backslash at the end", "\"abc\\\n", nil, protocol + "unbalanced quotes in request"},
	{"inline: NUL", "PING\x00x\r\n", nil, protocol + "NUL in inline request"},
	{"inline: NUL in quotes", "PING \"\x00\"\r\n", nil, protocol + "NUL in inline request"},
	{"bulk length overflow", "*1\r\n$9223372036854775807\r\n", nil, protocol + "invalid bulk length"},
	{"bulk above 512 MiB", "*1\r\n$536870913\r\n", nil, protocol + "invalid bulk length"},
	{"bulk beyond skipping", "*1\r\n$67108865\r\n", nil, protocol + "invalid bulk length"},
	{"count of two billion", "*2000000000\r\n$1\r\nA", nil, protocol + "invalid multibulk length"},
	{"count above 1 Mi", "*1048577\r\n", nil, protocol + "invalid multibulk length"},
	{"count of 1 Mi", "*1048576\r\n$1\r\na\r\n", nil, ""},
	{"count overflow", "*9223372036854775807\r\n", nil, protocol + "invalid multibulk length"},
	{"count overflow, many digits", "*1" + strings.Repeat("0", 40) + "\r\n", nil, protocol + "invalid multibulk length"},
	{"negative bulk", "*1\r\n$-5\r\n", nil, protocol + "invalid bulk length"},
	{"null bulk", "*1\r\n$-1\r\n", nil, protocol + "invalid bulk length"},
	{"count not a number", "*abc\r\n", nil, protocol + "invalid multibulk length"},
	{"count empty", "*\r\n", nil, protocol + "invalid multibulk length"},
	{"count with plus", "*+1\r\n", nil, protocol + "invalid multibulk length"},
	{"count with leading zero", "*01\r\n", nil, protocol + "invalid multibulk length"},
	{"count minus zero", "*-0\r\n", nil, protocol + "invalid multibulk length"},
	{"count with space", "* 1\r\n", nil, protocol + "invalid multibulk length"},
	{"count with trailing space", "*1 \r\n", nil, protocol + "invalid multibulk length"},
	{"count ended by LF", "*1\n$4\nPING\nPING\r\n", nil, protocol + "invalid multibulk length"},
	{"count ended by lone CR", "*1\rPING\r\n", nil, protocol + "invalid multibulk length"},
	{"count with NUL", "*1\x00\r\n", nil, protocol + "invalid multibulk length"},
	{"bulk not a number", "*1\r\n$abc\r\n", nil, protocol + "invalid bulk length"},
	{"bulk empty", "*1\r\n$\r\n", nil, protocol + "invalid bulk length"},
	{"bulk with leading zero", "*1\r\n$04\r\n", nil, protocol + "invalid bulk length"},
	{"not a bulk", "*1\r\n:4\r\n", nil, protocol + "expected '$', got ':'"},
	{"not a bulk: x", "*1\r\nx\r\n", nil, protocol + "expected '$', got 'x'"},
	{"not a bulk: empty", "*1\r\n\n", nil, protocol + "expected '$', got ' '"},
	{"not a bulk: NUL", "*1\r\n\x00\r\n", nil, protocol + "expected '$', got '\x00'"},
	{"bulk not closed", "*1\r\n$4\r\nPINGxx", nil, protocol + "invalid bulk length"},
	{"bulk closed by LF", "*1\r\n$4\r\nPING\n*", nil, protocol + "invalid bulk length"},
	{"commands before an error", "*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*x\r\n*1\r\n$1\r\nc\r\n", []string{`["a"]`, `["b"]`},
		protocol + "invalid multibulk length"},
	{"HTTP", "*1\r\n$1\r\na\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n", []string{`["a"]`}, ""},
	{"HTTP, GET", "GET / HTTP/1.1\r\nhOST: x\r\n\r\n", []string{`["GET" "/" "HTTP/1.1"]`}, ""},
}

func TestStreams(t *testing.T) {
	for _, tt := range streams {
		for _, sizes := range [][]int{{1 << 20}, {1}, {2}, {3, 1}, {7}} {
			got := parse([]byte(tt.in), Limits{}, sizes...)
			if !slices.Equal(got.commands, tt.want) || got.err != tt.err {
				t.Errorf("%s in pieces of %v:\n got %s, error %q\nwant %s, error %q", tt.name, sizes, got.commands, got.err, tt.want, tt.err)
			}
		}
	}
}

func TestStreamsCutAnywhere(t *testing.T) {
	for _, tt := range streams {
		for at := 1; at < len(tt.in); at++ {
			got := parse([]byte(tt.in), Limits{}, at, 1<<20)
			if !slices.Equal(got.commands, tt.want) || got.err != tt.err {
				t.Fatalf("%s cut at %d:\n got %s, error %q\nwant %s, error %q", tt.name, at, got.commands, got.err, tt.want, tt.err)
			}
		}
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("1", lineBytesMax+1)
	for in, want := range map[string]string{
		"*" + long:                      "too big mbulk count string",
		"*1\r\n$" + long:                "too big bulk count string",
		"*1\r\n" + long:                 "too big bulk count string",
		long:                            "too big inline request",
		long + "\r\n":                   "too big inline request",
		"PING " + long + "\r\nPING\r\n": "too big inline request",
	} {
		for _, sizes := range [][]int{{1 << 20}, {1000}, {lineBytesMax, 1}} {
			got := parse([]byte(in), Limits{}, sizes...)
			if got.err != protocol+want || len(got.commands) != 0 {
				t.Errorf("%.10q in pieces of %v: %v, error %q, want %q", in, sizes, got.commands, got.err, want)
			}
			if got.bufMax > 4*lineBytesMax {
				t.Errorf("%.10q: a buffer of %d bytes", in, got.bufMax)
			}
		}
	}
	if got := parse([]byte("*"+strings.Repeat("1", lineBytesMax-1)), Limits{}, 999); got.err != "" {
		t.Errorf("a line within the limit: %q", got.err)
	}
}

func TestUnauthenticatedLimits(t *testing.T) {
	l := Limits{Unauthenticated: true}
	args := func(n int) string { return "*" + strconv.Itoa(n) + "\r\n" + strings.Repeat("$1\r\na\r\n", n) }
	bulk := func(n int) string { return "*1\r\n$" + strconv.Itoa(n) + "\r\n" + strings.Repeat("a", n) + "\r\n" }
	for in, want := range map[string]string{
		args(10): "", args(11): protocol + "unauthenticated multibulk length",
		bulk(16384): "", bulk(16385): protocol + "unauthenticated bulk length",
		"*1\r\n$536870913\r\n": protocol + "invalid bulk length", "*2000000\r\n": protocol + "invalid multibulk length",
	} {
		got := parse([]byte(in), l, 100)
		if got.err != want || (want == "") != (len(got.commands) == 1) {
			t.Errorf("%.12q: %d commands, error %q, want %q", in, len(got.commands), got.err, want)
		}
	}
}

func TestRefusedCommandsAreSkipped(t *testing.T) {
	l := Limits{BulkBytes: 100, BulkNamedBytes: 90, RequestBytes: 300}
	bulk := func(n int) string { return "$" + strconv.Itoa(n) + "\r\n" + strings.Repeat("*", n) + "\r\n" }
	ping, pong := "*1\r\n$4\r\nPING\r\n", `["PING"]`
	tooLarge, tooMuch := "refused: ERR argument is too large (limit 90 bytes)", "refused: ERR request is too large (limit 300 bytes)"
	for name, tt := range map[string]struct {
		in   string
		want []string
		err  string
	}{
		"argument":             {ping + "*2\r\n" + bulk(3) + bulk(101) + ping, []string{pong, tooLarge, pong}, ""},
		"first argument":       {"*2\r\n" + bulk(5000) + bulk(3) + ping, []string{tooLarge, pong}, ""},
		"two large arguments":  {"*2\r\n" + bulk(5000) + bulk(9999) + ping, []string{tooLarge, pong}, ""},
		"together":             {ping + "*4\r\n" + strings.Repeat(bulk(90), 4) + ping, []string{pong, tooMuch, pong}, ""},
		"limits are inclusive": {"*1\r\n" + bulk(100), []string{fmt.Sprintf("[%q]", strings.Repeat("*", 100))}, ""},
		"error while skipping": {"*2\r\n" + bulk(101) + ":1\r\n" + ping, nil, protocol + "expected '$', got ':'"},
		"not closed":           {"*1\r\n$101\r\n" + strings.Repeat("a", 104) + ping, nil, protocol + "invalid bulk length"},
		"beyond skipping":      {ping + "*2\r\n" + bulk(101) + "$67108864\r\n", []string{pong}, protocol + "invalid bulk length"},
	} {
		for _, sizes := range [][]int{{1 << 20}, {1}, {13}, {50, 3}} {
			got := parse([]byte(tt.in), l, sizes...)
			if !slices.Equal(got.commands, tt.want) || got.err != tt.err {
				t.Errorf("%s in pieces of %v:\n got %.200s, error %q\nwant %.200s, error %q", name, sizes, got.commands, got.err, tt.want, tt.err)
			}
		}
	}
}

// A refused command costs no more memory than a small one, and an announced length none at all.
func TestMemoryFollowsWhatArrives(t *testing.T) {
	big := []byte("*2\r\n$3\r\nSET\r\n$67000000\r\n" + strings.Repeat("x", 67_000_000) + "\r\n*1\r\n$4\r\nPING\r\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := parse(big, Limits{BulkBytes: 1 << 20}, 60_000)
	runtime.ReadMemStats(&after)
	if want := []string{"refused: ERR argument is too large (limit 1048576 bytes)", `["PING"]`}; !slices.Equal(got.commands, want) {
		t.Fatalf("got %.200q", got.commands)
	}
	if got.bufMax > inputBytesMin {
		t.Errorf("skipping took a buffer of %d bytes", got.bufMax)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
		t.Errorf("skipping 64 MiB allocated %d bytes", spent)
	}

	runtime.ReadMemStats(&before)
	for range 100 {
		got = parse([]byte("*1048576\r\n$500000000\r\nabc"), Limits{BulkBytes: bulkBytesMax}, 1<<20)
	}
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 2<<20 {
		t.Errorf("100 announcements allocated %d bytes", spent)
	}
}

func TestBufferFollowsLargeCommands(t *testing.T) {
	value := strings.Repeat("v", 1_000_000)
	in := strings.Repeat("*2\r\n$3\r\nSET\r\n$1000000\r\n"+value+"\r\n", 5)
	got := parse([]byte(in), Limits{}, 10_000)
	if len(got.commands) != 5 || got.err != "" || !strings.Contains(got.commands[4], value) {
		t.Fatalf("%d commands, error %q", len(got.commands), got.err)
	}
	if got.bufMax > 4<<20 {
		t.Errorf("a buffer of %d bytes for commands of 1 MB", got.bufMax)
	}
}

// Arguments belong to the session: what is read later does not change them, and appending to one leaves the next alone.
func TestArgumentsAreOwned(t *testing.T) {
	var g guard
	var b batch
	l := Limits{}.settled(1 << 20)
	first := bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"), 3)
	g.fill(bytes.NewReader(first))
	g.scan(&l)
	kept := slices.Clone(b.take(&g))
	g.release()
	g.fill(bytes.NewReader(bytes.Repeat([]byte("#"), len(first))))
	for _, cmd := range kept {
		_ = append(cmd.Args[0], "overwritten"...)
		_ = append(cmd.Args, nil)
	}
	for _, cmd := range kept {
		if got := describe(cmd); got != `["SET" "k" "v"]` {
			t.Errorf("a kept command became %s", got)
		}
	}
}

func TestBatchLimits(t *testing.T) {
	one := "*1\r\n$4\r\nPING\r\n"
	for _, tt := range []struct {
		limits Limits
		want   []int
	}{
		{Limits{}, []int{10}},
		{Limits{PipelineCommands: 4}, []int{4, 4, 2}},
		{Limits{PipelineBytes: 3*len(one) - 1}, []int{3, 3, 3, 1}},
		{Limits{Unauthenticated: true}, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		var g guard
		var b batch
		g.fill(strings.NewReader(strings.Repeat(one, 10)))
		l := tt.limits.settled(1 << 20)
		var got []int
		for g.scan(&l); len(g.frames) > 0; g.scan(&l) {
			got = append(got, len(b.take(&g)))
			g.release()
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: batches of %v, want %v", tt.limits, got, tt.want)
		}
	}
}

func TestLargeBatchesAreOwnedInRuns(t *testing.T) {
	var g guard
	var b batch
	value := strings.Repeat("v", 30_000)
	in := strings.Repeat("*2\r\n$1\r\nK\r\n$30000\r\n"+value+"\r\n*1\r\n$4\r\nPING\r\nPING\r\n", 20)
	g.buf, g.end = []byte(in), len(in)
	l := Limits{}.settled(1 << 20)
	g.scan(&l)
	cmds := b.take(&g)
	if len(cmds) != 60 {
		t.Fatalf("%d commands", len(cmds))
	}
	for i, cmd := range cmds {
		want := []string{fmt.Sprintf("[%q %q]", "K", value), `["PING"]`, `["PING"]`}[i%3]
		if got := describe(cmd); got != want {
			t.Fatalf("command %d: %.50s", i, got)
		}
	}
}

// Random valid streams, cut at random, parse to what they were made of.
func TestRandomStreams(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var in []byte
		var want []string
		for range rng.IntN(20) {
			args := make([][]byte, 1+rng.IntN(5))
			for i := range args {
				args[i] = make([]byte, rng.IntN(300)*rng.IntN(30))
				for j := range args[i] {
					args[i][j] = "\r\n*$ab01\x00\xff"[rng.IntN(10)]
				}
			}
			in = append(in, encode(args)...)
			want = append(want, fmt.Sprintf("%q", args))
		}
		got := parse(in, Limits{}, 1+rng.IntN(50), 1+rng.IntN(5000), 1+rng.IntN(20_000))
		if !slices.Equal(got.commands, want) || got.err != "" {
			t.Fatalf("%d commands, error %q; want %d", len(got.commands), got.err, len(want))
		}
	}
}

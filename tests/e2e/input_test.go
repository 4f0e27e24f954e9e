package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

// memoryKiBMax is the most that a server may ever have used after all of the nonsense below.
const memoryKiBMax = 700 << 10

// TestBadInput sends what no client should. Each gets the right error or the end of its connection, at once and without
// memory; the server and its data are as before.
func TestBadInput(t *testing.T) {
	r, _ := dice(t)
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	expect(t, c, `+"OK"`, "SET", "witness", "here")
	t.Run("frames", func(t *testing.T) { badFrames(t, s) })
	t.Run("unfinished", func(t *testing.T) { unfinished(t, s) })
	t.Run("sizes", func(t *testing.T) { badSizes(t, s) })
	t.Run("arguments", func(t *testing.T) { badArguments(t, s) })
	t.Run("random bytes", func(t *testing.T) { randomBytes(t, r, s) })
	t.Run("every command", func(t *testing.T) { everyCommand(t, r, s) })
	if !s.Running() {
		t.Fatalf("the server ended:\n%s", tail(s.Log()))
	}
	expect(t, connect(t, s.Listen), `+"PONG"`, "PING")
	now, peak, err := s.MemoryKiB()
	t.Logf("memory: %d MiB, at most %d MiB", now>>10, peak>>10)
	if err != nil || peak == 0 || peak > memoryKiBMax {
		t.Errorf("memory: at most %d KiB, limit %d, %v", peak, memoryKiBMax, err)
	}
	stop(t, s)
}

// badFrames are bytes that break the protocol: one error, then the end of the connection.
func badFrames(t *testing.T, s *rig.Server) {
	for _, c := range []struct{ send, want string }{
		{"*1\r\n$9223372036854775807\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$x\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$99999999999999999999999\r\n", "ERR Protocol error: invalid bulk length"},
		{"*1\r\n$2000000000\r\n", "ERR Protocol error: invalid bulk length"},
		{"*2000000000\r\n$1\r\nA", "ERR Protocol error: invalid multibulk length"},
		{"*9223372036854775807\r\n", "ERR Protocol error: invalid multibulk length"},
		{"*18446744073709551617\r\n", "ERR Protocol error: invalid multibulk length"},
		{"*x\r\n", "ERR Protocol error: invalid multibulk length"},
		{"*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'"},
		{"*1\r\n:4\r\nPING\r\n", "ERR Protocol error: expected '$', got ':'"},
		{"*1\r\n\r\n", "ERR Protocol error: expected '$', got '"},
		{"*1\r\n$4\r\nPINGxx", "ERR Protocol error"},
		{"*1" + strings.Repeat("1", 70_000), "ERR Protocol error: too big mbulk count string"},
		{"*1\r\n$" + strings.Repeat("1", 70_000), "ERR Protocol error: too big bulk count string"},
		{strings.Repeat("A", 70_000), "ERR Protocol error: too big inline request"},
		{"SET a 'b\r\n", "ERR Protocol error: unbalanced quotes in request"},
		{"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET witness gone\r\n", ""},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET witness gone\r\n", "ERR wrong number of arguments for 'get' command"},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", ""},
	} {
		conn := connect(t, s.Listen)
		if err := conn.Raw([]byte(c.send)); err != nil {
			t.Logf("%.40q: not even taken: %v", c.send, err)
		}
		r, err := conn.Receive()
		if c.want != "" && (err != nil || !strings.HasPrefix(r.Err(), c.want)) {
			t.Errorf("%.40q answers %v, %v, want %q", c.send, r, err, c.want)
		}
		if err == nil && !closes(conn) {
			t.Errorf("%.40q: the connection stays open", c.send)
		}
		conn.Close()
	}
	c := connect(t, s.Listen)
	if err := c.Raw([]byte("*0\r\n*-1\r\n\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Receive(); err != nil || r.String() != `+"PONG"` {
		t.Errorf("empty commands: %v, %v", r, err)
	}
	expect(t, c, `$"here"`, "GET", "witness")
}

// closes tells whether the server ends the connection, whatever it says before.
func closes(c *wire.Conn) bool {
	for {
		if _, err := c.Receive(); err != nil {
			return !strings.Contains(err.Error(), "timeout")
		}
	}
}

// unfinished are many connections that announce much and send little: they cost next to nothing.
func unfinished(t *testing.T, s *rig.Server) {
	before, _, err := s.MemoryKiB()
	if err != nil {
		t.Fatal(err)
	}
	const conns = 200
	for i := range conns {
		c := connect(t, s.Listen)
		start := []string{"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4194304\r\nabc", "*1048576\r\n$1\r\nA\r\n", "*3\r\n$3\r\nSET\r\n$8192\r\n", "SET a"}[i%4]
		if err := c.Raw([]byte(start)); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, connect(t, s.Listen), `+"PONG"`, "PING")
	after, _, err := s.MemoryKiB()
	t.Logf("%d unfinished commands: %d MiB before, %d MiB after", conns, before>>10, after>>10)
	if err != nil || after > before+64<<10 {
		t.Errorf("%d unfinished commands cost %d KiB, %v", conns, after-before, err)
	}
}

// badSizes are names and values around their limits.
func badSizes(t *testing.T, s *rig.Server) {
	c := connect(t, s.Listen)
	name, value := strings.Repeat("n", 8192), strings.Repeat("v", 4<<20)
	expect(t, c, `+"OK"`, "SET", name, "x")
	expect(t, c, `+"OK"`, "SET", "big", value)
	if r := do(t, c, "GET", "big"); r.Text != value {
		t.Errorf("a value of 4 MiB comes back as %d bytes", len(r.Text))
	}
	for _, args := range [][]string{{"COPY", "big", "copy"}, {"RENAME", "copy", "moved"}} {
		if r := do(t, c, args...); r.Err() != "" {
			t.Errorf("%s of a value of 4 MiB answers %s", args[0], r)
		}
	}
	if r := do(t, c, "GET", "moved"); r.Text != value {
		t.Errorf("a value of 4 MiB that was copied and renamed has %d bytes", len(r.Text))
	}
	const large = "too large (limit "
	for _, args := range [][]string{
		{"SET", name + "n", "x"}, {"LOCK", name + "n", "o", "1000"}, {"LOCK", "l", name + "n", "1000"}, {"SEQNEXT", name + "n"},
		{"KSET", name + "n", "x"}, {"GET", name + "n"}, {"SET", "big", value + "v"}, {"KSET", "big", value + "v"},
		{"APPEND", "big", "v"}, {"SETRANGE", "big", "536870911", "v"}, {"SETRANGE", "big", "4294967296", "v"},
		{"SET", "big", strings.Repeat("w", 15<<20)}, {"SET", "big", strings.Repeat("w", 40<<20)},
	} {
		r := do(t, c, args...)
		if text := r.Err(); !strings.HasPrefix(text, "ERR ") || !strings.Contains(text, large) && !strings.Contains(text, "out of range") && !strings.Contains(text, "exceeds") {
			t.Errorf("%.30q with %d bytes answers %s", args[:2], len(args[len(args)-1]), r)
		}
	}
	if r := do(t, c, "GET", "big"); r.Text != value {
		t.Errorf("a refused write changed the value")
	}
	for _, args := range [][]string{{"SET", "", "x"}, {"LOCK", "", "o", "1000"}, {"LOCK", "l", "", "1000"}, {"SEQNEXT", ""}} {
		if r := do(t, c, args...); !strings.HasPrefix(r.Err(), "ERR ") {
			t.Errorf("%q answers %s", args, r)
		}
	}
}

// badArguments are calls with something wrong in them, and the exact errors.
func badArguments(t *testing.T, s *rig.Server) {
	c := connect(t, s.Listen)
	expect(t, c, `+"OK"`, "SET", "text", "abc")
	do(t, c, "LOCK", "held", "me", "60000")
	for _, x := range []struct{ call, want string }{
		{"KSET k", "ERR wrong number of arguments for 'kset' command"},
		{"kset k v NX XX", "ERR syntax error"},
		{"KSET k v IFREV x", "ERR value is not an integer or out of range"},
		{"KSET k v PX 0", "ERR invalid expire time in 'kset' command"},
		{"SET k v EX -1", "ERR invalid expire time in 'set' command"},
		{"SET k v EX 9223372036854775807", "ERR invalid expire time in 'set' command"},
		{"SET k v BOGUS", "ERR syntax error"},
		{"INCR text", "ERR value is not an integer or out of range"},
		{"INCRBY n 9999999999999999999", "ERR value is not an integer or out of range"},
		{"LOCK l o x", "ERR value is not an integer or out of range"},
		{"LOCK l o", "ERR wrong number of arguments for 'lock' command"},
		{"LOCK l o 1000 BOGUS", "ERR syntax error"},
		{"LOCK l o 0", "ERR"},
		{"LOCK l o 99999999999999", "ERR"},
		{"UNLOCK l", "ERR wrong number of arguments for 'unlock' command"},
		{"SEQNEXT q COUNT 0", "ERR"},
		{"SEQNEXT q COUNT -1", "ERR"},
		{"SEQNEXT q COUNT 9223372036854775808", "ERR value is not an integer or out of range"},
		{"SEQNEXT q IDEM", "ERR syntax error"},
		{"SEQCREATE q STEP 0", "ERR STEP must not be 0"},
		{"TIMESTAMP COUNT 4097", "ERR value is out of range, must be between 1 and 4096"},
		{"KGET k REV x", "ERR value is not an integer or out of range"},
		{"SELECT 1", "ERR DB index is out of range"},
		{"EXEC", "ERR EXEC without MULTI"},
		{"NOSUCH a b", "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "},
		{"CLIENT NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."},
		{"HELLO 4", "NOPROTO unsupported protocol version"},
	} {
		if r := do(t, c, strings.Fields(x.call)...); !strings.HasPrefix(r.Err(), x.want) {
			t.Errorf("%s answers %s, want %q", x.call, r, x.want)
		}
	}
	for _, key := range []string{"k", "l", "q", "n"} {
		expect(t, c, "0", "EXISTS", key)
	}
	expect(t, c, `$"abc"`, "GET", "text")
	expect(t, c, "(nil)", "LOCKINFO", "l")
	expect(t, c, "(nil)", "SEQGET", "q")
}

// randomBytes sends noise, and well-formed commands with noise in them.
func randomBytes(t *testing.T, r *rand.Rand, s *rig.Server) {
	pieces := []string{"*", "$", "\r\n", "\n", "\x00", "3", "-1", "SET", "$3\r\nGET\r\n", "*2\r\n", "'", "\"", "\\x", "\xff", " ", "MULTI", ":1\r\n"}
	for range 300 {
		c, err := wire.Dial(s.Listen, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for range 1 + r.IntN(60) {
			b = append(b, pieces[r.IntN(len(pieces))]...)
		}
		c.Raw(b) // whether it is taken or not
		c.Close()
	}
	expect(t, connect(t, s.Listen), `+"PONG"`, "PING")
}

// unanswered are commands that change how or whether their connection answers.
var unanswered = []string{"quit", "monitor", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"}

// everyCommand calls each command there is in both versions of the protocol with several numbers of arguments, most of them
// wrong: each call gets exactly one reply.
func everyCommand(t *testing.T, r *rand.Rand, s *rig.Server) {
	c := connect(t, s.Listen)
	list := do(t, c, "COMMAND", "LIST")
	if len(list.Parts) < 50 {
		t.Fatalf("COMMAND LIST answers %s", list)
	}
	words := []string{"", "a", "0", "-1", "1", "9223372036854775807", "-9223372036854775808", "1e400", "nan", "NX", "COUNT", "MATCH", "*", "[", "\\",
		"EX", "IDEM", "IFREV", "\x00\xff", "ASOF", "GET", "key{tag}", strings.Repeat("z", 300), "LIMIT", "INFO", "REV"}
	calls := 0
	for _, part := range list.Parts {
		if slices.Contains(unanswered, part.Text) {
			continue
		}
		for _, n := range []int{0, 1, 2, 3, 4, 5, 20} {
			for range 4 {
				oneReply(t, r, c, part.Text, n, words)
				calls++
			}
		}
	}
	t.Logf("%d commands, %d calls", len(list.Parts), calls)
	if _, err := c.Do("RESET"); err != nil {
		t.Error(err)
	}
}

func oneReply(t *testing.T, r *rand.Rand, c *wire.Conn, command string, n int, words []string) {
	args := []string{command}
	for range n {
		args = append(args, words[r.IntN(len(words))])
	}
	if strings.EqualFold(command, "client") && n > 0 && (strings.EqualFold(args[1], "reply") || strings.EqualFold(args[1], "kill")) {
		return
	}
	token := fmt.Sprint("echo", r.Uint64())
	hello := []string{"HELLO", []string{"2", "3"}[r.IntN(2)]}
	if err := c.Send(hello, args, []string{"RESET"}, []string{"ECHO", token}); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	for i, want := range []string{"", "", `+"RESET"`, fmt.Sprintf("$%q", token)} {
		got, err := c.Receive()
		if err != nil {
			t.Fatalf("%q: reply %d: %v", args, i, err)
		}
		if want != "" && got.String() != want {
			t.Fatalf("%q: reply %d is %s, want %s: not one reply each", args, i, got, want)
		}
	}
}

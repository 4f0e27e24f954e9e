package commands

import (
	"strings"
	"testing"
	"time"

	"kahuna/resp"
)

func TestClientReply(t *testing.T) {
	r := newRig(Limits{})
	c := r.listener(1, 2)
	for _, step := range []struct{ lines, want string }{
		{"PING;CLIENT REPLY OFF;PING;SET a 1;NOPE;CLIENT ID", "+PONG\r\n"},
		{"GET a;GET", ""},
		{"SUBSCRIBE c;UNSUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"},
		{"MULTI;INCR a;EXEC;CLIENT REPLY ON;GET a", "+OK\r\n$1\r\n2\r\n"},
		{"CLIENT REPLY SKIP;PING;GET a", "$1\r\n2\r\n"},
		{"CLIENT REPLY SKIP", ""},
		{"NOPE;GET a;CLIENT REPLY NOPE", "$1\r\n2\r\n-ERR syntax error\r\n"},
		{"CLIENT REPLY OFF;RESET;PING", "+RESET\r\n+PONG\r\n"},
	} {
		if got := c.send(lines(step.lines)...); got != step.want {
			t.Errorf("%s: %q, want %q", step.lines, got, step.want)
		}
	}
}

// TestMonitor sees that all commands are shown as they were sent, and no password is.
func TestMonitor(t *testing.T) {
	r := newRig(Limits{})
	m, c := r.listener(1, 2), r.listener(2, 2)
	if got := m.do(t, "MONITOR"); got != "+OK\r\n" {
		t.Fatalf("%q", got)
	}
	c.do(t, `SET k "a\"\n\x01b"`)
	c.send(lines("AUTH u secret;HELLO 3 AUTH default secret SETNAME x;CONFIG GET a;MULTI;INCR k;NOPE")...)
	want := `+1748736000.000000 [0 127.0.0.1:1000] "SET" "k" "a\"\n\x01b"
+1748736000.000000 [0 127.0.0.1:1000] "AUTH" "(redacted)" "(redacted)"
+1748736000.000000 [0 127.0.0.1:1000] "HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "x"
+1748736000.000000 [0 127.0.0.1:1000] "MULTI"
+1748736000.000000 [0 127.0.0.1:1000] "INCR" "k"
`
	if got := strings.ReplaceAll(m.took(), "\r", ""); got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
	if got := m.do(t, "PING"); got != "+PONG\r\n" || !m.s.Listening() {
		t.Errorf("%q", got)
	}
	c.send([]string{"DISCARD"}, []string{"EVAL", "redis.call('SET', KEYS[1], 'v')", "1", "k"})
	if got := m.took(); !strings.Contains(got, `"EVAL"`) || !strings.HasSuffix(got, "[0 lua] \"SET\" \"k\" \"v\"\r\n") {
		t.Errorf("a script: %q", got)
	}
	if got := m.do(t, "RESET"); got != "+RESET\r\n" || m.took() != "" {
		t.Errorf("RESET: %q", got)
	}
	c.do(t, "PING")
	if got := m.took(); got != "" || r.monitors.n.Load() != 0 {
		t.Errorf("after RESET: %q", got)
	}
	m.do(t, "MONITOR")
	m.s.Close()
	if r.monitors.n.Load() != 0 {
		t.Error("a closed session still monitors")
	}
}

func TestRedaction(t *testing.T) {
	for line, want := range map[string]string{
		"auth p":                             "auth (redacted)",
		"AUTH u p":                           "AUTH (redacted) (redacted)",
		"HELLO 3":                            "HELLO 3",
		"HELLO 3 SETNAME x AUTH u":           "HELLO 3 SETNAME x AUTH (redacted)",
		"ACL SETUSER bob on >secret":         "ACL SETUSER (redacted) (redacted) (redacted)",
		"ACL LIST":                           "ACL LIST",
		"CONFIG SET requirepass x":           "CONFIG SET requirepass (redacted)",
		"CONFIG SET timeout 1 masterauth x":  "CONFIG SET timeout 1 masterauth (redacted)",
		"CONFIG SET slowlog-max-len 1":       "CONFIG SET slowlog-max-len 1",
		"SET auth secret":                    "SET auth secret",
		"CONFIG SET":                         "CONFIG SET",
		"CONFIG SET requirepass":             "CONFIG SET requirepass",
		"config set TLS-KEY-FILE-PASS hi yo": "config set TLS-KEY-FILE-PASS (redacted) (redacted)",
	} {
		var args [][]byte
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		var got []string
		for _, a := range public(args) {
			got = append(got, string(a))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", line, got)
		}
		if s := strings.Fields(line); string(args[len(args)-1]) != s[len(s)-1] {
			t.Errorf("%s: the command itself was changed", line)
		}
	}
}

func TestSlowlog(t *testing.T) {
	r := newRig(Limits{})
	slow := time.Duration(0)
	r.now = func() time.Time { r.clock = r.clock.Add(slow); return r.clock }
	c := r.listener(1, 2)
	c.do(t, "CLIENT SETNAME one")
	c.do(t, "SET quick 1")
	slow = 20 * time.Millisecond
	c.send(lines("AUTH default secret;SET k v;GET k")...)
	c.do(t, "MSET "+strings.Repeat("k v ", 40)+strings.Repeat("x", 200)+" v")
	slow = 0
	if got := c.do(t, "SLOWLOG LEN"); got != ":3\r\n" {
		t.Errorf("%q", got)
	}
	got := c.do(t, "SLOWLOG GET")
	for _, part := range []string{":20000\r\n", "AUTH\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)", "... (1 more commands of the pipeline)", "... (52 more arguments)", "$3\r\none\r\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in %q", part, got)
		}
	}
	if strings.Contains(got, "secret") || !wellFormed(got, 1) {
		t.Errorf("%q", got)
	}
	c.do(t, "CONFIG SET slowlog-max-len 1")
	if got := c.do(t, "SLOWLOG GET -1"); !strings.HasPrefix(got, "*1\r\n*6\r\n:2\r\n") {
		t.Errorf("%q", got)
	}
}

// TestMonitorOverflow sees that a monitor is sent to through Push only, which bounds what waits for it.
func TestMonitorOverflow(t *testing.T) {
	r := newRig(Limits{})
	s := r.Open(Conn{ID: 1})
	var w resp.Writer
	s.Serve(t.Context(), bytesOf("MONITOR"), &w)
	if got := string(w.Bytes()); !strings.HasPrefix(got, "-ERR") || r.monitors.n.Load() != 0 {
		t.Errorf("%q", got)
	}
}

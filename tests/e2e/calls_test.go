package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"kahuna/tests/e2e/rig"
)

// TestCalls runs the commands that read and write one thing, one after the other on one server.
func TestCalls(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	for _, c := range []struct {
		args   string
		input  string
		code   int
		stdout string // begins so
		stderr string // contains this
	}{
		{"ping", "", 0, "PONG\n", ""},
		{"ping --json", "", 0, `{"addr":"` + s.Listen + `","microseconds":`, ""},
		{"seq next n", "", 0, "1\n", ""},
		{"seq next --count 10 n", "", 0, "2 11 1\n", ""},
		{"seq next n --count 2 --json --idem k", "", 0, `{"first":12,"last":13,"step":1}` + "\n", ""},
		{"seq next n --count 2 --json --idem k", "", 0, `{"first":12,"last":13,"step":1}` + "\n", ""},
		{"seq next n --count 0", "", 65, "", "ERR"},
		{"seq get n", "", 0, "name n\nstart 1\nstep 1\nmin 1\nmax 9223372036854775807\ncycle false\nlast 13\ncreated ", ""},
		{"seq get none", "", 1, "", "no sequence"},
		{"seq get none --json", "", 1, "null\n", ""},
		{"seq create down --start 9 --step -3 --min 3 --max 9 --cycle", "", 0, "OK\n", ""},
		{"seq create down --start 9 --step -3 --min 3 --max 9 --cycle --json", "", 0, `{"created":"down"}` + "\n", ""},
		{"seq create down", "", 65, "", "exists with other settings"},
		{"seq next down --count 2", "", 0, "9 6 -3\n", ""},
		{"seq", "", 0, "NAME:", ""},
		{"seq nothing", "", 64, "", `no command "seq nothing"`},
		{"seq next", "", 64, "", "NAME is missing"},
		{"seq next a b", "", 64, "", `"b" is one argument too many`},
		{"seq next help", "", 0, "1\n", ""}, // a name as any other
		{"kv set k v", "", 0, "1\n", ""},
		{"kv set k --if-rev 1 --json w", "", 0, `{"key":"k","revision":2}` + "\n", ""},
		{"kv set k x --if-rev 1", "", 1, "", "condition"},
		{"kv set k x --if-value v", "", 1, "", "condition"},
		{"kv set k x --if-missing", "", 1, "", "condition"},
		{"kv set none x --if-there --json", "", 1, "null\n", ""},
		{"kv set k x --if-there --if-rev 2", "", 64, "", "only one"},
		{"kv set k x --if-rev=-1", "", 64, "", "if-rev"},
		{"kv get k", "", 0, "w\n", ""},
		{"kv get --rev 1 k", "", 0, "v\n", ""},
		{"kv get k --json", "", 0, `{"key":"k","revision":2,"timestamp":`, ""},
		{"kv get none", "", 1, "", `no key "none"`},
		{"kv set in", "two\nlines\n", 0, "1\n", ""},
		{"kv get in", "", 0, "two\nlines\n\n", ""},
		{"kv set in -", "\xff\x00", 0, "2\n", ""},
		{"kv get in --json", "", 0, `{"key":"in","revision":2,"timestamp":`, ""},
		{"kv set minus -- -5", "", 0, "1\n", ""},
		{"kv set minus -5", "", 64, "", "-5"},
		{"kv set short v --ttl 1h", "", 0, "1\n", ""},
		{"kv set short v --keep-ttl", "", 0, "2\n", ""},
		{"kv del k --if-rev 1", "", 1, "", "nothing was deleted"},
		{"kv del k", "", 0, "1\n", ""},
		{"kv del k", "", 1, "", "no such key"},
		{"kv get k --timeout 1ms --addr 127.0.0.1:1", "", 69, "", "no server can be reached"},
		{"kv get k --user ann --password p", "", 77, "", "WRONGPASS"},
		{"kv get k --tls-ca /nonexistent", "", 64, "", "--tls-ca"},
		{"kv get k --tls --timeout 200ms", "", 69, "", "no server can be reached"},
	} {
		cmd := exec.Command(program, strings.Fields(c.args)...)
		cmd.Env = append(cmd.Environ(), "KAHUNA_ADDR="+s.Listen)
		cmd.Stdin = strings.NewReader(c.input)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, _ := cmd.Output() // the code tells
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.HasPrefix(string(out), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%s: exit code %d, want %d; %q; %q", c.args, code, c.code, out, stderr.String())
		}
		if c.stdout == "" && len(out) > 0 {
			t.Errorf("%s prints %q", c.args, out)
		}
	}
	if out, err := exec.Command(program, "kv", "get", "in", "--json", "--addr", s.Listen).Output(); err != nil || !strings.Contains(string(out), `"value-base64":"/wA="`) {
		t.Errorf("a value that is no text: %s, %v", out, err)
	}
	if out, err := exec.Command(program, "kv", "get", "short", "--json", "--addr", s.Listen).Output(); err != nil || !strings.Contains(string(out), `"ttl-ms":35`) {
		t.Errorf("a key that expires: %s, %v", out, err)
	}
}

package e2e

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"

	"kahuna/tests/e2e/rig"
)

// TestWatch sees that kahuna kv watch prints what happens to the keys with a prefix, from a timestamp on and then as it happens, and
// ends after as many changes as were asked for.
func TestWatch(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	kv := func(args ...string) {
		t.Helper()
		cmd := exec.Command(program, append([]string{"kv"}, args...)...)
		cmd.Env = append(cmd.Environ(), "KAHUNA_ADDR="+s.Listen)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kv %q: %v: %s", args, err, out)
		}
	}
	kv("set", "w:1", "before")
	kv("set", "other", "x")
	cmd := exec.Command(program, "kv", "watch", "w:", "--addr", s.Listen, "--since=-600000", "--count", "4")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	want := func(want string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("no line, %v; want %q", lines.Err(), want)
		}
		if _, rest, _ := strings.Cut(lines.Text(), "\t"); rest != want {
			t.Errorf("printed %q, want %q", rest, want)
		}
	}
	want("1\tw:1\tbefore") // it waits from now on, or will soon: either way nothing is missed
	kv("set", "w:2", "two words")
	want("1\tw:2\ttwo words")
	kv("set", "other", "y")
	kv("set", "w:1", "after")
	want("2\tw:1\tafter")
	kv("del", "w:2")
	want("2\tw:2")
	if lines.Scan() {
		t.Errorf("it goes on: %q", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kahuna/tests/e2e/rig"
)

// examples runs the programs of examples/ against one server.
type examples struct {
	t    *testing.T
	s    *rig.Server
	goes string // the program of those in Go
}

func newExamples(t *testing.T) *examples {
	t.Helper()
	e := &examples{t, start(t, rig.Options{Dir: t.TempDir()}), filepath.Join(t.TempDir(), "go")}
	cmd := exec.Command("go", "build", "-o", e.goes, "./examples/go")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return e
}

// command is a shell example (NAME.sh ...) or one in Go (NAME ...).
func (e *examples) command(env []string, args ...string) *exec.Cmd {
	args = slices.Clone(args)
	if strings.HasSuffix(args[0], ".sh") {
		args[0] = filepath.Join(root, "examples", "shell", args[0])
		if _, err := os.Stat(args[0]); err != nil { // and so `go test` knows that the result depends on it
			e.t.Error(err)
		}
	} else {
		args = append([]string{e.goes}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	e.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), "KAHUNA_ADDR="+e.s.Listen, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH")), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, and all of it in one group
	return cmd
}

// runs runs an example to its end.
func (e *examples) runs(want string, code int, args ...string) {
	e.t.Helper()
	shown := strings.Join(args, " ")
	var stderr strings.Builder
	cmd := e.command([]string{"PERIOD=noon"}, args...)
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // the code tells
	if got := cmd.ProcessState.ExitCode(); got != code || string(out) != want {
		e.t.Errorf("%s: exit code %d, want %d; it prints %q, want %q; %s", shown, got, code, out, want, stderr.String())
	}
}

// begins starts an example in the background and gives its lines. Its whole group is killed with the test.
func (e *examples) begins(env []string, args ...string) (*exec.Cmd, *bufio.Reader) {
	e.t.Helper()
	cmd := e.command(env, args...)
	out, in, err := os.Pipe()
	if err != nil {
		e.t.Fatal(err)
	}
	cmd.Stdout = in
	err = cmd.Start()
	in.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		out.Close()
	})
	return cmd, bufio.NewReader(out)
}

func (e *examples) line(in *bufio.Reader) string {
	e.t.Helper()
	line, err := in.ReadString('\n')
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func TestExamples(t *testing.T) {
	e := newExamples(t)
	c := connect(t, e.s.Listen)
	t.Run("ordered ids", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		e.runs("1\n", 0, "order-id.sh", "a")
		e.runs("2\n", 0, "order", "b")
		e.runs("1\n", 0, "order", "a")
		e.runs("2\n", 0, "order-id.sh", "b")
	})
	t.Run("cron", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		e.runs("", 3, "cron-once.sh", "report", "sh", "-c", "exit 3")
		e.runs("done\n", 0, "cron-once.sh", "report", "echo", "done")
		e.runs("", 0, "cron-once.sh", "report", "echo", "again")
		e.runs("", 0, "cron", "report", "noon", "m1")
		e.runs("ran on m1\n", 0, "cron", "report", "evening", "m1")
		e.runs("", 0, "cron", "report", "evening", "m2")
		expect(t, c, "(nil)", "LOCKINFO", "cron:report")
	})
	t.Run("rate limit", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		if _, err := exec.LookPath("redis-cli"); err != nil {
			lack(t, "redis-cli is not installed")
		}
		e.runs("", 0, "rate-limit.sh", "ann", "2", "600")
		e.runs("true\n", 0, "rate", "ann", "2", "600")
		e.runs("", 75, "rate-limit.sh", "ann", "2", "600")
		e.runs("false\n", 0, "rate", "ann", "2", "600")
		if ttl := do(t, c, "TTL", "rate:ann").Int; ttl < 500 || ttl > 600 {
			t.Errorf("the window ends in %d s", ttl)
		}
	})
	t.Run("inventory", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		e.inventory()
	})
	t.Run("feature flags", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		_, out := e.begins(nil, "flags", "new")
		e.runs("", 1, "flag.sh", "new")
		for i, on := range []bool{false, true, false} {
			if got, want := e.line(out), fmt.Sprint("on: ", on); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if i < 2 {
				e.runs(fmt.Sprintln(i+1), 0, "flag.sh", "new", []string{"on", "off"}[i])
				e.runs("", i, "flag.sh", "new")
			}
		}
	})
	t.Run("service discovery", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		e.discovery()
	})
	t.Run("leader election", func(t *testing.T) {
		e := &examples{t, e.s, e.goes}
		e.election()
	})
}

// inventory sells 20 pieces to many at once, in shell and in Go: all of them, and none twice.
func (e *examples) inventory() {
	c := connect(e.t, e.s.Listen)
	do(e.t, c, "SET", "stock/hat", "20")
	var sold sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	count := func(cmd *exec.Cmd) {
		out, _ := cmd.CombinedOutput() // the code tells
		mu.Lock()
		defer mu.Unlock()
		code := cmd.ProcessState.ExitCode()
		if codes[code]++; code != 0 && code != 75 && !strings.Contains(string(out), "sold out") {
			e.t.Errorf("exit code %d: %s", code, out)
		}
	}
	for i := range 6 {
		sold.Go(func() { count(e.command(nil, "reserve.sh", "hat", "2")) })
		sold.Go(func() { count(e.command(nil, "reserve", "hat", "2", fmt.Sprint("order", i))) })
	}
	sold.Wait()
	if codes[0] != 10 || codes[1]+codes[75] != 2 {
		e.t.Errorf("exit codes and how often: %v", codes)
	}
	expect(e.t, c, `$"0"`, "GET", "stock/hat")
	reserved := do(e.t, c, "KEYS", "reserved/hat/*").Parts
	for _, r := range reserved { // each may be repeated, and be cancelled once
		order := strings.TrimPrefix(r.Text, "reserved/hat/")
		e.runs("", 0, "reserve", "hat", "2", order)
		e.runs("", 0, "cancel", "hat", order)
		e.runs("", 0, "cancel", "hat", order)
	}
	expect(e.t, c, fmt.Sprintf("$%q", fmt.Sprint(2*len(reserved))), "GET", "stock/hat")
}

func (e *examples) discovery() {
	goes, _ := e.begins(nil, "register", "web", "b:2")
	shell, out := e.begins([]string{"PAUSE=0.1"}, "register.sh", "web", "a:1", "sh", "-c", "echo; exec sleep 600")
	e.line(out)
	e.until("[a:1 b:2]")
	shell.Process.Signal(syscall.SIGTERM)
	goes.Process.Signal(os.Interrupt)
	if err := goes.Wait(); err != nil {
		e.t.Error(err)
	}
	e.until("[]")
}

// until waits until those are the instances of web.
func (e *examples) until(want string) {
	e.t.Helper()
	for limit := time.Now().Add(2 * time.Minute); ; {
		out, err := e.command(nil, "discover", "web").Output()
		lines := strings.Fields(string(out))
		if slices.Sort(lines); err == nil && fmt.Sprint(lines) == want {
			return
		}
		if time.Now().After(limit) {
			e.t.Fatalf("the instances are %v, want %s, %v", lines, want, err)
		}
	}
}

// election has a machine lead in shell, then one in Go when that is told to end, and back.
func (e *examples) election() {
	c := connect(e.t, e.s.Listen)
	lead := []string{"leader.sh", "web", "sh", "-c", `echo leading $KAHUNA_LOCK_TOKEN; exec sleep 600`}
	first, out := e.begins(nil, lead...)
	token := e.line(out)
	second, secondOut := e.begins(nil, "leader", "web", "m2")
	syscall.Kill(-first.Process.Pid, syscall.SIGTERM)
	if got := e.line(secondOut); got != "leading" {
		e.t.Errorf("the second says %q", got)
	}
	for limit := time.Now().Add(2 * time.Minute); do(e.t, c, "GET", "leader/web").Text != "m2"; {
		if time.Now().After(limit) {
			e.t.Fatal("the second does not write")
		}
	}
	_, out = e.begins(nil, lead...)
	do(e.t, c, "SET", "leader/web:token", "9007199254740991") // as a later leader would
	second.Wait()                                             // an error: it was fenced
	if code := second.ProcessState.ExitCode(); code != 1 {
		e.t.Errorf("a fenced leader ends with exit code %d", code)
	}
	if later := e.line(out); later <= token { // they have as many digits
		e.t.Errorf("the third says %q, the first %q", later, token)
	}
}

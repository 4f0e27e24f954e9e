package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
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
	"kahuna/tests/e2e/wire"
)

// lockedRun is a `kahuna lock` that runs.
type lockedRun struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader // of the command and all it starts: it ends when all of them have gone
	log bytes.Buffer
}

// lock starts `kahuna lock` in a session of its own: without a terminal, wherever the test runs.
func lock(t *testing.T, addr string, args ...string) *lockedRun {
	t.Helper()
	r := &lockedRun{t: t, cmd: exec.Command(program, append([]string{"lock", "--addr", addr}, args...)...)}
	r.cmd.Stderr = &r.log
	r.start()
	return r
}

// lockTelling is lock whose messages come as lines among those of the command.
func lockTelling(t *testing.T, addr string, args ...string) *lockedRun {
	t.Helper()
	r := &lockedRun{t: t, cmd: exec.Command(program, append([]string{"lock", "--addr", addr}, args...)...)}
	r.start()
	return r
}

func (r *lockedRun) start() {
	t := r.t
	t.Helper()
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if r.cmd.Stdout = in; r.cmd.Stderr == nil {
		r.cmd.Stderr = in
	}
	err = r.cmd.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(out)
	t.Cleanup(func() {
		r.cmd.Process.Kill() // and with it the command
		out.Close()
	})
}

// line waits for the command's next line.
func (r *lockedRun) line() string {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	if err != nil {
		r.cmd.Wait()
		r.t.Fatalf("%q: %v; %s", line, err, r.log.String())
	}
	return strings.TrimSpace(line)
}

func (r *lockedRun) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// ends waits until all that holds the output has gone, and for the exit code.
func (r *lockedRun) ends(want int) (rest string) {
	r.t.Helper()
	b, err := io.ReadAll(r.out)
	r.cmd.Wait() // the code tells
	if code := r.cmd.ProcessState.ExitCode(); code != want || err != nil {
		r.t.Errorf("%q: exit code %d, want %d, %v; %s", r.cmd.Args[4:], code, want, err, r.log.String())
	}
	return string(b)
}

func TestLockExitCodes(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	do(t, c, "LOCK", "held", "other", "600000")
	t.Cleanup(func() { // after all of them: what they held they gave back
		c := connect(t, s.Listen)
		expect(t, c, `[$"0" [$"held"]]`, "LOCKSCAN", "0")
	})
	two := "127.0.0.1:1," + s.Listen
	for n, x := range []struct {
		args string
		code int
		says string // on standard error
	}{
		{"x -- true", 0, ""},
		{"x -- false", 1, ""},
		{"x -- sh -c exit~7", 7, ""},
		{"x -- sh -c kill~-9~$$", 137, ""},
		{"x -- sh -c kill~$$", 143, ""},
		{"x -- no-such-command", 127, "no-such-command"},
		{"x -- /etc/passwd", 126, "permission denied"},
		{"held -- false", 75, "held: held by another owner"},
		{"held -E 9 -- false", 9, "held by another owner"},
		{"y held x -- false", 75, "held: held by another owner"},
		{"x y z x --ttl 20s -- true", 0, ""},
		{"-- true", 64, "name of a lock is missing"},
		{"x", 64, "command is missing"},
		{"x true", 64, "command is missing"},
		{"x --nonsense -- true", 64, "nonsense"},
		{"x --ttl 1ms -- true", 64, "--ttl must be at least"},
		{"x --ttl 4s --grace 3s -- true", 64, "at most half of --ttl, here 2s"},
		{"x --shared --permits 2 -- true", 64, "exclude each other"},
		{"x --on-lost cry -- true", 64, "term, kill or continue"},
		{"x --user ann -- true", 64, "needs a password"},
		{"x --password p -- true", 65, "without any password configured"},
		{"x --addr 127.0.0.1:1 -- true", 69, "no server can be reached"},
		{"x --addr " + two + " -- true", 0, ""},
	} {
		t.Run(x.args, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(x.args)
			for i, a := range args {
				if a = strings.ReplaceAll(a, "~", " "); slices.Contains([]string{"x", "y", "z"}, a) {
					a += fmt.Sprint(n) // a lock of its own
				}
				args[i] = a
			}
			r := lock(t, s.Listen, args...)
			if r.ends(x.code); !strings.Contains(r.log.String(), x.says) || x.says == "" && r.log.Len() > 0 {
				t.Errorf("it says %q", r.log.String())
			}
		})
	}
}

// The command finds what it must know in its environment, and its standard input as it was.
func TestLockEnvironmentAndInput(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	cmd := exec.Command(program, "lock", "b", "--ttl", "20s", "a", "--owner", "me", "--", "sh", "-c",
		`echo "$KAHUNA_LOCK_NAME/$KAHUNA_LOCK_OWNER/$KAHUNA_LOCK_TTL_MS/$KAHUNA_ADDR"; set -- $KAHUNA_LOCK_TOKEN; echo $#; test $1 -gt 0 -a $2 -gt 0; echo $?; cat`)
	cmd.Env = append(os.Environ(), "KAHUNA_ADDR="+s.Listen)
	input := strings.Repeat("all of it\n", 20_000)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if want := "b a/me/20000/" + s.Listen + "\n2\n0\n" + input; err != nil || string(out) != want {
		t.Errorf("%.200q, %v", out, err)
	}
}

// Signals reach the command with all it started, and its end is passed on.
func TestLockSignals(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	for _, x := range []struct {
		script string
		signal syscall.Signal
		code   int
		says   string
	}{
		{`echo; sleep 600 & sleep 600`, syscall.SIGTERM, 143, ""},
		{`echo; sleep 600 & sleep 600`, syscall.SIGHUP, 129, ""},
		{`trap "echo bye; exit 3" USR1; echo; while :; do sleep 0.02; done`, syscall.SIGUSR1, 3, "bye\n"},
		{`trap "echo bye; exit 4" INT; echo; while :; do sleep 0.02; done`, syscall.SIGINT, 4, "bye\n"},
	} {
		r := lock(t, s.Listen, "x", "--", "sh", "-c", x.script)
		r.line()
		r.signal(x.signal)
		if says := r.ends(x.code); says != x.says {
			t.Errorf("%s: %v says %q", x.script, x.signal, says)
		}
		expect(t, c, "(nil)", "LOCKINFO", "x")
	}
}

// A command whose lock can't be renewed, because its server is dead or hangs, is ended with all that it started.
func TestLockLost(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	path := fifo(t)
	goesOn := lockTelling(t, s.Listen, "z", "--ttl", "3s", "--on-lost", "continue", "--", "sh", "-c", `echo; cat "$0"`, path)
	goesOn.line()
	for _, end := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		stubborn := lock(t, s.Listen, "x"+end.String(), "--ttl", "3s", "--", "sh", "-c", `trap "" TERM; echo; sleep 600 & sleep 600`)
		obeys := lock(t, s.Listen, "y"+end.String(), "--ttl", "3s", "--", "sh", "-c", `trap "echo bye; exit 0" TERM; echo; while :; do sleep 0.02; done`)
		stubborn.line()
		obeys.line()
		if err := s.Signal(end); err != nil {
			t.Fatal(err)
		}
		stubborn.ends(74)
		if says := obeys.ends(74); says != "bye\n" {
			t.Errorf("it says %q", says)
		}
		if end == syscall.SIGSTOP {
			if err := s.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if says := goesOn.line(); !strings.Contains(says, "runs on without it") {
		t.Errorf("it says %q", says)
	}
	writeFile(t, path, "done")
	if says := goesOn.ends(0); !strings.HasPrefix(says, "done") {
		t.Errorf("it says %q", says)
	}
}

// A signal ends the wait for a lock, and for a server that does not answer.
func TestLockSignalWhileWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for s, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130, syscall.SIGHUP: 129} {
		r := lock(t, l.Addr().String(), "x", "--wait", "1h", "--", "echo", "never")
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r.signal(s)
		if says := r.ends(code); says != "" {
			t.Errorf("the command says %q", says)
		}
	}
}

// fifo is a pipe with a name: who reads it waits until it is written.
func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A command whose lock an operator took away is ended, and what it did not hold is not given back.
func TestLockBroken(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	r := lock(t, s.Listen, "x", "y", "--ttl", "3s", "--", "sh", "-c", "echo; sleep 600")
	r.line()
	expect(t, c, "1", "LOCKBREAK", "x")
	do(t, c, "LOCK", "x", "thief", "60000")
	r.ends(74)
	if info := do(t, c, "LOCKINFO", "x").String(); !strings.Contains(info, "thief") {
		t.Error(info)
	}
	expect(t, c, "(nil)", "LOCKINFO", "y")
}

// A server that is started again in time does not disturb the command.
func TestLockSurvivesRestart(t *testing.T) {
	o := rig.Options{Dir: t.TempDir()}
	s := start(t, o)
	path := fifo(t)
	r := lock(t, s.Listen, "x", "--ttl", "12s", "--", "sh", "-c", `echo; cat "$0"`, path)
	r.line()
	s.Kill()
	s = startAt(t, s.Listen, o)
	c := connect(t, s.Listen)
	patient := time.NewTimer(2 * time.Minute)
	for granted := ""; ; { // until the lease was renewed with the new server
		info := do(t, c, "LOCKINFO", "x").String()
		if granted != "" && granted != info {
			break
		}
		granted = info
		select {
		case <-patient.C:
			t.Fatalf("the lease is not renewed: %s", info)
		default:
		}
	}
	writeFile(t, path, "done")
	if says := r.ends(0); says != "done" {
		t.Errorf("it says %q", says)
	}
	expect(t, c, "(nil)", "LOCKINFO", "x")
}

// waiting waits until so many wait for a lock.
func waiting(t *testing.T, c *wire.Conn, name string, n int64) {
	t.Helper()
	for limit := time.Now().Add(2 * time.Minute); ; {
		info := do(t, c, "LOCKINFO", name)
		if w := info.Field("waiting"); w != nil && w.Int == n {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("not %d wait: %s", n, info)
		}
	}
}

// Those who wait get the lock in the order in which they came, except who is told to stop waiting.
func TestLockWaits(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	path, file := fifo(t), filepath.Join(t.TempDir(), "file")
	first := lock(t, s.Listen, "x", "--", "cat", path)
	for info := do(t, c, "LOCKINFO", "x"); info.Nil(); info = do(t, c, "LOCKINFO", "x") {
	}
	var all []*lockedRun
	for i := range 4 {
		names := [][]string{{"x"}, {"x", "y"}}[i%2]
		all = append(all, lock(t, s.Listen, append(names, "--wait", "10m", "--", "sh", "-c", `echo "$0" >>"$1"`, fmt.Sprint(i), file)...))
		waiting(t, c, "x", int64(i+1))
	}
	all[1].signal(syscall.SIGINT)
	all[1].ends(130)
	waiting(t, c, "x", 3)
	lock(t, s.Listen, "x", "--wait", "1ms", "-E", "3", "--", "false").ends(3)
	writeFile(t, path, "")
	first.ends(0)
	for _, i := range []int{0, 2, 3} {
		all[i].ends(0)
	}
	if b, err := os.ReadFile(file); string(b) != "0\n2\n3\n" {
		t.Errorf("they came in the order %q, %v", b, err)
	}
	expect(t, c, `[$"0" []]`, "LOCKSCAN", "0")
}

// A server that is started again does not end a wait.
func TestLockWaitSurvivesRestart(t *testing.T) {
	o := rig.Options{Dir: t.TempDir()}
	s := start(t, o)
	c := connect(t, s.Listen)
	do(t, c, "LOCK", "x", "other", "600000")
	r := lock(t, s.Listen, "x", "--wait", "10m", "--", "echo", "mine")
	waiting(t, c, "x", 1)
	s.Kill()
	s = startAt(t, s.Listen, o)
	c = connect(t, s.Listen)
	waiting(t, c, "x", 1)
	expect(t, c, "1", "UNLOCK", "x", "other")
	if says := r.ends(0); says != "mine\n" {
		t.Errorf("it says %q", says)
	}
}

// Permits and shared holders run together, and no more of them than may.
func TestLockTogether(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	c := connect(t, s.Listen)
	for name, mode := range map[string][2][]string{
		"permits": {{"--permits", "2"}, {"--permits", "2"}},
		"shared":  {{"--shared"}, nil},
	} {
		var inside []*lockedRun
		var paths []string
		for range 2 {
			path := fifo(t)
			r := lock(t, s.Listen, slices.Concat([]string{name}, mode[0], []string{"--", "sh", "-c", `echo in; cat "$0"`, path})...)
			r.line()
			inside, paths = append(inside, r), append(paths, path)
		}
		one := slices.Concat([]string{name}, mode[1])
		lock(t, s.Listen, slices.Concat(one, []string{"--", "false"})...).ends(75)
		next := lock(t, s.Listen, slices.Concat(one, []string{"--wait", "10m", "--", "true"})...)
		waiting(t, c, name, 1)
		for i, r := range inside {
			writeFile(t, paths[i], "")
			r.ends(0)
		}
		next.ends(0)
	}
	lock(t, s.Listen, "other", "--permits", "3", "--", program, "lock", "other", "--addr", s.Listen, "--permits", "4", "--", "true").ends(65)
}

// Many processes that count in a file under one lock count right; without the lock they would not.
func TestLockExcludes(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	file := filepath.Join(t.TempDir(), "file")
	const clients, times = 4, 5
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range times {
				// the second name makes them take two locks, in one order or the other
				names := []string{"file", fmt.Sprint("other", i%2), "file"}[i%2 : i%2+2]
				args := slices.Concat([]string{"lock", "--addr", s.Listen, "--wait", "10m"}, names, []string{"--", "sh", "-c",
					`set -eC; : >"$0.inside"; n=$(cat "$0" 2>/dev/null || echo 0); sleep 0.01; echo $((n+1)) >|"$0"; rm "$0.inside"`, file})
				if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	all.Wait()
	b, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(b)) != fmt.Sprint(clients*times) {
		t.Errorf("counted to %q, want %d, %v", b, clients*times, err)
	}
	if _, err := os.Stat(file + ".inside"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("somebody was inside when another came")
	}
}

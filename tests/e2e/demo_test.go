package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demo is `kahuna demo` as a process.
type demo struct {
	cmd         *exec.Cmd
	text        string
	ports, pids []int
	dir         string
	notices     chan string
}

var (
	demoNode = regexp.MustCompile(`redis-cli -p (\d+) +# node \d+, process (\d+)`)
	demoData = regexp.MustCompile(`Data and logs: (\S+) `)
)

// startDemo runs a demo until it has said how to talk to it.
func startDemo(t *testing.T, temp string, args ...string) *demo {
	t.Helper()
	if err := depend(); err != nil {
		t.Fatal(err)
	}
	d := &demo{cmd: exec.Command(program, append([]string{"demo"}, args...)...), notices: make(chan string, 100)}
	d.cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill() })
	go func() {
		defer close(d.notices)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			d.notices <- s.Text()
		}
	}()
	in := bufio.NewReader(stdout)
	for !strings.Contains(d.text, "Ctrl-C") {
		line, err := in.ReadString('\n')
		d.text += line
		if err != nil {
			t.Fatalf("the demo ended (%v): %s; %s", d.cmd.Wait(), d.text, <-d.notices)
		}
	}
	go io.Copy(io.Discard, in)
	for _, m := range demoNode.FindAllStringSubmatch(d.text, -1) {
		port, _ := strconv.Atoi(m[1])
		pid, _ := strconv.Atoi(m[2])
		d.ports, d.pids = append(d.ports, port), append(d.pids, pid)
	}
	if m := demoData.FindStringSubmatch(d.text); m != nil {
		d.dir = m[1]
	}
	return d
}

// end sends a signal and gives the exit code.
func (d *demo) end(t *testing.T, s syscall.Signal) int {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	d.cmd.Wait() // the code tells
	return d.cmd.ProcessState.ExitCode()
}

// notice waits for a line on stderr.
func (d *demo) notice(t *testing.T, text string) string {
	t.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-d.notices:
			if strings.Contains(line, text) {
				return line
			}
			if !ok {
				t.Fatalf("the demo ended without %q", text)
			}
		case <-limit.C:
			t.Fatalf("no notice %q", text)
		}
	}
}

// call does one command at a node of the demo, again while the cluster says that nothing was changed.
func (d *demo) call(t *testing.T, node int, args ...string) string {
	t.Helper()
	c := connect(t, fmt.Sprintf("127.0.0.1:%d", d.ports[node]))
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); {
		r := do(t, c, args...)
		if !strings.HasPrefix(r.Err(), "TRYAGAIN") && !strings.HasPrefix(r.Err(), "CLUSTERDOWN") {
			return r.String()
		}
	}
	t.Fatalf("%q: the cluster does not come back", args)
	return ""
}

// gone tells whether a process has ended. One that nobody has waited for, as where process 1 does not, has ended too.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " Z")
}

// A demo is three nodes that any client can use; a node that is killed comes back; after Ctrl-C no process and no file is left.
func TestDemo(t *testing.T) {
	temp := t.TempDir()
	d := startDemo(t, temp)
	if len(d.ports) != 3 || filepath.Dir(d.dir) != temp {
		t.Fatalf("the demo says:\n%s", d.text)
	}
	if got := d.call(t, 0, "SET", "color", "green"); got != `+"OK"` {
		t.Error(got)
	}
	if err := syscall.Kill(d.pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.notice(t, "node 1 ")
	for i := range 2 {
		if got := d.call(t, 1+i, "GET", "color"); got != `$"green"` {
			t.Errorf("node %d without node 1: %s", 2+i, got)
		}
	}
	line := d.notice(t, "started again as process")
	again, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	if err != nil {
		t.Fatal(line)
	}
	if code := d.end(t, syscall.SIGINT); code != 0 {
		t.Errorf("after Ctrl-C the exit code is %d", code)
	}
	for _, pid := range append(d.pids, again) {
		if !gone(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// With --dir the cluster stays, and a later demo goes on with it; its nodes end even when the demo is killed.
func TestDemoThatStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	d := startDemo(t, t.TempDir(), "--nodes", "2", "--dir", dir)
	d.call(t, 0, "SET", "color", "green")
	if code := d.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
	if code, _, stderr := command(t, "demo", "--nodes", "3", "--dir", dir); code != 64 || !strings.Contains(stderr, "2 nodes") {
		t.Errorf("another number of nodes: %d, %s", code, stderr)
	}
	d = startDemo(t, t.TempDir(), "--nodes", "2", "--dir", dir)
	if got := d.call(t, 1, "GET", "color"); got != `$"green"` {
		t.Error(got)
	}
	d.end(t, syscall.SIGKILL)
	for _, pid := range d.pids {
		waitGone(t, pid)
	}
}

// waitGone waits until a process that is nobody's child here has gone.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	limit, look := time.NewTimer(2*time.Minute), time.NewTicker(20*time.Millisecond)
	defer limit.Stop()
	defer look.Stop()
	for !gone(pid) {
		select {
		case <-look.C:
		case <-limit.C:
			t.Fatalf("process %d is left", pid)
		}
	}
}

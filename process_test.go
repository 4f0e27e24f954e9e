package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the program as a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan map[string]any // its log
	all   bytes.Buffer        // the log's text; complete after exit
}

// patience is how long a process may take for anything before the test fails.
const patience = 2 * time.Minute

// spawn starts `kahuna server` on free ports with its data in dir.
func spawn(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	p := &process{t: t, lines: make(chan map[string]any, 100)}
	p.cmd = exec.CommandContext(ctx, os.Args[0], "server", "--data-dir", dir, "--log-format", "json", "--listen", "127.0.0.1:0",
		"--cluster-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--shutdown-timeout-ms", "3600000")
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			fmt.Fprintln(&p.all, s.Text())
			line := map[string]any{}
			if json.Unmarshal(s.Bytes(), &line) == nil {
				p.lines <- line
			}
		}
	}()
	return p
}

// await gives the next log line whose message begins so.
func (p *process) await(message string) map[string]any {
	p.t.Helper()
	for line := range p.lines {
		if text, _ := line["message"].(string); strings.HasPrefix(text, message) {
			return line
		}
	}
	p.t.Fatalf("the process ended without %q:\n%s", message, p.all.String())
	return nil
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and gives the exit code, -1 for a signal, and the whole log.
func (p *process) exit() (code int, log string) {
	for range p.lines {
	}
	p.cmd.Wait() // the code tells
	return p.cmd.ProcessState.ExitCode(), p.all.String()
}

// A data directory is one process's at a time; who is refused hears who has it; when that one was killed it is free again.
func TestDataDirectoryIsOneProcessOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first := spawn(t, dir)
	first.await("ready")

	code, log := spawn(t, dir).exit()
	if code != exitBusy {
		t.Errorf("the second process exits with %d, want %d", code, exitBusy)
	}
	want := fmt.Sprintf("data directory %s is in use by process %d; stop that one, or choose another directory with --data-dir", dir, first.cmd.Process.Pid)
	if !strings.Contains(log, want) {
		t.Errorf("the second process says %q, want %q", log, want)
	}

	first.signal(syscall.SIGKILL)
	first.exit()
	third := spawn(t, dir)
	third.await("ready")
	third.signal(syscall.SIGTERM)
	if code, log := third.exit(); code != 0 {
		t.Errorf("after SIGTERM the exit code is %d:\n%s", code, log)
	}
}

// The line that says ready names the addresses, and a client finds the server there.
func TestReadyLineNamesAddresses(t *testing.T) {
	p := spawn(t, t.TempDir())
	line := p.await("ready")
	for _, key := range []string{"listen", "cluster-listen"} {
		addr, _ := line[key].(string)
		if code, out, log := command(nil, "ping", "--addr", addr); code != 0 || out != "PONG\n" {
			t.Errorf("ping of %s %s: exit %d, %q, %q", key, addr, code, out, log)
		}
	}
	p.signal(syscall.SIGINT)
	if code, log := p.exit(); code != 0 {
		t.Errorf("after SIGINT the exit code is %d:\n%s", code, log)
	}
}

// The first signal waits for running commands, the second does not.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	p := spawn(t, t.TempDir(), hangs+"=1")
	p.await("ready")
	p.signal(syscall.SIGTERM)
	p.await("stopping; once more")
	p.signal(syscall.SIGINT)
	if code, log := p.exit(); code != 128+int(syscall.SIGINT) {
		t.Errorf("the exit code is %d:\n%s", code, log)
	}
}

func TestUnknownVariableIsTold(t *testing.T) {
	p := spawn(t, t.TempDir(), "KAHUNA_ADDR=h:1", "KAHUNA_TLS_CA=x", "KAHUNA_LOCK_NAME=x", "KAHUNA_LISTNE=:1") // the first are for clients
	if line := p.await("this environment variable is no setting"); line["variable"] != "KAHUNA_LISTNE" {
		t.Errorf("told %v", line)
	}
	p.signal(syscall.SIGTERM)
	p.exit()
}

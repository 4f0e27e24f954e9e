package lockrun

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// shell starts a script whose standard output, and that of all it starts, is the reader: it ends when all of them have gone.
func shell(t *testing.T, group bool, script string) (*process, *bufio.Reader) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = in
	p, err := start(cmd, group, false)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill(); <-p.ended; out.Close() })
	return p, bufio.NewReader(out)
}

// All that a command started goes with it, whatever it does about signals, in a group of its own and on a terminal.
func TestKillReachesAll(t *testing.T) {
	for _, group := range []bool{true, false} {
		p, out := shell(t, group, `(trap "" TERM; echo; sleep 600 & sh -c "sleep 600; echo bad") & echo; wait`)
		out.ReadString('\n')
		out.ReadString('\n')
		p.kill()
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
			t.Errorf("group %t: %q, %v", group, rest, err)
		}
		<-p.ended
		if s := p.status(); s != 128+int(syscall.SIGKILL) {
			t.Errorf("group %t: status %d", group, s)
		}
	}
}

// What ignores SIGTERM is left when the command itself has ended of it, and is killed then.
func TestKillReachesWhatIsLeft(t *testing.T) {
	for _, group := range []bool{true, false} {
		p, out := shell(t, group, `(trap "" TERM; echo ready; sleep 600; sleep 600) & wait`)
		out.ReadString('\n')
		p.terminate()
		<-p.ended
		p.kill()
		if _, err := io.ReadAll(out); err != nil {
			t.Errorf("group %t: %v", group, err)
		}
		if s := p.status(); s != 128+int(syscall.SIGTERM) {
			t.Errorf("group %t: status %d", group, s)
		}
	}
}

// What is stopped is asked to end too.
func TestTerminateReachesStopped(t *testing.T) {
	for _, group := range []bool{true, false} {
		p, out := shell(t, group, `trap "echo bye; exit 5" TERM; echo ready; kill -STOP $$; while :; do sleep 0.01; done`)
		out.ReadString('\n')
		p.terminate()
		<-p.ended
		if rest, _ := io.ReadAll(out); !strings.HasPrefix(string(rest), "bye") || p.status() != 5 {
			t.Errorf("group %t: %q, status %d", group, rest, p.status())
		}
	}
}

func TestStartFails(t *testing.T) {
	for path, want := range map[string]error{"/nonexistent": os.ErrNotExist, "/etc/passwd": os.ErrPermission, "no-such-command": exec.ErrNotFound} {
		_, err := start(exec.Command(path), true, false)
		failed := (*StartError)(nil)
		if !errors.As(err, &failed) || !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

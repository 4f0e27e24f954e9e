package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kahuna/tests/e2e/rig"
)

// terminal opens a new terminal: what is written to keys is typed on tty.
func terminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		lack(t, "no terminals: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		lack(t, "no terminals: %v", err)
	}
	t.Cleanup(func() { tty.Close() })
	return keys, tty
}

// On a terminal the command reads what is typed, and gets the signals of keys once; those sent to the program are passed on.
func TestLockOnTerminal(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	keys, tty := terminal(t)
	cmd := exec.Command(program, "lock", "--addr", s.Listen, "x", "--", "sh", "-c",
		`trap "echo int" INT; trap "echo usr1" USR1; trap "echo bye; exit 7" TERM; read -r line; echo "read $line"; while :; do sleep 0.02; done`)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(keys); in.Scan(); {
			lines <- strings.TrimSpace(in.Text())
		}
	}()
	var all []string
	await := func(want string) {
		t.Helper()
		for line := range lines {
			if all = append(all, line); strings.HasSuffix(line, want) { // the terminal shows ^C before it
				return
			}
		}
		t.Fatalf("%q ends without %q", all, want)
	}
	keys.WriteString("hello\n")
	await("read hello")
	keys.WriteString("\x03") // Ctrl-C
	await("int")
	cmd.Process.Signal(syscall.SIGUSR1)
	await("usr1")
	cmd.Process.Signal(syscall.SIGTERM)
	await("bye")
	cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(strings.Join(all, "\n")+"\n", "int\n"); n != 1 {
		t.Errorf("%d SIGINT: %q", n, all)
	}
}

package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kahuna/tests/e2e/rig"
)

// node is one place for a node, and the processes that run there, one after the other.
type node struct {
	dir     string
	disk    *rig.Disk // nil: none of its own
	program string
	member  bool
	boots   int

	cmd     *exec.Cmd     // nil: it does not run
	ended   chan struct{} // closed when cmd has gone
	stopped bool          // by SIGSTOP
	frozen  bool          // its disk
	fragile bool          // it may end by itself
}

// stopMax is how long a node may take to end in order.
const stopMax = 60 * time.Second

// Start starts a node, if it does not run. One that was not a member joins the cluster; the first of all makes it.
func (f *Fleet) Start(i int) error {
	n := f.nodes[i]
	if n.cmd != nil {
		return nil
	}
	args := []string{"server", "--data-dir", f.DataDir(i), "--node-name", Name(i), "--log-format", "json",
		"--listen", f.Addr(i, ClientPort), "--cluster-listen", f.Addr(i, ClusterPort), "--peer-listen", f.Addr(i, PeerPort),
		"--admin-listen", f.Addr(i, AdminPort), "--protected-mode=false", "--cluster-secret-file", f.secret()}
	if others := f.Others(i); len(others) > 0 {
		var peers []string
		for _, o := range others {
			peers = append(peers, f.Addr(o, PeerPort))
		}
		args = append(args, "--join", strings.Join(peers, ","))
	}
	log, err := os.OpenFile(f.LogFile(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := f.command(i, append(args, f.o.Args...))
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for them
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // the state tells
		close(ended)
	}()
	n.cmd, n.ended, n.stopped, n.member = cmd, ended, false, true
	return nil
}

// overBoot runs a program for which a file lies over the kernel's boot id.
const overBoot = `mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"`

func (f *Fleet) command(i int, args []string) *exec.Cmd {
	n := f.nodes[i]
	name := n.program
	if n.disk != nil {
		args = append([]string{"-c", overBoot, "sh", f.bootFile(i), name}, args...)
		name = "sh"
	}
	cmd := f.Net.Command(i, name, args...)
	if f.o.Clocks {
		cmd.Env = append(os.Environ(), ClockVariable+"="+f.clockFile(i))
	}
	return cmd
}

func (f *Fleet) bootFile(i int) string { return filepath.Join(f.nodes[i].dir, "boot-id") }

// BootID is what a node takes for the machine's boot id; empty: the kernel's.
func (f *Fleet) BootID(i int) string {
	if f.nodes[i].disk == nil {
		return ""
	}
	return fmt.Sprintf("%s-boot-%d", Name(i), f.nodes[i].boots)
}

// boot makes a node see another boot id from its next start on, as after a power cut.
func (f *Fleet) boot(i int) error {
	f.nodes[i].boots++
	return os.WriteFile(f.bootFile(i), []byte(f.BootID(i)+"\n"), 0o600)
}

// Run has a node run another binary from its next start on.
func (f *Fleet) Run(i int, program string) { f.nodes[i].program = program }

// Program is the binary that a node runs.
func (f *Fleet) Program(i int) string { return f.nodes[i].program }

// Running tells whether a node was started and not ended. It may have ended by itself, see Await.
func (f *Fleet) Running(i int) bool { return f.nodes[i].cmd != nil }

// Stopped tells whether a node stands still.
func (f *Fleet) Stopped(i int) bool { return f.nodes[i].stopped }

// PID is the process id of a node that runs.
func (f *Fleet) PID(i int) int { return f.nodes[i].cmd.Process.Pid }

// Signal sends a node a signal, if it runs. That it has ended by itself is for Await to tell.
func (f *Fleet) Signal(i int, s syscall.Signal) error {
	n := f.nodes[i]
	if n.cmd == nil {
		return nil
	}
	if err := n.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("node %d: %v: %w", i, s, err)
	}
	n.stopped = s == syscall.SIGSTOP
	return nil
}

// Kill ends nodes as kill -9 does, at one moment, and waits until they have gone.
func (f *Fleet) Kill(nodes ...int) {
	for _, i := range nodes {
		_ = f.Thaw(i) // a process that waits for a disk can't be ended; a disk that was cut off can't be thawed
		if f.nodes[i].cmd != nil {
			f.nodes[i].cmd.Process.Kill() // an error: it has gone already
		}
	}
	for _, i := range nodes {
		if n := f.nodes[i]; n.cmd != nil {
			<-n.ended
			n.cmd, n.stopped = nil, false
		}
	}
}

// Stop ends a node in order, if it runs.
func (f *Fleet) Stop(i int) error {
	n := f.nodes[i]
	if n.cmd == nil {
		return nil
	}
	if err := errors.Join(f.Thaw(i), f.Signal(i, syscall.SIGCONT), f.Signal(i, syscall.SIGTERM)); err != nil {
		return err
	}
	code, ended := f.exit(i, stopMax)
	switch {
	case !ended:
		f.Kill(i)
		return fmt.Errorf("node %d does not end", i)
	case code != 0:
		return fmt.Errorf("node %d ended with exit code %d after SIGTERM:\n%s", i, code, f.Logs())
	}
	return nil
}

// exit waits for the end of a node that is about to end, and gives its exit code.
func (f *Fleet) exit(i int, limit time.Duration) (code int, ended bool) {
	n := f.nodes[i]
	over := time.NewTimer(limit)
	defer over.Stop()
	select {
	case <-n.ended:
		code = n.cmd.ProcessState.ExitCode()
		n.cmd, n.stopped = nil, false
		return code, true
	case <-over.C:
		return 0, false
	}
}

// Fragile says whether a node may end by itself from now on, because of what was done to it.
func (f *Fleet) Fragile(i int, may bool) { f.nodes[i].fragile = may }

// IsFragile tells whether it may.
func (f *Fleet) IsFragile(i int) bool { return f.nodes[i].fragile }

// died tells which node ended by itself and must not have. One that may is then not running.
func (f *Fleet) died() error {
	for i, n := range f.nodes {
		if n.cmd == nil {
			continue
		}
		select {
		case <-n.ended:
			if !n.fragile {
				return fmt.Errorf("node %d ended by itself: %v\n%s", i, n.cmd.ProcessState, f.Logs())
			}
			n.cmd, n.stopped = nil, false
		default:
		}
	}
	return nil
}

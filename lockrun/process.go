package lockrun

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is the command that runs, with all that it starts.
//
// Without a terminal it leads a process group of its own, so that every signal reaches all of it. On a terminal it shares this
// process's group: else it could not read there, and whatever else the group is (a script, the rest of a pipeline) would not
// get its signals together with it. What it started is found by the table of processes then.
type process struct {
	cmd      *exec.Cmd
	group    bool // it leads a group of its own
	ended    chan struct{}
	signaled []relative // whom a signal was sent on a terminal
}

// start starts a command. Its error is a *StartError.
func start(cmd *exec.Cmd, group, orphan bool) (*process, error) {
	p := &process{cmd: cmd, group: group, ended: make(chan struct{})}
	cmd.SysProcAttr = attributes(group, orphan)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // a command that is to die with its parent dies with the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // the state tells
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, &StartError{cmd.Path, err}
	}
	return p, nil
}

// end is closed when the command has ended.
func (p *process) end() <-chan struct{} { return p.ended }

// signal sends a signal to the command, in a group of its own to all of it. That it has gone meanwhile is no error.
func (p *process) signal(s syscall.Signal) {
	if p.group {
		syscall.Kill(-p.cmd.Process.Pid, s)
		return
	}
	p.cmd.Process.Signal(s)
}

// terminate asks all of it to end, also what is stopped.
func (p *process) terminate() {
	if !p.group {
		p.signaled = family(p.cmd.Process.Pid)
		for _, r := range p.signaled {
			r.signal(syscall.SIGTERM)
			r.signal(syscall.SIGCONT)
		}
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
}

// kill ends all of it, and what is left of it when the command itself has gone.
func (p *process) kill() {
	if !p.group {
		for _, r := range freeze(p.stopped(), p.signaled) {
			r.signal(syscall.SIGKILL)
		}
	}
	p.signal(syscall.SIGKILL)
}

// nobody is no process.
const nobody = -1

// stopped stops the command and gives its number, unless it has ended: then that may be another's.
func (p *process) stopped() int {
	select {
	case <-p.ended:
		return nobody
	default:
		p.cmd.Process.Signal(syscall.SIGSTOP) // it starts no other meanwhile
		return p.cmd.Process.Pid
	}
}

// status is how the command ended, as a shell says it.
func (p *process) status() int {
	state := p.cmd.ProcessState
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return state.ExitCode()
}

// StartError says that the command could not be started.
type StartError struct {
	Path string
	Err  error
}

func (e *StartError) Error() string { return "can't run the command: " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// onTerminal tells whether there is a terminal whose keys send signals to this process's group.
func onTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

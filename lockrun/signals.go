package lockrun

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// SignalError says that a signal ended the wait for a lock.
type SignalError struct{ Signal syscall.Signal }

func (e *SignalError) Error() string {
	return fmt.Sprintf("ended by signal %v while waiting", e.Signal)
}

var (
	// ending are the signals that end a process that does not handle them, and so the wait for a lock.
	ending = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}
	// telling are those that mean something to some programs.
	telling = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}
	// keys are those that a terminal sends to the command by itself.
	keys = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH}
)

// listen begins to take the signals that are passed on. What this process was started to ignore, as by nohup, stays ignored,
// by the command too. Stopping by a terminal is left to the terminal, as it stops the command as well.
func listen(terminal bool) chan os.Signal {
	all := append(slices.Clone(ending), telling...)
	if !terminal {
		all = append(all, syscall.SIGTSTP, syscall.SIGCONT)
	}
	all = slices.DeleteFunc(all, signal.Ignored)
	signals := make(chan os.Signal, 64)
	if len(all) > 0 { // without any, Notify would take all there are
		signal.Notify(signals, all...)
	}
	return signals
}

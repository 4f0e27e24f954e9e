package lockrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kahuna/client"
)

// OnLost says what becomes of the command when its lock is lost, or about to be because it can't be renewed.
type OnLost string

const (
	Term     OnLost = "term"     // SIGTERM, and SIGKILL after the grace
	Kill     OnLost = "kill"     // SIGKILL at the last moment
	Continue OnLost = "continue" // only a message
)

// Options say what to run while which locks are held.
type Options struct {
	Lock    Lock
	Client  client.Options
	Command []string
	Environ []string // of the command, to which the KAHUNA_LOCK_ variables are added
	Stdin   *os.File
	Stdout  *os.File
	Stderr  *os.File
	Grace   time.Duration // between SIGTERM and SIGKILL, at most half of the ttl; it is taken from the end of the lease
	OnLost  OnLost
	Log     io.Writer // for messages to a person
}

// Run takes the locks, runs the command to its end, and gives the locks back. It gives the command's exit status, 128+n when
// signal n ended it. An error is a *HeldError, a *SignalError, a *LostError, a *StartError, or the client's.
func Run(ctx context.Context, o Options) (status int, err error) {
	terminal := onTerminal()
	signals := listen(terminal)
	defer signal.Stop(signals)
	h := newHolder(o.Lock, o.Client)
	defer h.close()
	if err := acquireUntil(ctx, h, signals); err != nil {
		if held := (*HeldError)(nil); !errors.As(err, &held) {
			h.release(ctx)
		}
		return 0, err
	}
	status, err = runHeld(ctx, o, h, signals, terminal)
	if failed := h.release(ctx); failed != nil && err == nil {
		fmt.Fprintf(o.Log, "kahuna: the lock could not be given back and ends by itself within %v: %v\n", o.Lock.TTL, failed)
	}
	return status, err
}

// acquireUntil acquires until a signal ends it.
func acquireUntil(ctx context.Context, h *holder, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- h.acquire(ctx) }()
	for {
		select {
		case err := <-done:
			if end := (*SignalError)(nil); errors.As(context.Cause(ctx), &end) {
				return end // also when the lock came at the same moment: the command never began
			}
			return err
		case s := <-signals:
			switch {
			case slices.Contains(ending, s):
				cancel(&SignalError{s.(syscall.Signal)})
			case s == syscall.SIGTSTP:
				syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			}
		}
	}
}

// runHeld runs the command while the leases are renewed.
func runHeld(ctx context.Context, o Options, h *holder, signals <-chan os.Signal, terminal bool) (int, error) {
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // PATH names the directory itself: as a shell, do what it says
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	cmd.Env = append(slices.Clone(o.Environ), environment(o, h)...)
	p, err := start(cmd, !terminal, o.OnLost == Continue)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := newWarden(o, h, p, terminal)
	go w.keep(ctx)
	w.watch(signals)
	cancel()
	<-w.kept
	h.ends = w.ends
	if w.lost != nil && o.OnLost != Continue {
		return 0, &LostError{w.lost}
	}
	return p.status(), nil
}

// environment is what the command is told about its locks: of several, names and tokens are separated by spaces, in the order
// of the command line.
func environment(o Options, h *holder) []string {
	var tokens []string
	for _, name := range o.Lock.Names {
		tokens = append(tokens, strconv.FormatInt(h.tokens[name], 10))
	}
	return []string{
		"KAHUNA_LOCK_NAME=" + strings.Join(o.Lock.Names, " "),
		"KAHUNA_LOCK_TOKEN=" + strings.Join(tokens, " "),
		"KAHUNA_LOCK_OWNER=" + o.Lock.Owner,
		"KAHUNA_LOCK_TTL_MS=" + millis(o.Lock.TTL),
		"KAHUNA_ADDR=" + strings.Join(o.Client.Addrs, ","),
	}
}

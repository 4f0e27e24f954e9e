package lockrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// errNotRenewed is why a lock is given up when no server confirmed it in time.
var errNotRenewed = errors.New("the lock could not be renewed in time")

// command is a process as the warden sees it.
type command interface {
	signal(syscall.Signal) // to all of it, as far as it is this program's to do that
	terminate()            // asks all of it to end, also what is stopped
	kill()                 // ends all of it, also what is left when the command itself has ended
	end() <-chan struct{}  // closed when the command has ended
}

// warden watches one command and its leases until the command has ended.
type warden struct {
	o        Options
	h        *holder
	p        command
	terminal bool
	ends     time.Time      // of the leases
	renewed  chan time.Time // new ends
	taken    chan error     // a lock was taken away
	kept     chan struct{}  // closed when renewing has ended
	lost     error          // why the lock is lost
	termAt   *time.Timer
	killAt   *time.Timer
}

func newWarden(o Options, h *holder, p command, terminal bool) *warden {
	w := &warden{o: o, h: h, p: p, terminal: terminal, ends: h.ends,
		renewed: make(chan time.Time), taken: make(chan error, 1), kept: make(chan struct{})}
	w.termAt, w.killAt = time.NewTimer(w.untilTerm()), time.NewTimer(w.untilKill())
	return w
}

// marginMax bounds how long before the end of a lease the command is killed: the kernel needs a moment for it.
const marginMax = time.Second

// untilKill is how long the command may run at most.
func (w *warden) untilKill() time.Duration {
	return time.Until(w.ends) - min(w.o.Lock.TTL/10, marginMax)
}

// untilTerm is how long until it must be asked to end, so that it has the grace to do so.
func (w *warden) untilTerm() time.Duration {
	if w.o.OnLost != Term {
		return w.untilKill()
	}
	return w.untilKill() - w.o.Grace
}

// keep renews the leases and tells watch about it, until ctx ends.
func (w *warden) keep(ctx context.Context) {
	defer close(w.kept)
	err := w.h.keep(ctx, w.h.grants(w.o.Lock.Names), w.ends, func(ends time.Time) {
		select {
		case w.renewed <- ends:
		case <-ctx.Done():
		}
	})
	if errors.Is(err, errTaken) {
		w.taken <- err
	}
}

// watch returns when the command has ended.
func (w *warden) watch(signals <-chan os.Signal) {
	defer w.termAt.Stop()
	defer w.killAt.Stop()
	for {
		select {
		case <-w.p.end():
			w.afterEnd()
			return
		case ends := <-w.renewed:
			w.renew(ends)
		case err := <-w.taken:
			w.lose(err)
		case <-w.termAt.C:
			w.lose(errNotRenewed)
		case <-w.killAt.C:
			w.kill()
		case s := <-signals:
			w.pass(s.(syscall.Signal))
		}
	}
}

// afterEnd kills what a command that was stopped left behind. What one leaves behind that ended by itself is its own affair.
func (w *warden) afterEnd() {
	if w.lost != nil && w.o.OnLost != Continue {
		w.p.kill()
	}
}

// renew moves the end of the leases. A command that was told to end is not called back.
func (w *warden) renew(ends time.Time) {
	w.ends = ends
	if w.lost == nil {
		w.termAt.Reset(w.untilTerm())
		w.killAt.Reset(w.untilKill())
	}
}

// lose stops the command, as it is wanted. When the lock was taken away the grace counts from now; it ends no later than the
// lease in any case.
func (w *warden) lose(why error) {
	if w.lost != nil {
		return
	}
	w.lost = why
	w.termAt.Stop()
	left := w.untilKill()
	switch {
	case w.o.OnLost == Continue:
		w.killAt.Stop()
		w.say("%v; the command runs on without it", why)
		return
	case w.o.OnLost == Kill || left <= 0:
		w.kill()
		return
	}
	w.say("%v; stopping the command", why)
	w.killAt.Reset(min(left, w.o.Grace))
	w.p.terminate()
}

// kill ends the command, unless it is to run on.
func (w *warden) kill() {
	if w.o.OnLost == Continue {
		w.lose(errNotRenewed)
		return
	}
	if w.lost == nil {
		w.lost = errNotRenewed
	}
	w.p.kill()
}

// pass passes a signal on to the command.
func (w *warden) pass(s syscall.Signal) {
	switch {
	case s == syscall.SIGTSTP:
		w.p.signal(s)
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case s == syscall.SIGCONT:
		w.resume()
	case !w.terminal || !slices.Contains(keys, os.Signal(s)):
		w.p.signal(s)
	}
}

// resume lets the command go on after a stop, unless its leases have ended meanwhile.
func (w *warden) resume() {
	if w.untilKill() <= 0 && w.lost == nil {
		w.lose(errNotRenewed)
	}
	if w.lost == nil || w.o.OnLost == Continue {
		w.p.signal(syscall.SIGCONT)
	}
}

func (w *warden) say(format string, args ...any) {
	fmt.Fprintf(w.o.Log, "kahuna: "+format+"\n", args...)
}

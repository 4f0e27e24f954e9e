package lockrun

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a command that notes what is done to it and when, in seconds since it began.
type recorder struct {
	began  time.Time
	ended  chan struct{}
	dies   bool // at once, when it is terminated
	events []string
}

func (r *recorder) note(what string) {
	r.events = append(r.events, fmt.Sprintf("%s@%g", what, time.Since(r.began).Seconds()))
}

func (r *recorder) signal(s syscall.Signal) { r.note(s.String()) }
func (r *recorder) end() <-chan struct{}    { return r.ended }

func (r *recorder) terminate() {
	if r.note("term"); r.dies {
		close(r.ended)
	}
}

func (r *recorder) kill() {
	r.note("kill")
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
}

// guarded runs a warden over a command with a fresh lease of 15 s and a grace of 5 s, while events happen. It gives what was
// done to the command.
func guarded(t *testing.T, o Options, dies bool, events func(w *warden, r *recorder, signals chan<- os.Signal)) (done string, w *warden) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{began: time.Now(), ended: make(chan struct{}), dies: dies}
		if o.Lock.TTL, o.Log = 15*time.Second, io.Discard; o.Grace == 0 {
			o.Grace = 5 * time.Second
		}
		w = newWarden(o, &holder{ends: time.Now().Add(o.Lock.TTL)}, r, false)
		signals := make(chan os.Signal, 10)
		var happening sync.WaitGroup
		happening.Go(func() { events(w, r, signals) })
		w.watch(signals)
		happening.Wait()
		done = strings.Join(slices.Compact(r.events), " ")
	})
	return done, w
}

// A command whose lease is not renewed is ended before the lease: the margin is a second.
func TestWardenEndsCommandInTime(t *testing.T) {
	tests := map[string]struct {
		onLost OnLost
		dies   bool
		want   string
	}{
		"stubborn": {Term, false, "term@9 kill@14"},
		"obeys":    {Term, true, "term@9 kill@9"}, // the second for what it leaves behind
		"kill":     {Kill, false, "kill@14"},
	}
	for name, x := range tests {
		t.Run(name, func(t *testing.T) {
			done, w := guarded(t, Options{OnLost: x.onLost}, x.dies, func(*warden, *recorder, chan<- os.Signal) {})
			if done != x.want || w.lost == nil {
				t.Errorf("%s, lost %v; want %s", done, w.lost, x.want)
			}
		})
	}
}

func TestWardenRenewed(t *testing.T) {
	done, w := guarded(t, Options{OnLost: Term}, true, func(w *warden, r *recorder, _ chan<- os.Signal) {
		for range 10 {
			time.Sleep(8 * time.Second)
			w.renewed <- time.Now().Add(15 * time.Second)
		}
		close(r.ended)
	})
	if done != "" || w.lost != nil {
		t.Errorf("%s, lost %v", done, w.lost)
	}
	// a renewal that comes when the command was told to end does not call it back
	done, _ = guarded(t, Options{OnLost: Term}, false, func(w *warden, r *recorder, _ chan<- os.Signal) {
		time.Sleep(10 * time.Second)
		w.renewed <- time.Now().Add(15 * time.Second)
	})
	if !strings.HasPrefix(done, "term@9 kill@14") {
		t.Error(done)
	}
}

// A lock that was taken away: the command gets its grace from then on.
func TestWardenTaken(t *testing.T) {
	taken := func(w *warden, r *recorder, _ chan<- os.Signal) {
		time.Sleep(2 * time.Second)
		w.taken <- errTaken
		time.Sleep(time.Minute)
		select {
		case <-r.ended:
		default:
			close(r.ended)
		}
	}
	for onLost, want := range map[OnLost]string{Term: "term@2 kill@7", Kill: "kill@2", Continue: ""} {
		if done, w := guarded(t, Options{OnLost: onLost}, false, taken); done != want || w.lost != errTaken {
			t.Errorf("%s: %s, lost %v; want %s", onLost, done, w.lost, want)
		}
	}
}

func TestWardenContinues(t *testing.T) {
	done, w := guarded(t, Options{OnLost: Continue}, true, func(w *warden, r *recorder, _ chan<- os.Signal) {
		time.Sleep(time.Hour)
		close(r.ended)
	})
	if done != "" || w.lost != errNotRenewed {
		t.Errorf("%s, lost %v", done, w.lost)
	}
}

func TestWardenPassesSignals(t *testing.T) {
	all := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGCONT}
	pass := func(w *warden, r *recorder, signals chan<- os.Signal) {
		for _, s := range all {
			signals <- s
		}
		time.Sleep(time.Second)
		close(r.ended)
	}
	done, _ := guarded(t, Options{OnLost: Term}, false, pass)
	if want := "hangup@0 interrupt@0 terminated@0 user defined signal 1@0 continued@0"; done != want {
		t.Error(done)
	}
	done, _ = guarded(t, Options{OnLost: Term}, false, func(w *warden, r *recorder, signals chan<- os.Signal) {
		w.terminal = true
		pass(w, r, signals)
	})
	if want := "hangup@0 terminated@0 user defined signal 1@0 continued@0"; done != want {
		t.Errorf("on a terminal: %s", done)
	}
}

// A command that was stopped for longer than its lease is killed, not continued.
func TestWardenResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for stopped, want := range map[time.Duration]string{5 * time.Second: "continued@5", 20 * time.Second: "kill@20"} {
			r := &recorder{began: time.Now(), ended: make(chan struct{})}
			o := Options{Lock: Lock{TTL: 15 * time.Second}, Grace: 5 * time.Second, OnLost: Term, Log: io.Discard}
			w := newWarden(o, &holder{ends: time.Now().Add(15 * time.Second)}, r, false)
			time.Sleep(stopped)
			if w.resume(); !slices.Equal(r.events, []string{want}) {
				t.Errorf("after %v: %v, want %s", stopped, r.events, want)
			}
		}
	})
}

package commands

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/resp"
)

// blocking is a session whose commands may block, in a bubble, and what it has sent.
type blocking struct {
	s    *Session
	w    resp.Writer
	mu   sync.Mutex // guards sent: who is woken by a timer knows of nobody's writes
	sent string
	gone func()        // the client goes
	busy chan struct{} // closed when all is served

	suspended bool
	resumed   chan struct{}
}

func (r *rig) blocking(id int64) *blocking {
	b := &blocking{resumed: make(chan struct{}, 1)}
	b.s = r.Open(Conn{ID: id, Suspend: func(interrupt func(error)) func() {
		b.suspended, b.gone = true, func() { interrupt(context.Canceled) }
		return func() { b.resumed <- struct{}{} }
	}})
	return b
}

// serve begins to serve a pipeline and returns when nothing happens any more.
func (b *blocking) serve(line string) {
	b.busy = make(chan struct{})
	go func() {
		b.s.Serve(context.Background(), bytesOf(line), &b.w)
		for b.suspended {
			b.suspended = false
			b.collect()
			<-b.resumed
			b.s.Resume(context.Background(), &b.w)
		}
		b.collect()
		close(b.busy)
	}()
	synctest.Wait()
}

// collect takes over what the session has written.
func (b *blocking) collect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += string(b.w.Bytes())
	b.w.Reset()
}

func (b *blocking) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent != want {
		t.Errorf("sent %q, want %q", b.sent, want)
	}
	b.sent = ""
}

// TestBlockingLock sees that a LOCK that waits answers what was before it, holds back what is behind it, and gets its turn.
func TestBlockingLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Limits{})
		c := r.client(1, 2)
		c.send(lines("LOCK l o 60000")...)
		b := r.blocking(2)
		b.serve("ECHO a;LOCK l p 1000 WAIT 5000;ECHO b")
		b.want(t, "$1\r\na\r\n")
		if got := c.send(lines("CLIENT LIST ID 2;INFO clients")...); !strings.Contains(got, "flags=b") || !strings.Contains(got, "blocked_clients:1") {
			t.Errorf("nobody sees that it waits: %q", got)
		}
		c.send(lines("UNLOCK l o")...)
		synctest.Wait()
		if !strings.HasPrefix(b.sent, ":") || !strings.HasSuffix(b.sent, "\r\n$1\r\nb\r\n") {
			t.Errorf("sent %q", b.sent)
		}
		<-b.busy
		if got := c.send(lines("INFO clients")...); !strings.Contains(got, "blocked_clients:0") {
			t.Errorf("it seems to wait still: %q", got)
		}
	})
}

func TestBlockingLockEnds(t *testing.T) {
	for end, want := range map[string]string{
		"time":                     "$-1\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2":         "$-1\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2 TIMEOUT": "$-1\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2 ERROR":   "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n",
		"gone":                     "-TRYAGAIN the wait was ended\r\n+PONG\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(Limits{})
			c := r.client(1, 2)
			c.send(lines("LOCK l o 60000")...)
			b := r.blocking(2)
			b.serve("LOCK l p 1000 WAIT 5000;PING")
			begun := time.Now()
			switch end {
			case "time":
				<-b.busy
				if took := time.Since(begun); took != 5*time.Second {
					t.Errorf("it waited %v", took)
				}
			case "gone":
				b.gone()
			default:
				if got := c.send(lines(end)...); got != ":1\r\n" {
					t.Errorf("%s: %q", end, got)
				}
			}
			<-b.busy
			b.want(t, want)
			if got := c.send(lines("CLIENT UNBLOCK 2")...); got != ":0\r\n" {
				t.Errorf("%s: it is unblocked twice: %q", end, got)
			}
		})
	}
}

// TestNoWaitInMulti sees that a transaction does not wait, as those of Redis do not.
func TestNoWaitInMulti(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Limits{})
		c := r.client(1, 2)
		c.send(lines("LOCK l o 60000")...)
		b := r.blocking(2)
		b.serve("MULTI;LOCK l p 1000 WAIT 5000;DBSIZE;EXEC")
		b.want(t, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n:0\r\n")
	})
}

// TestBlockingChanges sees that a KCHANGES that waits is told of the next change, and ends as a LOCK that waits does.
func TestBlockingChanges(t *testing.T) {
	for end, want := range map[string]string{
		"KSET a2 x":                "*2\r\n:T\r\n*1\r\n*4\r\n:T\r\n$2\r\na2\r\n:1\r\n$1\r\nx\r\n+PONG\r\n",
		"time":                     "*2\r\n:T\r\n*0\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2":         "*2\r\n:T\r\n*0\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2 TIMEOUT": "*2\r\n:T\r\n*0\r\n+PONG\r\n",
		"CLIENT UNBLOCK 2 ERROR":   "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n",
		"gone":                     "-TRYAGAIN the wait was ended\r\n+PONG\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(Limits{})
			c := r.client(1, 2)
			c.send(lines("KSET a1 x")...)
			b := r.blocking(2)
			b.serve("ECHO a;KCHANGES a BLOCK 5000;PING")
			b.want(t, "$1\r\na\r\n")
			c.send(lines("KSET b x")...)
			b.want(t, "")
			switch end {
			case "time":
				time.Sleep(5 * time.Second)
			case "gone":
				b.gone()
			default:
				c.send(lines(end)...)
			}
			<-b.busy
			if got := timestamps.ReplaceAllString(b.sent, ":T"); got != want {
				t.Errorf("%s: sent %q, want %q", end, got, want)
			}
		})
	}
}

var timestamps = regexp.MustCompile(`:\d{10,}`)

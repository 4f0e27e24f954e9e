package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

// TestWaitingForLocks holds LOCK ... WAIT to what clients rely on, over real connections.
func TestWaitingForLocks(t *testing.T) {
	s := start(t, rig.Options{Dir: t.TempDir()})
	t.Run("pipeline", func(t *testing.T) { waitInPipeline(t, s) })
	t.Run("order", func(t *testing.T) { waitInOrder(t, s) })
	t.Run("disconnect", func(t *testing.T) { waitAndGo(t, s) })
	t.Run("unblock", func(t *testing.T) { waitUnblocked(t, s) })
	t.Run("crowd", func(t *testing.T) { waitInCrowd(t, s) })
	stop(t, s)
}

// awaitLine waits until so many wait for a lock.
func awaitLine(t *testing.T, c *wire.Conn, lock string, n int) {
	t.Helper()
	for limit := time.Now().Add(2 * time.Minute); ; {
		info := do(t, c, "LOCKINFO", lock)
		if f := info.Field("waiting"); f != nil && f.String() == strconv.Itoa(n) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("it does not come to %d who wait: %s", n, info)
		}
	}
}

// receive reads one reply.
func receive(t *testing.T, c *wire.Conn) *wire.Reply {
	t.Helper()
	r, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is pipelined before a LOCK that waits is answered at once, what is behind it afterwards, in order.
func waitInPipeline(t *testing.T, s *rig.Server) {
	o, w := connect(t, s.Listen), connect(t, s.Listen)
	do(t, o, "LOCK", "p", "o", "60000")
	if err := w.Send([]string{"ECHO", "before"}, []string{"LOCK", "p", "w", "60000", "WAIT", "60000"}, []string{"ECHO", "behind"},
		[]string{"UNLOCK", "p", "w"}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, w).String(); got != `$"before"` {
		t.Errorf("before: %s", got)
	}
	awaitLine(t, o, "p", 1)
	expect(t, o, "(nil)", "LOCK", "p", "x", "1000")
	expect(t, o, "1", "UNLOCK", "p", "o")
	token := receive(t, w).String()
	if n, err := strconv.ParseInt(token, 10, 64); err != nil || n <= 0 {
		t.Errorf("token: %s", token)
	}
	if got := receive(t, w).String() + receive(t, w).String(); got != `$"behind"1` {
		t.Errorf("behind: %s", got)
	}
	expect(t, w, "(nil)", "LOCKINFO", "p")
}

// Ten owners pass a lock on in the order in which they came, with rising tokens.
func waitInOrder(t *testing.T, s *rig.Server) {
	o := connect(t, s.Listen)
	do(t, o, "LOCK", "f", "o", "60000")
	var all []*wire.Conn
	for i := range 10 {
		c := connect(t, s.Listen)
		if err := c.Send([]string{"LOCK", "f", fmt.Sprint(i), "60000", "WAIT", "60000"}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, o, "f", i+1)
		all = append(all, c)
	}
	do(t, o, "UNLOCK", "f", "o")
	last := int64(0)
	for i, c := range all {
		token, err := strconv.ParseInt(receive(t, c).String(), 10, 64)
		if err != nil || token <= last {
			t.Errorf("owner %d: token %d after %d, %v", i, token, last, err)
		}
		last = token
		expect(t, c, "1", "UNLOCK", "f", fmt.Sprint(i))
	}
}

// A client that goes leaves the line at once, and finds its place again when it comes back.
func waitAndGo(t *testing.T, s *rig.Server) {
	o := connect(t, s.Listen)
	do(t, o, "LOCK", "d", "o", "60000")
	ask := func(owner string) *wire.Conn {
		c := connect(t, s.Listen)
		if err := c.Send([]string{"LOCK", "d", owner, "60000", "WAIT", "60000"}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := ask("first")
	awaitLine(t, o, "d", 1)
	second := ask("second")
	awaitLine(t, o, "d", 2)
	first.Close()
	awaitLine(t, o, "d", 1)
	first = ask("first")
	awaitLine(t, o, "d", 2)
	do(t, o, "UNLOCK", "d", "o")
	if r := receive(t, first); r.Nil() || r.Err() != "" {
		t.Errorf("it has lost its place: %s", r)
	}
	third := ask("third")
	awaitLine(t, o, "d", 2)
	second.Close()
	awaitLine(t, o, "d", 1)
	expect(t, first, "1", "UNLOCK", "d", "first")
	if r := receive(t, third); r.Nil() || r.Err() != "" {
		t.Errorf("who has gone is in the way: %s", r)
	}
}

func waitUnblocked(t *testing.T, s *rig.Server) {
	o, w := connect(t, s.Listen), connect(t, s.Listen)
	do(t, o, "LOCK", "u", "o", "60000")
	id := do(t, w, "CLIENT", "ID").String()
	for _, how := range []struct{ reason, want string }{{"TIMEOUT", "(nil)"}, {"ERROR", "UNBLOCKED"}} {
		if err := w.Send([]string{"LOCK", "u", "w", "60000", "WAIT", "60000"}); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, o, "u", 1)
		expect(t, o, "1", "CLIENT", "UNBLOCK", id, how.reason)
		if got := receive(t, w).String(); !strings.Contains(got, how.want) {
			t.Errorf("%s: %s", how.reason, got)
		}
	}
	expect(t, w, "(nil)", "LOCK", "u", "w", "60000", "WAIT", "20")
	expect(t, o, "0", "CLIENT", "UNBLOCK", id)
}

// A crowd passes one lock on: never two have it at once, and everybody gets it.
func waitInCrowd(t *testing.T, s *rig.Server) {
	const owners, rounds = 30, 5
	var inside, passed int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range owners {
		c := connect(t, s.Listen)
		all.Go(func() {
			for range rounds {
				r, err := c.Do("LOCK", "c", fmt.Sprint(i), "60000", "WAIT", "60000")
				if err != nil || r.Nil() || r.Err() != "" {
					t.Errorf("owner %d: %v, %v", i, r, err)
					return
				}
				mu.Lock()
				if inside++; inside != 1 {
					t.Errorf("%d hold the lock", inside)
				}
				passed++
				inside--
				mu.Unlock()
				if _, err := c.Do("UNLOCK", "c", fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if passed != owners*rounds {
		t.Errorf("%d of %d got the lock", passed, owners*rounds)
	}
}

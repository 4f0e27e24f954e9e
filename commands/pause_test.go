package commands

import (
	"testing"
	"testing/synctest"
	"time"
)

// paused runs a test with a clock that goes on with that of the bubble.
func paused(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(*testing.T) {
		r := newRig(Limits{})
		r.now = time.Now
		test(r)
	})
}

// TestPause holds back what may write, and what stands behind it in its pipeline, until the time is over.
func TestPause(t *testing.T) {
	paused(t, func(r *rig) {
		c, boss := r.blocking(1), r.client(2, 2)
		boss.do(t, "CLIENT PAUSE 1000 WRITE")
		c.serve("GET k;SET k v;GET k")
		c.want(t, "$-1\r\n")
		time.Sleep(999 * time.Millisecond)
		c.want(t, "")
		if got := boss.do(t, "GET k"); got != "$-1\r\n" {
			t.Errorf("during the pause: %q", got)
		}
		time.Sleep(2 * time.Millisecond)
		c.want(t, "+OK\r\n$1\r\nv\r\n")
		c.serve("SET k w")
		c.want(t, "+OK\r\n")
	})
}

// TestUnpause ends a pause at once, also of reads, and for all who were held back.
func TestUnpause(t *testing.T) {
	paused(t, func(r *rig) {
		a, b, boss := r.blocking(1), r.blocking(2), r.client(3, 2)
		boss.do(t, "CLIENT PAUSE 60000")
		a.serve("PING")
		b.serve("INCR n;INCR n")
		a.want(t, "")
		b.want(t, "")
		if got := boss.do(t, "CLIENT UNPAUSE"); got != "+OK\r\n" {
			t.Errorf("%q", got)
		}
		a.want(t, "+PONG\r\n")
		b.want(t, ":1\r\n:2\r\n")
		if n := len(r.pause.waiting); n > 0 || r.pause.on.Load() {
			t.Errorf("%d are left", n)
		}
	})
}

// TestPauseAgain makes a pause longer while a command is held back, which then waits on, and what is behind it is not lost.
func TestPauseAgain(t *testing.T) {
	paused(t, func(r *rig) {
		c, boss := r.blocking(1), r.client(2, 2)
		boss.do(t, "CLIENT PAUSE 1000 WRITE")
		c.serve("SET k v;GET k")
		time.Sleep(500 * time.Millisecond)
		boss.do(t, "CLIENT PAUSE 2000 WRITE")
		boss.do(t, "CLIENT PAUSE 1 WRITE") // never shorter
		time.Sleep(1400 * time.Millisecond)
		c.want(t, "")
		time.Sleep(700 * time.Millisecond)
		c.want(t, "+OK\r\n$1\r\nv\r\n")
	})
}

// TestPausedTransactions holds back what is queued, what ends a transaction and scripts; CLIENT REPLY and what a client that goes has
// sent are kept in mind.
func TestPausedTransactions(t *testing.T) {
	paused(t, func(r *rig) {
		c, boss := r.blocking(1), r.client(2, 2)
		c.serve("MULTI;INCR n")
		c.want(t, "+OK\r\n+QUEUED\r\n")
		boss.do(t, "CLIENT PAUSE 60000 WRITE")
		c.serve("EXEC")
		c.want(t, "")
		boss.do(t, "CLIENT UNPAUSE")
		c.want(t, "*1\r\n:1\r\n")
		boss.do(t, "CLIENT PAUSE 60000 WRITE")
		c.serve("CLIENT REPLY SKIP;INCR n;GET n")
		c.want(t, "")
		boss.do(t, "CLIENT UNPAUSE")
		c.want(t, "$1\r\n2\r\n")
		boss.do(t, "CLIENT PAUSE 60000 WRITE")
		c.serve("EVAL x 0")
		c.want(t, "")
		boss.do(t, "CLIENT UNPAUSE")
		synctest.Wait()
		c.collect()
		c.sent = ""
		boss.do(t, "CLIENT PAUSE 60000 WRITE")
		c.serve("PUBLISH a b;INCR n")
		c.gone()
		synctest.Wait()
		boss.do(t, "CLIENT UNPAUSE")
		if len(r.pause.waiting) > 0 {
			t.Error("a client that went still waits")
		}
	})
}

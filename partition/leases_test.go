package partition

import (
	"fmt"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
)

// handClock goes on only when told.
type handClock struct {
	wall time.Time
	mono time.Duration
}

func (c *handClock) Wall() time.Time     { return c.wall }
func (c *handClock) Mono() time.Duration { return c.mono }

// leasesOn is the lease table of a leader without a log.
func leasesOn(c *handClock) *leases {
	l := newLeases(&Replica{cfg: Config{Clock: c}})
	l.leading = true
	return l
}

// held tells the table that a lock has these holds now.
func (l *leases) held(name string, holds ...op.Hold) {
	state := op.LockState{Permits: uint32(max(1, len(holds))), Holds: holds}
	rec := mvcc.Record{Type: mvcc.TypeString, Value: op.AppendLock(nil, &state), Deleted: len(holds) == 0}
	l.observe([]mvcc.Change{{Name: op.Lock([]byte(name)), Record: rec}})
}

func hold(owner string, granted op.Timestamp, ttl int64) op.Hold {
	return op.Hold{Owner: []byte(owner), Token: granted, Granted: granted, TTLMilli: ttl}
}

// says are the ends that the table says at a moment.
func (l *leases) says(c *handClock, at time.Duration) string {
	c.mono = at
	unit, _ := l.expired()
	return ends(unit)
}

func ends(unit fsm.Unit) (s string) {
	for _, o := range unit {
		e := o.(*op.LockExpire)
		s += fmt.Sprintf("%s/%s@%d ", e.Name, e.Owner, e.Granted)
	}
	return s
}

func wantEnds(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

func TestLeaseIsNeverEndedEarly(t *testing.T) {
	c := &handClock{mono: time.Hour}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	wantEnds(t, l.says(c, time.Hour+time.Second-1), "")
	if _, wait := l.expired(); wait != 1 {
		t.Errorf("it looks again after %v", wait)
	}
	wantEnds(t, l.says(c, time.Hour+time.Second), "a/o@7 ")
}

func TestWallClockIsIrrelevant(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	for _, jump := range []time.Duration{1000 * time.Hour, -2000 * time.Hour} {
		c.wall = c.wall.Add(jump)
		wantEnds(t, l.says(c, 999*time.Millisecond), "")
	}
	wantEnds(t, l.says(c, time.Second), "a/o@7 ")
}

func TestExtensionBeforeTheEndWins(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	wantEnds(t, l.says(c, 999*time.Millisecond), "")
	l.held("a", hold("o", 8, 1000))
	wantEnds(t, l.says(c, 1998*time.Millisecond), "")
	wantEnds(t, l.says(c, 1999*time.Millisecond), "a/o@8 ")
}

// The same hold told again, because another owner came or went, keeps its end.
func TestOtherHoldersDoNotMoveAnEnd(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	c.mono = 500 * time.Millisecond
	l.held("a", hold("o", 7, 1000), hold("p", 8, 1000))
	wantEnds(t, l.says(c, time.Second), "a/o@7 ")
	l.held("a", hold("p", 8, 1000))
	wantEnds(t, l.says(c, 1500*time.Millisecond), "a/p@8 ")
	l.held("a")
	wantEnds(t, l.says(c, time.Hour), "")
	if len(l.byLock) != 0 || len(l.due) != 0 {
		t.Errorf("left behind: %v, %v", l.byLock, l.due)
	}
}

// An end that did not get into the log is said again; one that found nothing to end is forgotten, unless the lease is another by then.
func TestEndsAreSaidAgain(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	wantEnds(t, l.says(c, time.Second), "a/o@7 ")
	wantEnds(t, l.says(c, time.Second+expireRetry-1), "")
	wantEnds(t, l.says(c, time.Second+expireRetry), "a/o@7 ")
	l.held("a", hold("o", 9, 1000))
	l.drop("a", "o", 7)
	wantEnds(t, l.says(c, 3*time.Second+expireRetry), "a/o@9 ")
	l.drop("a", "o", 9)
	wantEnds(t, l.says(c, time.Hour), "")
}

func TestFollowerSaysNothing(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	l.follow()
	wantEnds(t, l.says(c, time.Hour), "")
	l.held("b", hold("o", 7, 1000))
	wantEnds(t, l.says(c, 2*time.Hour), "")
}

func TestManyEndsAreSaidInUnits(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	for i := range 3 * expireUnit {
		l.held(fmt.Sprint(i), hold("o", op.Timestamp(i+1), int64(1+i)))
	}
	c.mono = time.Hour
	said := map[string]bool{}
	for range 3 {
		unit, _ := l.expired()
		if len(unit) != expireUnit {
			t.Fatalf("%d ends at once", len(unit))
		}
		for _, o := range unit {
			said[string(o.(*op.LockExpire).Name)] = true
		}
	}
	if len(said) != 3*expireUnit {
		t.Errorf("%d of %d were said", len(said), 3*expireUnit)
	}
}

func TestRemaining(t *testing.T) {
	c := &handClock{}
	l := leasesOn(c)
	l.held("a", hold("o", 7, 1000))
	for at, want := range map[time.Duration]int64{0: 1000, 400 * time.Millisecond: 600, time.Second: 0, time.Hour: 0} {
		c.mono = at
		state := op.LockState{Holds: []op.Hold{hold("o", 7, 1000)}}
		if l.remaining([]byte("a"), &state); state.Holds[0].TTLMilli != want {
			t.Errorf("after %v there are %d ms left, want %d", at, state.Holds[0].TTLMilli, want)
		}
	}
}

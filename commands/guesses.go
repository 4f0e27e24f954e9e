package commands

import (
	"math"
	"net"
	"sync"
	"time"
)

const (
	guessesFree     = 5                      // wrong passwords that cost nothing
	guessDelay      = 50 * time.Millisecond  // for the next one; twice as long for each one after it
	guessDelayMax   = 2 * time.Second        // for the same user from the same address
	guessDelayShare = 200 * time.Millisecond // for the user from other addresses, and for other users from the address
	guessMemory     = time.Minute            // after so long without a wrong password all is forgotten
	guessesAtOnce   = 4                      // how many for one user from one address may wait; more are refused
	guessersMax     = 4096                   // how many are remembered
	errTooManyAuth  = "ERR too many failed attempts to authenticate, wait a moment and try again"
)

// guesses slows down who tries passwords. It counts wrong ones by address and user, and, milder, by each of the two alone, so
// that neither many addresses nor many users help much, and who has the right password is held up a little at most. A right
// password waits as long as a wrong one: else the time would tell.
type guesses struct {
	mu     sync.Mutex
	failed map[guesser]*failures
}

// guesser is who tries what; one of the two may be empty, for any.
type guesser struct{ address, user string }

type failures struct {
	count   int
	last    time.Time
	waiting int
}

// newGuesser takes the host of an address, and the beginning of a name, which may be as long as the client likes.
func newGuesser(remote, user string) guesser {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	return guesser{remote, user[:min(len(user), 128)]}
}

// begin tells how long to wait before a password is looked at, or that it must not be. After it, end is called.
func (g *guesses) begin(who guesser, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	both := g.failed[who]
	wait = max(both.delay(now, guessDelayMax), g.failed[guesser{address: who.address}].delay(now, guessDelayShare),
		g.failed[guesser{user: who.user}].delay(now, guessDelayShare))
	if wait == 0 || both == nil {
		return wait, true
	}
	if both.waiting >= guessesAtOnce {
		return 0, false
	}
	both.waiting++
	return wait, true
}

// end tells how it went.
func (g *guesses) end(who guesser, waited, right bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if both := g.failed[who]; waited && both != nil && both.waiting > 0 {
		both.waiting--
	}
	if right {
		return
	}
	for _, key := range []guesser{who, {address: who.address}, {user: who.user}} {
		g.of(key, now).note(now)
	}
}

// of is the failures of a guesser.
func (g *guesses) of(key guesser, now time.Time) *failures {
	if f := g.failed[key]; f != nil {
		return f
	}
	if g.failed == nil {
		g.failed = map[guesser]*failures{}
	}
	if len(g.failed) >= guessersMax {
		g.makeRoom(now)
	}
	f := &failures{}
	g.failed[key] = f
	return f
}

// makeRoom forgets some of a few without a recent failure; if all of them have one, the one with the fewest.
func (g *guesses) makeRoom(now time.Time) {
	var least guesser
	looked, fewest := 0, int(math.MaxInt)
	for key, f := range g.failed {
		if looked++; looked > 16 {
			break
		}
		n := f.count
		if f.stale(now) && f.waiting == 0 {
			n = 0
		}
		if n < fewest {
			least, fewest = key, n
		}
	}
	delete(g.failed, least)
}

func (f *failures) note(now time.Time) {
	if f.stale(now) {
		f.count = 0
	}
	f.count++
	f.last = now
}

func (f *failures) stale(now time.Time) bool { return now.Sub(f.last) >= guessMemory }

func (f *failures) delay(now time.Time, most time.Duration) time.Duration {
	if f == nil || f.stale(now) || f.count < guessesFree {
		return 0
	}
	return min(guessDelay<<min(f.count-guessesFree, 16), most)
}

package work

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"kahuna/op"
	"kahuna/tests/cluster/load"
	"kahuna/tests/e2e/wire"
)

// Bank is transfers between accounts by all kinds of transactions, and looks at all accounts by all kinds of snapshots.
type Bank struct {
	w      *load.World
	prefix string

	mu    sync.Mutex
	acked []int // transfers that certainly touched an account
	maybe []int // and those whose end is not known
	looks []Look
	held  []Held
}

// Look is what the accounts had at one moment: of the past, if At is above 0 and not Fresh.
type Look struct {
	Call, Return int64
	At           op.Timestamp // 0: not known
	Fresh        bool         // it shows all that ended before Call
	Balances     []int64
	Revs         []int64
}

// Held is a SNAPSHOT HOLD.
type Held struct{ ID, At op.Timestamp }

const accountsInUse = 5

// NewBank makes the work on keys that begin with prefix.
func NewBank(w *load.World, prefix string) *Bank {
	return &Bank{w: w, prefix: prefix, acked: make([]int, accountsInUse), maybe: make([]int, accountsInUse)}
}

// Keys are the accounts.
func (b *Bank) Keys() (all []string) {
	for i := range accountsInUse {
		all = append(all, b.account(i))
	}
	return all
}

func (b *Bank) account(i int) string { return fmt.Sprint(b.prefix, i) }

// Transfer moves an amount from one account to another.
func (b *Bank) Transfer(c *Client) {
	from, to := c.Rng.IntN(accountsInUse), c.Rng.IntN(accountsInUse-1)
	if to >= from {
		to++
	}
	amount := 1 + c.Rng.Int64N(100)
	steps := [][]string{{"INCRBY", b.account(from), fmt.Sprint(-amount)}, {"INCRBY", b.account(to), fmt.Sprint(amount)}}
	var end load.Outcome
	switch c.Rng.IntN(4) {
	case 0:
		_, end = c.Target().Exec(steps...)
	case 1:
		_, end = c.Target().Call("EVAL", "redis.call('INCRBY', KEYS[1], -ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])", "2", b.account(from), b.account(to), fmt.Sprint(amount))
	case 2:
		end = interactive(c, "OPTIMISTIC", steps)
	default:
		end = interactive(c, "PESSIMISTIC", steps)
	}
	b.mu.Lock()
	switch end {
	case load.Answered:
		b.acked[from]++
		b.acked[to]++
	case load.Unknown:
		b.maybe[from]++
		b.maybe[to]++
	}
	b.mu.Unlock()
	if end != load.Answered {
		c.Leave()
		return
	}
	b.w.Count("answered by "+c.Target().Name(), 1)
	b.w.Count("bank transfers", 1)
}

// interactive runs commands as an interactive transaction.
func interactive(c *Client, mode string, steps [][]string) load.Outcome {
	if _, ok := begin(c, mode); !ok {
		return load.Denied
	}
	for _, s := range steps {
		if _, end := c.Target().Call(s...); end != load.Answered {
			rollback(c)
			return load.Denied
		}
		if c.Rng.IntN(4) == 0 {
			linger(c, 40)
		}
	}
	_, end := c.Target().Call("COMMIT")
	return end
}

// Look looks at all accounts.
func (b *Bank) Look(c *Client) {
	l, kind, ok := Look{Call: since(b.w)}, "", false
	switch c.Rng.IntN(6) {
	case 0:
		kind, ok = "exec", b.lookExec(c, &l)
	case 1:
		kind, ok = "readonly", b.lookReadonly(c, &l)
	case 2:
		kind, ok = "asof", b.lookAsOf(c, &l)
	case 3:
		kind, ok = "prefix", b.lookPrefix(c, &l)
	case 4:
		kind, ok = "again", b.lookAgain(c, &l)
	default:
		kind, ok = "held", b.lookHeld(c, &l)
	}
	if !ok {
		c.Leave()
		return
	}
	l.Return = since(b.w)
	b.mu.Lock()
	b.looks = append(b.looks, l)
	b.mu.Unlock()
	b.w.Count("answered by "+c.Target().Name(), 1)
	b.w.Count("bank look "+kind, 1)
}

func (b *Bank) lookExec(c *Client, l *Look) bool {
	var commands [][]string
	for i := range accountsInUse {
		commands = append(commands, []string{"KGET", b.account(i), "META"})
	}
	parts, end := c.Target().Exec(commands...)
	l.Fresh = true
	return end == load.Answered && b.take(l, parts)
}

func (b *Bank) lookReadonly(c *Client, l *Look) bool {
	at, ok := begin(c, "READONLY")
	if !ok {
		return false
	}
	l.At, l.Fresh = at, true
	var parts []*wire.Reply
	for i := range accountsInUse {
		r, end := c.Target().Call("KGET", b.account(i), "META")
		if end != load.Answered {
			rollback(c)
			return false
		}
		parts = append(parts, r)
		if c.Rng.IntN(3) == 0 {
			linger(c, 50)
		}
	}
	_, end := c.Target().Call("COMMIT")
	return end == load.Answered && b.take(l, parts)
}

// lookAsOf reads each account at one timestamp, through any node.
func (b *Bank) lookAsOf(c *Client, l *Look) bool {
	at, ok := timestamp(c)
	l.At, l.Fresh = at, true
	return ok && b.readAt(c, l)
}

func (b *Bank) readAt(c *Client, l *Look) bool {
	var parts []*wire.Reply
	for i := range accountsInUse {
		r, end := c.Target().Call("KGET", b.account(i), "ASOF", fmt.Sprint(uint64(l.At)), "META")
		if end != load.Answered {
			return false
		}
		parts = append(parts, r)
		if c.Rng.IntN(3) == 0 {
			c.Leave()
		}
	}
	return b.take(l, parts)
}

func (b *Bank) lookPrefix(c *Client, l *Look) bool {
	at, ok := timestamp(c)
	if !ok {
		return false
	}
	l.At, l.Fresh = at, true
	return b.scanAt(c, l)
}

func (b *Bank) scanAt(c *Client, l *Look) bool {
	r, end := c.Target().Call("KPREFIX", b.prefix, "ASOF", fmt.Sprint(uint64(l.At)))
	if end != load.Answered {
		return false
	}
	l.Balances, l.Revs = make([]int64, accountsInUse), make([]int64, accountsInUse)
	for _, item := range r.Parts[1].Parts {
		for i := range accountsInUse {
			if item.Parts[0].Text == b.account(i) {
				l.Balances[i], l.Revs[i] = b.number(item.Parts[1].Text), item.Parts[2].Int
			}
		}
	}
	return true
}

// lookAgain looks at the past at which somebody has looked before.
func (b *Bank) lookAgain(c *Client, l *Look) bool {
	b.mu.Lock()
	if len(b.looks) > 0 {
		l.At = b.looks[c.Rng.IntN(len(b.looks))].At
	}
	b.mu.Unlock()
	return l.At > 0 && b.past(c, l)
}

func (b *Bank) past(c *Client, l *Look) bool {
	if c.Rng.IntN(2) == 0 {
		return b.scanAt(c, l)
	}
	return b.readAt(c, l)
}

const heldMax = 3

// lookHeld looks at a snapshot that is held, and holds one first if there are few.
func (b *Bank) lookHeld(c *Client, l *Look) bool {
	b.mu.Lock()
	held := slices.Clone(b.held)
	b.mu.Unlock()
	if len(held) < heldMax {
		r, end := c.Target().Call("SNAPSHOT", "HOLD", "600000")
		if end != load.Answered {
			return false
		}
		h := Held{op.Timestamp(r.Parts[0].Int), op.Timestamp(r.Parts[1].Int)}
		b.mu.Lock()
		b.held = append(b.held, h)
		b.mu.Unlock()
		held = append(held, h)
	}
	l.At = held[c.Rng.IntN(len(held))].At
	return b.past(c, l)
}

// take fills a look from replies to KGET ... META.
func (b *Bank) take(l *Look, parts []*wire.Reply) bool {
	l.Balances, l.Revs = make([]int64, accountsInUse), make([]int64, accountsInUse)
	for i, r := range parts {
		if !r.Nil() {
			l.Balances[i], l.Revs[i] = b.number(r.Field("value").Text), r.Field("revision").Int
		}
	}
	return true
}

func (b *Bank) number(s string) (n int64) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		b.w.Fail("an account has %q", s)
	}
	return n
}

// Finish looks a last time and lets go of what is held, when nobody writes any more; it is to be called again after an error.
func (b *Bank) Finish(c *Client) error {
	for len(b.held) > 0 {
		l := Look{Call: since(b.w), At: b.held[0].At}
		if !b.past(c, &l) {
			c.Leave()
			return fmt.Errorf("the snapshot of %d can't be read", l.At)
		}
		if _, end := c.Target().Call("SNAPSHOT", "RELEASE", fmt.Sprint(uint64(b.held[0].ID))); end != load.Answered {
			c.Leave()
			return fmt.Errorf("the hold %d can't be released", b.held[0].ID)
		}
		l.Return = since(b.w)
		b.looks, b.held = append(b.looks, l), b.held[1:]
	}
	l := Look{Call: since(b.w)}
	if !b.lookExec(c, &l) {
		c.Leave()
		return fmt.Errorf("the accounts can't be read")
	}
	l.Return = since(b.w)
	b.looks = append(b.looks, l)
	return nil
}

// Verdict judges all looks.
func (b *Bank) Verdict() (found []string) {
	b.w.Count("bank looks", len(b.looks))
	return append(Looks(b.looks), Transferred(b.looks[len(b.looks)-1].Revs, b.acked, b.maybe)...)
}

// History is a line for each look.
func (b *Bank) History() (lines []string) {
	for _, l := range b.looks {
		lines = append(lines, fmt.Sprintf("%+v", l))
	}
	return lines
}

// Looks judges looks at accounts that have 0 together, at all times: each sees them so, the same past is the same whenever somebody
// looks at it, no account's revision goes back, neither from an earlier past to a later one nor in real time, and one revision is one
// balance.
func Looks(looks []Look) (found []string) {
	found = append(sums(looks), pasts(looks)...)
	balances := map[[2]int64]int64{}
	for _, l := range looks {
		for i, rev := range l.Revs {
			of := [2]int64{int64(i), rev}
			if old, known := balances[of]; known && old != l.Balances[i] {
				found = append(found, fmt.Sprintf("bank: revision %d of account %d was %d, and %d: %+v", rev, i, old, l.Balances[i], l))
			}
			balances[of] = l.Balances[i]
		}
	}
	return append(found, fresh(looks)...)
}

func sums(looks []Look) (found []string) {
	for _, l := range looks {
		sum := int64(0)
		for _, n := range l.Balances {
			sum += n
		}
		if sum != 0 {
			found = append(found, fmt.Sprintf("bank: the accounts have %d together: %+v", sum, l))
		}
	}
	return found
}

// pasts goes through looks at known timestamps, in their order.
func pasts(looks []Look) (found []string) {
	at := slices.DeleteFunc(slices.Clone(looks), func(l Look) bool { return l.At == 0 })
	slices.SortStableFunc(at, func(a, b Look) int { return cmp.Compare(a.At, b.At) })
	for i := 1; i < len(at); i++ {
		a, b := at[i-1], at[i]
		if a.At == b.At && (!slices.Equal(a.Balances, b.Balances) || !slices.Equal(a.Revs, b.Revs)) {
			found = append(found, fmt.Sprintf("bank: a snapshot has changed: %+v, %+v", a, b))
		}
		if behind(b.Revs, a.Revs) {
			found = append(found, fmt.Sprintf("bank: a later snapshot is of an earlier state: %+v, %+v", a, b))
		}
	}
	return found
}

// behind tells whether some revision is lower than it was.
func behind(revs, before []int64) bool {
	for i, r := range revs {
		if r < before[i] {
			return true
		}
	}
	return false
}

// fresh holds looks that must show all that had ended before them against what others had seen by then.
func fresh(looks []Look) (found []string) {
	calls := slices.SortedFunc(slices.Values(looks), func(a, b Look) int { return cmp.Compare(a.Call, b.Call) })
	ends := slices.SortedFunc(slices.Values(looks), func(a, b Look) int { return cmp.Compare(a.Return, b.Return) })
	seen := map[int]int64{}
	for _, l := range calls {
		for len(ends) > 0 && ends[0].Return < l.Call {
			for i, r := range ends[0].Revs {
				seen[i] = max(seen[i], r)
			}
			ends = ends[1:]
		}
		for i, r := range l.Revs {
			if l.Fresh && r < seen[i] {
				found = append(found, fmt.Sprintf("bank: a stale look: account %d at revision %d was seen before: %+v; %v", i, seen[i], l, maps.Clone(seen)))
			}
		}
	}
	return found
}

// Transferred judges how often accounts were changed: once by each transfer that was acknowledged, and at most once by each whose end
// is not known.
func Transferred(final []int64, acked, maybe []int) (found []string) {
	for i, rev := range final {
		if rev < int64(acked[i]) || rev > int64(acked[i]+maybe[i]) {
			found = append(found, fmt.Sprintf("bank: account %d was changed %d times, by %d acknowledged transfers and up to %d of unknown end", i, rev, acked[i], maybe[i]))
		}
	}
	return found
}

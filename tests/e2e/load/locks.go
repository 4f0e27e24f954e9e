package load

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"kahuna/tests/e2e/wire"
)

// leaseMilli is so long that no lease ends in a test.
const leaseMilli = "86400000"

// holder is who may hold a lock; no owner means that it is free.
type holder struct {
	owner string
	token int64 // 0: not known
}

// lock is one that a single client takes and gives back, each time as another owner.
type lock struct {
	world      *World
	name       string
	candidates []holder
}

func newLock(w *World, name string) *lock { return &lock{w, name, []holder{{}}} }

// change takes the lock when it may be free, else gives it back.
func (l *lock) change(stamp string) *step {
	i := slices.IndexFunc(l.candidates, func(h holder) bool { return h.owner != "" })
	if i < 0 {
		return l.acquire(stamp)
	}
	return l.release(l.candidates[i].owner)
}

func (l *lock) acquire(owner string) *step {
	before := l.world.clock.now()
	return &step{[][]string{{"LOCK", l.name, owner, leaseMilli}}, func(end outcome, r *wire.Reply) {
		switch {
		case end == unknown:
			l.candidates = append(l.candidates, holder{owner: owner})
		case end == refused:
		case r.Kind == ':':
			l.world.clock.saw(l.world, "LOCK "+l.name, before, r.Int, 1)
			if !slices.Contains(l.candidates, holder{}) {
				l.world.violate("LOCK %s is granted to %s, though it was held by %v", l.name, owner, l.candidates)
			}
			l.candidates = []holder{{owner, r.Int}}
		default:
			if slices.Equal(l.candidates, []holder{{}}) {
				l.world.violate("LOCK %s is not granted to %s, though nobody held it", l.name, owner)
			}
		}
	}}
}

func (l *lock) release(owner string) *step {
	return &step{[][]string{{"UNLOCK", l.name, owner}}, func(end outcome, r *wire.Reply) {
		mine := func(h holder) bool { return h.owner == owner }
		switch {
		case end == unknown:
			l.candidates = append(l.candidates, holder{})
		case end == refused:
		case r.Int == 1:
			if !slices.ContainsFunc(l.candidates, mine) {
				l.world.violate("UNLOCK %s %s answers 1, though the holder was %v", l.name, owner, l.candidates)
			}
			l.candidates = []holder{{}}
		default:
			if l.candidates = slices.DeleteFunc(l.candidates, mine); len(l.candidates) == 0 {
				l.world.violate("UNLOCK %s %s answers 0, though that owner held it", l.name, owner)
				l.candidates = []holder{{}}
			}
		}
	}}
}

func (l *lock) check(c *wire.Conn, fixed bool) error {
	found, err := readHolder(c, l.name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(l.candidates, func(h holder) bool {
		return h.owner == found.owner && (h.token == 0 || h.token == found.token)
	}) {
		l.world.violate("lock %s is held by %v, which is none of %v", l.name, found, l.candidates)
	}
	if !fixed {
		l.candidates = []holder{found}
	}
	return nil
}

// readHolder asks who has a lock.
func readHolder(c *wire.Conn, name string) (holder, error) {
	r, err := c.Do("LOCKINFO", name)
	if err != nil || r.Nil() {
		return holder{}, err
	}
	all := r.Field("holders")
	if all == nil || len(all.Parts) != 1 || all.Parts[0].Field("owner") == nil || all.Parts[0].Field("token") == nil {
		return holder{}, fmt.Errorf("LOCKINFO %s answers %s", name, shown(r))
	}
	return holder{all.Parts[0].Field("owner").Text, all.Parts[0].Field("token").Int}, nil
}

// hotLock is one that all clients want. holder is who certainly has it: from the acknowledgement of its LOCK until it sends
// the UNLOCK.
type hotLock struct {
	name   string
	mu     sync.Mutex
	holder string
	maybe  map[string]bool // owners who may still have it
}

func (l *hotLock) change(w *World, client string) *step {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maybe[client] || l.holder == client {
		return l.release(w, client)
	}
	return l.acquire(w, client)
}

func (l *hotLock) acquire(w *World, client string) *step {
	before := w.clock.now()
	return &step{[][]string{{"LOCK", l.name, client, leaseMilli}}, func(end outcome, r *wire.Reply) {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case end == unknown:
			l.maybe[client] = true
		case end == acked && r.Kind == ':':
			if l.holder != "" && l.holder != client {
				w.violate("LOCK %s is granted to %s while %s holds it", l.name, client, l.holder)
			}
			if l.holder != client && !l.maybe[client] {
				w.clock.saw(w, "LOCK "+l.name, before, r.Int, 1)
			}
			l.holder, l.maybe[client] = client, true
		}
	}}
}

func (l *hotLock) release(w *World, client string) *step {
	if l.holder == client {
		l.holder = "" // from now on somebody else may get it
	}
	return &step{[][]string{{"UNLOCK", l.name, client}}, func(end outcome, r *wire.Reply) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if end == acked {
			delete(l.maybe, client)
		}
	}}
}

// forget is for a new server: what its clients held as one of them, they hold still.
func (l *hotLock) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maybe == nil {
		l.maybe = map[string]bool{}
	}
}

func (l *hotLock) check(w *World, c *wire.Conn) error {
	found, err := readHolder(c, l.name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.holder != "" && found.owner != l.holder:
		w.violate("lock %s is held by %q, though %s got it and did not give it back", l.name, found.owner, l.holder)
	case found.owner != "" && !l.maybe[found.owner]:
		w.violate("lock %s is held by %q, who gave it back; it may be %v", l.name, found.owner, strings.Join(keysOf(l.maybe), ", "))
	}
	return nil
}

func keysOf(m map[string]bool) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

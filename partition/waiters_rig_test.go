package partition

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/locks"
	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// rig is a table of waiters over the real rules of locks and a log that is moved by hand, in two steps for each unit: it is
// applied, which the table observes, and later its end is told.
type rig struct {
	t       *testing.T
	w       *waiters
	clock   handClock
	view    *viewtest.View
	log     []rigUnit // proposed
	applied []rigUnit // and applied, but nobody knows
	refuse  error     // what proposals are refused with; nil: they are taken
	grants  map[string]op.Timestamp
	onGrant func(o op.Op, unit *rigUnit)
	turn    int
}

type rigUnit struct {
	ops     fsm.Unit
	ended   func([]op.Result, error)
	results []op.Result
	plain   bool // not of the table
	seen    uint64
	turn    int // when it was proposed
}

var rigLock = []byte("l")

func newRig(t *testing.T) *rig {
	r := &rig{t: t, view: viewtest.New(), grants: map[string]op.Timestamp{}}
	r.w = &waiters{mono: r.clock.Mono, held: r.held, holds: r.holds, submit: r.submit, perLock: 100, quota: &Quota{Max: 1000}, unitOps: 3,
		lines: map[string]*line{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	r.w.mono = func() time.Duration { return r.clock.mono }
	r.w.lead()
	return r
}

func (r *rig) held([]byte) tenure {
	state := r.state()
	if state == nil {
		return tenure{}
	}
	return tenureOf(state)
}

func (r *rig) holds(_, owner []byte) bool {
	state := r.state()
	return state != nil && slices.ContainsFunc(state.Holds, func(h op.Hold) bool { return bytes.Equal(h.Owner, owner) })
}

func (r *rig) submit(u fsm.Unit, ended func([]op.Result, error)) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.log = append(r.log, rigUnit{ops: u, ended: ended, seen: r.w.numbers, turn: r.turn})
	return nil
}

// plain proposes an operation as Submit does. Its result is in *got once it is told.
func (r *rig) plain(o op.Op) (got *op.Result) {
	got = &op.Result{Status: op.Again}
	unit, _ := r.w.yield(fsm.Unit{o})
	r.log = append(r.log, rigUnit{ops: unit, plain: true, seen: r.w.numbers, turn: r.turn, ended: func(results []op.Result, err error) {
		if err == nil {
			*got = results[0]
		}
	}})
	return got
}

// apply applies the oldest unit that is proposed.
func (r *rig) apply() bool {
	if len(r.log) == 0 {
		return false
	}
	u := r.log[0]
	r.log = r.log[1:]
	var changes []mvcc.Change
	for _, o := range u.ops {
		r.view.Begin(r.view.Now() + 1)
		res, _, err := locks.Run(r.view, o)
		if err != nil {
			r.t.Fatal(err)
		}
		u.results = append(u.results, res)
		if res.Done && !res.Found && (o.Kind() == op.KindLock || o.Kind() == op.KindLockRenew) {
			r.grants[ownerOf(o)] = op.Timestamp(res.Int)
			if r.onGrant != nil {
				r.onGrant(o, &u)
			}
		}
		changes = append(changes, r.change())
	}
	r.applied = append(r.applied, u)
	r.w.observe(changes)
	return true
}

func (r *rig) change() mvcc.Change {
	c := mvcc.Change{Name: op.Lock(rigLock), Record: mvcc.Record{Deleted: true}}
	if state := r.state(); state != nil {
		c.Record = mvcc.Record{Type: mvcc.TypeString, Value: op.AppendLock(nil, state)}
	}
	return c
}

func (r *rig) state() *op.LockState {
	res, err := locks.Info(r.view, &op.LockInfo{Name: rigLock})
	if err != nil {
		r.t.Fatal(err)
	}
	return res.Lock
}

// tell tells the end of the oldest unit that is applied.
func (r *rig) tell() bool {
	if len(r.applied) == 0 {
		return false
	}
	u := r.applied[0]
	r.applied = r.applied[1:]
	if u.ended != nil {
		u.ended(u.results, nil)
	}
	return true
}

// settle applies and tells everything.
func (r *rig) settle() {
	for n := 0; r.apply() || r.tell(); n++ {
		if n > 10_000 {
			r.t.Fatal("the log does not come to an end")
		}
	}
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	r.clock.mono += d
	r.w.overdue()
}

func (r *rig) enter(o *op.LockAcquire) *caller {
	r.t.Helper()
	c, err := r.w.enter(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// wait is enter for an exclusive lock, with everything settled.
func (r *rig) wait(owner string) *caller {
	r.t.Helper()
	c := r.enter(exclusive(owner))
	r.settle()
	return c
}

func (r *rig) lock(o *op.LockAcquire) op.Result { return r.run(o) }

func (r *rig) unlock(owner string) { r.run(&op.LockRelease{Name: rigLock, Owner: []byte(owner)}) }

func (r *rig) run(o op.Op) op.Result {
	got := r.plain(o)
	r.settle()
	return *got
}

func exclusive(owner string) *op.LockAcquire {
	return &op.LockAcquire{Name: rigLock, Owner: []byte(owner), TTLMilli: 1000}
}

func shared(owner string) *op.LockAcquire {
	return &op.LockAcquire{Name: rigLock, Owner: []byte(owner), TTLMilli: 1000, Shared: true}
}

func permits(owner string, n uint32) *op.LockAcquire {
	return &op.LockAcquire{Name: rigLock, Owner: []byte(owner), TTLMilli: 1000, Permits: n}
}

func ownerOf(o op.Op) string {
	switch o := o.(type) {
	case *op.LockAcquire:
		return string(o.Owner)
	case *op.LockRenew:
		return string(o.Owner)
	}
	return ""
}

// got is what a caller was told: "token", "no", an error, "bounced" or "" when nothing yet. It can be asked once.
func (c *caller) got() string {
	select {
	case e := <-c.end:
		switch {
		case e.err != nil:
			return e.err.Error()
		case e.result.Status.Bounce():
			return "bounced"
		case e.result.Status != op.OK:
			return "refused"
		case e.result.Done:
			return "token"
		}
		return "no"
	default:
		return ""
	}
}

func (r *rig) want(c *caller, want string) {
	r.t.Helper()
	if got := c.got(); got != want {
		r.t.Errorf("%s was told %q, want %q", c.place.ask.Owner, got, want)
	}
}

// holders are the owners who hold the lock, in order.
func (r *rig) holders() (all string) {
	if state := r.state(); state != nil {
		for _, h := range state.Holds {
			all += string(h.Owner) + " "
		}
	}
	return all
}

func (r *rig) wantHolders(want string) {
	r.t.Helper()
	if got := r.holders(); got != want {
		r.t.Errorf("held by %q, want %q", got, want)
	}
}

// wantEmpty sees that the table keeps nothing.
func (r *rig) wantEmpty() {
	r.t.Helper()
	w := r.w
	if len(w.lines) != 0 || w.places.Load() != 0 || w.quota.taken.Load() != 0 {
		r.t.Errorf("left behind: %d lines, %d places, %d in the quota", len(w.lines), w.places.Load(), w.quota.taken.Load())
	}
	if r.pass(absenceGrace); len(w.returns) != 0 || len(w.absences) != 0 {
		r.t.Errorf("left behind: %d and %d times", len(w.returns), len(w.absences))
	}
}

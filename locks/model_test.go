package locks

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// TestInvariants runs random operations on one lock. It predicts each answer from who holds the lock, and checks what the
// package promises after every step.
func TestInvariants(t *testing.T) {
	grants := 0
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := game{t: t, r: rand.New(rand.NewPCG(seed, 1)), v: viewtest.New()}
			for range 500 {
				g.step()
			}
			grants += g.grants
		})
	}
	if grants < 1000 {
		t.Errorf("only %d grants: the test does too little", grants)
	}
}

type game struct {
	t      *testing.T
	r      *rand.Rand
	v      *viewtest.View
	mode   uint32 // permits; 0: shared
	holds  []op.Hold
	top    op.Timestamp // the largest token ever granted
	past   []op.Timestamp
	grants int
}

var name = []byte("l")

func (g *game) step() {
	owner := []byte{'a' + byte(g.r.IntN(4))}
	i := slices.IndexFunc(g.holds, func(h op.Hold) bool { return bytes.Equal(h.Owner, owner) })
	if g.r.IntN(5) == 0 {
		g.v.Begin(g.v.Now().Add(g.r.Int64N(5)))
	}
	switch g.r.IntN(10) {
	case 0, 1, 2, 3, 4:
		g.acquire(owner, i)
	case 5, 6:
		res := g.run(&op.LockRelease{Name: name, Owner: owner})
		g.ended(res, i)
	case 7:
		g.extend(owner, i)
	case 8:
		g.expire(owner, i)
	case 9:
		g.breakLock(owner, i)
	}
	g.check()
}

func (g *game) run(o op.Op) op.Result { return viewtest.Exec(g.t, g.v, o, Run) }

func (g *game) acquire(owner []byte, i int) {
	mode := uint32(g.r.IntN(4))
	if g.r.IntN(2) == 0 {
		mode = g.mode
	}
	ttl := 1 + g.r.Int64N(100)
	o := &op.LockAcquire{Name: name, Owner: owner, TTLMilli: ttl, Shared: mode == 0, Permits: mode}
	if mode == 1 && g.r.IntN(2) == 0 {
		o.Permits = 0
	}
	res := g.run(o)
	held := len(g.holds) > 0
	status, token := op.OK, op.Timestamp(0)
	switch {
	case held && max(mode, 1) != max(g.mode, 1):
		status = op.Mismatch
	case i >= 0 && mode == g.mode:
		h := &g.holds[i]
		g.past = append(g.past, h.Granted)
		h.Granted, h.TTLMilli = g.v.Now(), max(ttl, h.TTLMilli)
		token = h.Token
	case i >= 0 && len(g.holds) == 1:
		g.past = append(g.past, g.holds[0].Granted)
		ttl, g.holds = max(ttl, g.holds[0].TTLMilli), nil
		token = g.granted(owner, mode, ttl)
	case i < 0 && (!held || mode == 0 && g.mode == 0 || mode > 0 && g.mode > 0 && len(g.holds) < int(g.mode)):
		token = g.granted(owner, mode, ttl)
	}
	if res.Status != status || res.Done != (token > 0) || op.Timestamp(res.Int) != token {
		g.t.Fatalf("%+v on %+v (mode %d): %+v, want status %d token %d", o, g.holds, g.mode, res, status, token)
	}
}

// granted notes a new grant, whose token has to be larger than all before.
func (g *game) granted(owner []byte, mode uint32, ttl int64) op.Timestamp {
	token := g.v.Now()
	if token <= g.top {
		g.t.Fatalf("token %d after %d", token, g.top)
	}
	g.top, g.mode = token, mode
	g.holds = append(g.holds, op.Hold{Owner: owner, Token: token, Granted: token, TTLMilli: ttl})
	g.grants++
	return token
}

func (g *game) ended(res op.Result, i int) {
	if res.Done != (i >= 0) {
		g.t.Fatalf("a hold ended: %v, want %v", res.Done, i >= 0)
	}
	if i >= 0 {
		g.past = append(g.past, g.holds[i].Granted)
		g.holds = slices.Delete(g.holds, i, i+1)
	}
}

func (g *game) extend(owner []byte, i int) {
	ttl := 1 + g.r.Int64N(100)
	res := g.run(&op.LockExtend{Name: name, Owner: owner, TTLMilli: ttl})
	if i < 0 {
		if res.Done {
			g.t.Fatalf("%s extended what it does not hold", owner)
		}
		return
	}
	h := &g.holds[i]
	g.past = append(g.past, h.Granted)
	h.Granted, h.TTLMilli = g.v.Now(), ttl
	if !res.Done || op.Timestamp(res.Int) != h.Token {
		g.t.Fatalf("extended to %+v, token %d expected", res, h.Token)
	}
}

// expire tries leases of the past, which must be without effect, and the present one.
func (g *game) expire(owner []byte, i int) {
	for _, granted := range g.past[max(0, len(g.past)-5):] {
		if res := g.run(&op.LockExpire{Name: name, Owner: owner, Granted: granted}); res.Done {
			g.t.Fatalf("the expiry of an old lease of %d ended one of %+v", granted, g.holds)
		}
	}
	if i >= 0 {
		g.ended(g.run(&op.LockExpire{Name: name, Owner: owner, Granted: g.holds[i].Granted}), i)
	}
}

func (g *game) breakLock(owner []byte, i int) {
	o := &op.LockBreak{Name: name, Owner: owner, AnyOwner: g.r.IntN(3) == 0}
	want := int64(0)
	switch {
	case o.AnyOwner:
		want = int64(len(g.holds))
		g.holds = nil
	case i >= 0:
		want = 1
		g.holds = slices.Delete(g.holds, i, i+1)
	}
	if res := g.run(o); res.Int != want {
		g.t.Fatalf("%d put out, want %d", res.Int, want)
	}
}

// check compares what is there with the game, and looks at the promises themselves.
func (g *game) check() {
	res := g.run(&op.LockInfo{Name: name})
	if !res.Found {
		if len(g.holds) > 0 {
			g.t.Fatalf("free, but %+v hold it", g.holds)
		}
		return
	}
	s := res.Lock
	if !slices.EqualFunc(s.Holds, g.holds, func(a, b op.Hold) bool {
		return bytes.Equal(a.Owner, b.Owner) && a.Token == b.Token && a.Granted == b.Granted && a.TTLMilli == b.TTLMilli
	}) {
		g.t.Fatalf("held by %+v, want %+v", s.Holds, g.holds)
	}
	if s.Shared != (s.Permits == 0) || !s.Shared && len(s.Holds) > int(s.Permits) {
		g.t.Fatalf("more holders than allowed: %+v", s)
	}
	for i, h := range s.Holds {
		if i > 0 && h.Token <= s.Holds[i-1].Token || holdOf(s, h.Owner) != i {
			g.t.Fatalf("holders out of order or twice: %+v", s.Holds)
		}
	}
}

// TestStateLimit fills a shared lock until there is no more room: the next reader is refused, and all others can go on.
func TestStateLimit(t *testing.T) {
	v := viewtest.New()
	owner := func(i int) []byte { return append(bytes.Repeat([]byte("o"), 8<<10), byte(i)) }
	n := 0
	for ; ; n++ {
		v.Begin(v.Now() + 1)
		res, err := Acquire(v, &op.LockAcquire{Name: name, Owner: owner(n), TTLMilli: 1, Shared: true})
		if err != nil || n > 100 {
			t.Fatalf("%d readers: %v", n, err)
		}
		if res.Status == op.TooLarge {
			break
		}
	}
	if n < StateBytesMax/(9<<10) {
		t.Errorf("room for %d readers only", n)
	}
	if res := viewtest.Exec(t, v, &op.LockAcquire{Name: name, Owner: owner(0), TTLMilli: 1 << 60, Shared: true}, Run); !res.Done {
		t.Errorf("a reader can't renew at the limit: %+v", res)
	}
	if res := viewtest.Exec(t, v, &op.LockBreak{Name: name, AnyOwner: true}, Run); res.Int != int64(n) {
		t.Errorf("%d of %d put out", res.Int, n)
	}
}

// TestDamagedStateIsAFault shows states that can't be to Decode, and a grant from the future to an operation.
func TestDamagedStateIsAFault(t *testing.T) {
	hold := func(token, granted op.Timestamp, ttl int64) op.Hold {
		return op.Hold{Owner: []byte("o"), Token: token, Granted: granted, TTLMilli: ttl}
	}
	for what, s := range map[string]op.LockState{
		"nobody":        {Permits: 1},
		"two of one":    {Permits: 1, Holds: []op.Hold{hold(1, 1, 1), hold(2, 2, 1)}},
		"shared of one": {Shared: true, Permits: 1, Holds: []op.Hold{hold(1, 1, 1)}},
		"no permits":    {Holds: []op.Hold{hold(1, 1, 1)}},
		"no token":      {Permits: 1, Holds: []op.Hold{hold(0, 1, 1)}},
		"lease before":  {Permits: 1, Holds: []op.Hold{hold(2, 1, 1)}},
		"tokens fall":   {Permits: 2, Holds: []op.Hold{hold(2, 2, 1), hold(1, 1, 1)}},
		"no ttl":        {Permits: 1, Holds: []op.Hold{hold(1, 1, 0)}},
	} {
		if _, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: op.AppendLock(nil, &s)}); err == nil {
			t.Errorf("%s: %+v is taken", what, s)
		}
	}
	v := viewtest.New()
	s := op.LockState{Permits: 1, Holds: []op.Hold{hold(5, 5, 1)}}
	if err := save(v, name, &s); err != nil {
		t.Fatal(err)
	}
	v.Begin(4)
	if _, _, err := Run(v, &op.LockInfo{Name: name}); err == nil {
		t.Error("a grant from the future is taken")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(op.AppendLock(nil, &op.LockState{Permits: 1, Holds: []op.Hold{{Owner: []byte("o"), Token: 1, Granted: 2, TTLMilli: 3}}}))
	f.Add(op.AppendLock(nil, &op.LockState{Shared: true, Holds: []op.Hold{{Owner: []byte("o"), Token: 1, Granted: 2, TTLMilli: 3}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: b})
		if err != nil {
			return
		}
		again, err := Decode(mvcc.Record{Type: mvcc.TypeString, Value: op.AppendLock(nil, &s)})
		if err != nil || !bytes.Equal(op.AppendLock(nil, &again), op.AppendLock(nil, &s)) {
			t.Errorf("%x is %+v and then %+v, %v", b, s, again, err)
		}
	})
}

package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// client does one thing after the other, each at a node of its choice.
type client struct {
	w       *World
	id      int
	targets []Target
	at      int // the target in use
	rng     *rand.Rand
	names   int                  // given to values, owners and requests
	revs    map[string]uint64    // last seen, by key
	held    []*op.LockAcquire    // what it holds, or may hold
	pending []func() *op.SeqNext // requests whose end is not known, to be repeated
	answers []func() *op.SeqNext // requests that were answered, to be repeated
}

// Run runs clients, each of which reaches the nodes by targets of its own, until the returned function is called, which waits for
// them.
func (w *World) Run(clients int, targets func(client int) []Target) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	for id := range clients {
		c := &client{w: w, id: id, targets: targets(id), rng: rand.New(rand.NewPCG(w.seed, uint64(1000+id))), revs: map[string]uint64{}}
		c.at = id % len(c.targets)
		running.Go(func() { c.run(done) })
	}
	return func() {
		close(done)
		running.Wait()
	}
}

func (c *client) run(done <-chan struct{}) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-done:
			return
		case <-rest.C:
		}
		c.next()
		rest.Reset(time.Duration(c.rng.Int64N(int64(c.w.Pause))))
	}
}

func (c *client) next() {
	if c.rng.IntN(20) == 0 {
		c.at = c.rng.IntN(len(c.targets))
	}
	switch n := c.rng.IntN(100); {
	case n < 35:
		c.register()
	case n < 45:
		c.do(&op.Incr{Key: c.pick(c.w.counters()), Delta: 1 + c.rng.Int64N(3)})
	case n < 65:
		c.lock()
	case n < 77:
		c.sequence()
	case n < 87:
		c.timestamp()
	default:
		c.transfer()
	}
}

func (c *client) pick(names [][]byte) []byte { return names[c.rng.IntN(len(names))] }

func (c *client) name(what string) []byte {
	c.names++
	return fmt.Appendf(nil, "%s%d.%d", what, c.id, c.names)
}

// leave goes on at another node.
func (c *client) leave() { c.at = (c.at + 1 + c.rng.IntN(max(1, len(c.targets)-1))) % len(c.targets) }

func (c *client) do(o op.Op) (op.Result, Outcome) {
	t := c.targets[c.at]
	e := &history.Event{Client: c.id, Node: t.Name(), Op: o, Call: time.Since(c.w.Began)}
	result, end := t.Do(o)
	if end != Answered {
		c.leave()
	}
	if end == Unknown && o.ReadOnly() {
		return result, Denied // what a read would have seen is of no use to anybody
	}
	c.w.note(e, result, end)
	return result, end
}

// register reads and writes keys.
func (c *client) register() {
	key := c.pick(c.w.registers())
	switch n := c.rng.IntN(20); {
	case n < 9:
		if res, end := c.do(&op.Get{Key: key}); end == Answered {
			c.revs[string(key)] = res.Rev
		}
	case n < 13:
		c.do(&op.Set{Key: key, Value: c.name("v")})
	case n < 19:
		res, end := c.do(&op.Set{Key: key, Value: c.name("v"), Cond: op.IfRev, CondRev: c.revs[string(key)]})
		switch {
		case end == Answered && res.Done:
			c.revs[string(key)] = res.Rev
		case end == Answered:
			if res, end := c.do(&op.Get{Key: key}); end == Answered {
				c.revs[string(key)] = res.Rev
			}
		}
	default:
		if _, end := c.do(&op.Delete{Key: key}); end == Answered {
			c.revs[string(key)] = 0
		}
	}
}

// lock takes a lock, or does something about one that it holds or may hold.
func (c *client) lock() {
	if len(c.held) == 0 || len(c.held) < 2 && c.rng.IntN(10) == 0 {
		c.acquire(c.someLock())
		return
	}
	k := c.rng.IntN(len(c.held))
	h := c.held[k]
	drop := func() { c.held = append(c.held[:k], c.held[k+1:]...) }
	switch n := c.rng.IntN(20); {
	case n < 10:
		if res, end := c.do(&op.LockExtend{Name: h.Name, Owner: h.Owner, TTLMilli: c.ttl()}); end == Answered && !res.Done {
			drop()
		}
	case n < 13:
		if _, end := c.do(&op.LockRelease{Name: h.Name, Owner: h.Owner}); end != Denied {
			drop()
		}
	case n < 15:
		drop() // its lease runs out
	case n < 17:
		drop()
		c.acquire(&op.LockAcquire{Name: h.Name, Owner: h.Owner, TTLMilli: h.TTLMilli, Shared: h.Shared, Permits: h.Permits})
	default:
		c.do(&op.LockInfo{Name: h.Name})
	}
}

// someLock is a lock of one kind or another: for one owner, for readers and writers, or for as many as there are permits.
func (c *client) someLock() *op.LockAcquire {
	o := &op.LockAcquire{Owner: c.name("o"), TTLMilli: c.ttl()}
	switch n := c.rng.IntN(10); {
	case n < 6:
		o.Name = c.pick(c.w.exclusive())
	case n < 8:
		o.Name, o.Shared = c.w.sharedLock(), c.rng.IntN(3) > 0
	default:
		o.Name, o.Permits = c.w.permitLock(), permitsInUse
	}
	return o
}

// LeaseMax is the longest lease that clients ask for.
const LeaseMax = 3 * time.Second

func (c *client) ttl() int64 { return 1000 + c.rng.Int64N(LeaseMax.Milliseconds()-1000) }

func (c *client) acquire(o *op.LockAcquire) {
	if res, end := c.do(o); end == Unknown || end == Answered && res.Done {
		c.held = append(c.held, &op.LockAcquire{Name: o.Name, Owner: o.Owner, TTLMilli: o.TTLMilli, Shared: o.Shared, Permits: o.Permits})
	}
}

// idemWindow is that of a server by default.
const idemWindow = 24 * time.Hour

// sequence takes numbers, and repeats requests that bear an idempotency key, elsewhere and later.
func (c *client) sequence() {
	switch n := c.rng.IntN(10); {
	case len(c.pending) > 0 && n < 6:
		request := c.pending[0]
		if _, end := c.do(request()); end == Answered {
			c.pending, c.answers = c.pending[1:], append(c.answers, request)
		}
	case len(c.answers) > 0 && n < 3:
		c.do(c.answers[c.rng.IntN(len(c.answers))]())
	case n < 6:
		c.do(&op.SeqNext{Name: c.pick(c.w.sequences()), Count: 1 + c.rng.Uint32N(4)})
	default:
		name, count, idem := c.pick(c.w.sequences()), 1+c.rng.Uint32N(4), c.name("i")
		request := func() *op.SeqNext {
			return &op.SeqNext{Name: name, Count: count, Idem: idem, IdemMilli: idemWindow.Milliseconds()}
		}
		switch _, end := c.do(request()); end {
		case Answered:
			c.answers = append(c.answers, request)
		case Unknown:
			c.pending = append(c.pending, request)
		}
	}
}

// timestamp takes timestamps.
func (c *client) timestamp() {
	t, n := c.targets[c.at], 1+c.rng.IntN(5)
	s := Stamp{Call: time.Since(c.w.Began), N: n}
	first, end := t.Timestamps(n)
	if end != Answered {
		c.leave()
		return
	}
	s.First, s.Return = first, time.Since(c.w.Began)
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.stamps = append(c.w.stamps, s)
	c.w.counts["timestamps"]++
	c.w.counts["answered by "+t.Name()]++
}

// transfer moves an amount from one account to another, or looks at all.
func (c *client) transfer() {
	accounts, t := c.w.accounts(), c.targets[c.at]
	tr := Transfer{From: -1, Balances: map[int]int64{}}
	count := &history.Event{Client: c.id, Node: t.Name(), Op: &op.Incr{Key: c.w.transferCount(), Delta: 1}}
	from, to := c.rng.IntN(len(accounts)), c.rng.IntN(len(accounts)-1)
	if to >= from {
		to++
	}
	var ops []op.Op
	if look := c.rng.IntN(2) == 0; look {
		ops = append(ops, &op.Get{Key: c.w.transferCount()})
		for _, key := range accounts {
			ops = append(ops, &op.Get{Key: key})
		}
	} else {
		tr.From = from
		amount := 1 + c.rng.Int64N(50)
		ops = []op.Op{count.Op, &op.Incr{Key: accounts[from], Delta: -amount}, &op.Incr{Key: accounts[to], Delta: amount}}
	}
	tr.Call = time.Since(c.w.Began)
	count.Call = tr.Call
	results, end := t.Atomic(ops)
	tr.Return = time.Since(c.w.Began)
	if end != Answered {
		c.leave()
	}
	if tr.From < 0 {
		if end != Answered {
			return
		}
		tr.Number = c.number(results[0])
		for i := range accounts {
			tr.Balances[i] = c.number(results[1+i])
		}
		c.w.Count("looks", 1)
	} else {
		var first op.Result
		if end == Answered {
			first = results[0]
			tr.Number, tr.Balances[from], tr.Balances[to] = first.Int, results[1].Int, results[2].Int
			c.w.Count("transfers", 1)
		}
		c.w.note(count, first, end)
		if end != Answered {
			return
		}
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.transfers = append(c.w.transfers, tr)
}

func (c *client) number(r op.Result) int64 {
	if !r.Found {
		return 0
	}
	n, err := strconv.ParseInt(string(r.Value), 10, 64)
	if err != nil {
		c.w.Fail("a counter is %q", r.Value)
	}
	return n
}

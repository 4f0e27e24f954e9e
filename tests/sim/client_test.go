package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/partition"
	"kahuna/tests/sim/history"
)

// client does one thing after the other, each at a node of its choice.
type client struct {
	w       *world
	id      int
	rng     *rand.Rand
	names   int                  // given to values, owners and requests
	revs    map[string]uint64    // last seen, by key
	past    []op.Timestamp       // at which it has read
	held    []*op.LockAcquire    // what it holds, or may hold
	pending []func() *op.SeqNext // requests whose end is not known, to be repeated
	answers []func() *op.SeqNext // requests that were answered, to be repeated
}

// outcome is how a call ended.
type outcome int

const (
	refused outcome = iota // certainly not done
	unknown
	answered
)

func newClient(w *world, id int) *client {
	return &client{w: w, id: id, rng: rand.New(rand.NewPCG(w.seed, uint64(1000+id))), revs: map[string]uint64{}}
}

// run goes on until stop is closed.
func (c *client) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(c.rng.Int64N(int64(40 * time.Millisecond)))):
		}
		switch n := c.rng.IntN(100); {
		case n < 40:
			c.register()
		case n < 50:
			c.readPast()
		case n < 72:
			c.lock()
		case n < 86:
			c.sequence()
		default:
			c.count()
		}
	}
}

func (c *client) name(what string) []byte {
	c.names++
	return fmt.Appendf(nil, "%s%d.%d", what, c.id, c.names)
}

// do has one operation done, and notes it. It asks the nodes in turn until one does not refuse.
func (c *client) do(at op.Timestamp, o op.Op) (op.Result, outcome) {
	results, end := c.doAll(at, []op.Op{o})
	if end != answered {
		return op.Result{}, end
	}
	if results[0].Status.Bounce() {
		return op.Result{}, refused
	}
	return results[0], end
}

// doAll has operations on one partition done as a unit.
func (c *client) doAll(at op.Timestamp, ops []op.Op) ([]op.Result, outcome) {
	for _, k := range c.rng.Perm(len(c.w.nodes)) {
		if results, end := c.attempt(c.w.nodes[k], at, ops); end != refused {
			return results, end
		}
	}
	return nil, refused
}

func (c *client) attempt(n *node, at op.Timestamp, ops []op.Op) ([]op.Result, outcome) {
	i := n.enter()
	if i == nil {
		return nil, refused
	}
	defer i.calls.Done()
	call := time.Since(c.w.began)
	results, err := c.call(i, at, ops)
	end := judge(err)
	if i.dead.Load() && end == answered {
		end = unknown // said by a program that was killed before
	}
	if read := ops[0].ReadOnly(); end == refused || end == unknown && read {
		c.w.tally.add("refused", 1)
		return nil, refused
	}
	for k, o := range ops {
		e := &history.Event{Client: c.id, Node: n.id, Op: o, At: at, Call: call, Return: history.Never}
		if end == answered {
			if !c.accept(results[k].Status) {
				continue
			}
			e.Return, e.Result = time.Since(c.w.began), results[k]
		}
		c.w.history.Add(e)
		c.w.tally.note(e)
	}
	return results, end
}

func (c *client) call(i *instance, at op.Timestamp, ops []op.Op) ([]op.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	r := i.replicas[partitionOf(ops[0].Target().Key)]
	if !ops[0].ReadOnly() {
		return r.Write(ctx, ops)
	}
	if at == 0 {
		at = mvcc.Latest
	}
	return r.Read(ctx, at, ops)
}

// judge tells how a call ended, by the contract of partition.
func judge(err error) outcome {
	switch {
	case err == nil:
		return answered
	case errors.Is(err, partition.ErrUncertain):
		return unknown
	case errors.Is(err, partition.ErrNotLeader), errors.Is(err, partition.ErrFull), errors.Is(err, partition.ErrStopped), errors.Is(err, partition.ErrNoClock):
		return refused
	}
	return unknown
}

// accept tells whether an operation was judged. That a name is not owned, or blocked by a transaction, can't be here.
func (c *client) accept(s op.Status) bool {
	switch s {
	case op.Again:
		c.w.tally.add("again", 1)
		return false
	case op.Moved, op.Blocked:
		c.w.fail(fmt.Errorf("an operation ended with status %d", s))
	}
	return !s.Bounce()
}

// names of what clients work on, on both partitions.
var (
	registers = spread("r", 4)
	counters  = spread("c", 2)
	sequences = spread("s", 2)
	locks     = spread("l", 4)
)

// spread makes names that lie on the two partitions in turn.
func spread(prefix string, n int) (names [][]byte) {
	for i := 0; len(names) < n; i++ {
		name := []byte(prefix + strconv.Itoa(i))
		if partitionOf(name) == uint32(1+len(names)%2) {
			names = append(names, name)
		}
	}
	return names
}

func (c *client) pick(names [][]byte) []byte { return names[c.rng.IntN(len(names))] }

// register reads and writes keys, sometimes several in a unit.
func (c *client) register() {
	key := c.pick(registers)
	switch n := c.rng.IntN(20); {
	case n < 9:
		res, end := c.do(0, &op.Get{Key: key})
		if end == answered {
			c.revs[string(key)] = res.Rev
		}
	case n < 13:
		c.do(0, &op.Set{Key: key, Value: c.name("v")})
	case n < 17:
		res, end := c.do(0, &op.Set{Key: key, Value: c.name("v"), Cond: op.IfRev, CondRev: c.revs[string(key)]})
		if end == answered {
			c.revs[string(key)] = res.Rev
		}
	case n < 18:
		if _, end := c.do(0, &op.Delete{Key: key}); end == answered {
			c.revs[string(key)] = 0
		}
	default:
		c.doAll(0, []op.Op{&op.Set{Key: key, Value: c.name("v")}, &op.Set{Key: key, Value: c.name("v")}})
	}
}

// readPast reads a key at a fresh timestamp, or once more at one of before.
func (c *client) readPast() {
	if len(c.past) == 0 || c.rng.IntN(4) > 0 {
		at, err := c.w.stamper.Next(context.Background(), 1)
		if err != nil {
			return
		}
		c.past = append(c.past, at)
	}
	at := c.past[len(c.past)-1-c.rng.IntN(min(len(c.past), 20))]
	c.do(at, &op.Get{Key: c.pick(registers)})
}

// lock takes a lock, or does something about one that it holds or may hold.
func (c *client) lock() {
	if len(c.held) == 0 || len(c.held) < 2 && c.rng.IntN(10) == 0 {
		c.acquire(&op.LockAcquire{Name: c.pick(locks), Owner: c.name("o"), TTLMilli: 1000 + c.rng.Int64N(3000)})
		return
	}
	k := c.rng.IntN(len(c.held))
	h := c.held[k]
	drop := func() { c.held = append(c.held[:k], c.held[k+1:]...) }
	switch n := c.rng.IntN(20); {
	case n < 10:
		if res, end := c.do(0, &op.LockExtend{Name: h.Name, Owner: h.Owner, TTLMilli: 1000 + c.rng.Int64N(3000)}); end == answered && !res.Done {
			drop()
		}
	case n < 13:
		if _, end := c.do(0, &op.LockRelease{Name: h.Name, Owner: h.Owner}); end != refused {
			drop()
		}
	case n < 15:
		drop() // its lease runs out
	case n < 17:
		drop()
		c.acquire(&op.LockAcquire{Name: h.Name, Owner: h.Owner, TTLMilli: h.TTLMilli})
	default:
		c.do(0, &op.LockInfo{Name: h.Name})
	}
}

func (c *client) acquire(o *op.LockAcquire) {
	if res, end := c.do(0, o); end == unknown || end == answered && res.Done {
		c.held = append(c.held, &op.LockAcquire{Name: o.Name, Owner: o.Owner, TTLMilli: o.TTLMilli})
	}
}

// sequence takes numbers, and repeats requests that bear an idempotency key, elsewhere and later.
func (c *client) sequence() {
	switch n := c.rng.IntN(10); {
	case len(c.pending) > 0 && n < 6:
		request := c.pending[0]
		if _, end := c.do(0, request()); end == answered {
			c.pending, c.answers = c.pending[1:], append(c.answers, request)
		}
	case len(c.answers) > 0 && n < 3:
		c.do(0, c.answers[c.rng.IntN(len(c.answers))]())
	case n < 6:
		c.do(0, &op.SeqNext{Name: c.pick(sequences), Count: 1 + c.rng.Uint32N(4)})
	default:
		name, count, idem := c.pick(sequences), 1+c.rng.Uint32N(4), c.name("i")
		request := func() *op.SeqNext {
			return &op.SeqNext{Name: name, Count: count, Idem: idem, IdemMilli: time.Hour.Milliseconds()}
		}
		switch _, end := c.do(0, request()); end {
		case answered:
			c.answers = append(c.answers, request)
		case unknown:
			c.pending = append(c.pending, request)
		}
	}
}

// count moves a counter.
func (c *client) count() { c.do(0, &op.Incr{Key: c.pick(counters), Delta: 1 + c.rng.Int64N(3)}) }

// clients run until the returned function is called, which waits for them.
func clients(w *world, n int) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	for id := range n {
		c := newClient(w, id)
		running.Go(func() { c.run(done) })
	}
	return func() {
		close(done)
		running.Wait()
	}
}

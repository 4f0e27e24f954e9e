package raftgroup

import (
	"context"
	"sync"
	"time"
)

// rounds confirms terms with peers. At most one question is on its way to a peer; all that wait meanwhile, of all groups, share
// the next one. So whoever joins a round joins one that was not yet sent, and its answer was made after that.
type rounds struct {
	ctx     context.Context
	timeout time.Duration
	ask     func(ctx context.Context, addr string, queries []termQuery) ([]bool, error)
	running sync.WaitGroup

	mu     sync.Mutex
	peers  map[string]*peerRounds
	closed bool
}

// peerRounds is under rounds.mu. An entry is there only while a question is on its way.
type peerRounds struct {
	next *round // nil: nobody waits
}

// round is one message. Its slots are under rounds.mu until it is sent; answers are set before done is closed.
type round struct {
	queries []termQuery
	slots   map[termQuery]int
	answers []bool // nil: no answer
	done    chan struct{}
}

func newRounds(ctx context.Context, timeout time.Duration, ask func(context.Context, string, []termQuery) ([]bool, error)) *rounds {
	return &rounds{ctx: ctx, timeout: timeout, ask: ask, peers: map[string]*peerRounds{}}
}

// join adds a query to the next round to a peer and returns it with the query's slot.
func (r *rounds) join(addr string, q termQuery) (*round, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[addr]
	switch {
	case r.closed:
		p = &peerRounds{next: &round{slots: map[termQuery]int{}, done: closedChan()}}
	case p == nil:
		p = &peerRounds{}
		r.peers[addr] = p
		r.running.Go(func() { r.run(addr, p) })
	}
	if p.next == nil {
		p.next = &round{slots: map[termQuery]int{}, done: make(chan struct{})}
	}
	slot, ok := p.next.slots[q]
	if !ok {
		slot = len(p.next.queries)
		p.next.queries = append(p.next.queries, q)
		p.next.slots[q] = slot
	}
	return p.next, slot
}

// run sends rounds to a peer as long as someone waits.
func (r *rounds) run(addr string, p *peerRounds) {
	for {
		next := r.take(addr, p)
		if next == nil {
			return
		}
		next.answers = r.send(addr, next.queries)
		close(next.done)
	}
}

func (r *rounds) take(addr string, p *peerRounds) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := p.next
	p.next = nil
	if next == nil {
		delete(r.peers, addr)
	}
	return next
}

func (r *rounds) send(addr string, queries []termQuery) []bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	answers, err := r.ask(ctx, addr, queries)
	if err != nil || len(answers) != len(queries) {
		return nil
	}
	return answers
}

// ok tells the answer in a slot of a round that is done.
func (r *round) ok(slot int) bool { return r.answers != nil && r.answers[slot] }

// close waits for the goroutines; ctx must have ended. Rounds get no answers any more.
func (r *rounds) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

package pubsub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// RelayOptions are what a Relay needs; all of them.
type RelayOptions struct {
	Nodes    func() []string                                           // the other nodes, by id; it must not wait
	Send     func(ctx context.Context, node string, body []byte) error // gives encoded messages to a node
	BytesMax int                                                       // of messages that wait for one node; those beyond are dropped
	Timeout  time.Duration                                             // for a node to take what it is sent
}

// Relay carries messages to the other nodes, in order, and drops them where a node does not take them: delivery is at most once. A
// node that is slow or gone delays nobody else. After a node has not answered in time, what it got then may come out of order.
// Close it.
type Relay struct {
	o       RelayOptions
	ctx     context.Context
	cancel  context.CancelFunc
	sending sync.WaitGroup
	dropped atomic.Int64

	mu     sync.Mutex // guards what follows
	closed bool
	lanes  map[string]*lane
}

// lane is what waits for one node. While there is something, one goroutine sends it.
type lane struct {
	waiting []byte
	sending bool
}

// NewRelay makes a relay.
func NewRelay(o RelayOptions) *Relay {
	r := &Relay{o: o, lanes: map[string]*lane{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Forward hands a message to all other nodes. It does not wait.
func (r *Relay) Forward(m Message) {
	nodes := r.o.Nodes()
	if len(nodes) == 0 {
		return
	}
	encoded := appendMessage(nil, &m)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, node := range nodes {
		r.put(node, encoded)
	}
}

// put lets a message wait for a node; mu is held.
func (r *Relay) put(node string, encoded []byte) {
	l := r.lanes[node]
	if l == nil {
		l = &lane{}
		r.lanes[node] = l
	}
	if r.closed || len(l.waiting)+len(encoded) > r.o.BytesMax {
		r.dropped.Add(1)
		return
	}
	l.waiting = append(l.waiting, encoded...)
	if !l.sending {
		l.sending = true
		r.sending.Add(1)
		go r.send(node)
	}
}

// send sends what waits for a node until nothing does.
func (r *Relay) send(node string) {
	defer r.sending.Done()
	for body := r.take(node); body != nil; body = r.take(node) {
		ctx, cancel := context.WithTimeout(r.ctx, r.o.Timeout)
		if err := r.o.Send(ctx, node, body); err != nil {
			r.dropped.Add(int64(countMessages(body)))
		}
		cancel()
	}
}

// take is what waits for a node; nil when nothing does, and then the lane is gone.
func (r *Relay) take(node string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[node]
	if len(l.waiting) == 0 {
		delete(r.lanes, node)
		return nil
	}
	body := l.waiting
	l.waiting = nil
	return body
}

// Dropped is how many messages were not delivered to a node, counted for each node.
func (r *Relay) Dropped() int64 { return r.dropped.Load() }

// Close drops what waits, and joins what sends.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	for _, l := range r.lanes {
		l.waiting = nil
	}
	r.mu.Unlock()
	r.cancel()
	r.sending.Wait()
}

// Package simnet is a network in memory that loses, delays, repeats and cuts: a raftgroup.Network for tests, most of all for
// simulations within testing/synctest, where time costs nothing.
//
// What goes wrong is drawn from one seeded generator, in the order in which messages are sent; so a run repeats as far as the order
// of its goroutines does. Counters tell what went wrong, so that a test can see that its faults bit.
//
// The faults of a message: it is lost on a cut or lossy way (the caller waits until its context ends, as with a network that drops
// packets), it is delayed, it is handled twice, the second time late, even when the first was lost or the caller has left; its
// answer is lost. A stream breaks in the middle, for the receiver with an error or with what looks like its end; one that loses its
// answer breaks for the sender. A node that is down refuses at once.
package simnet

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Errors of calls. All but ErrClosed and ErrDown leave open whether the request was handled.
var (
	ErrClosed = errors.New("simnet: closed")
	ErrDown   = errors.New("simnet: node is down")
	ErrReset  = errors.New("simnet: connection lost")
)

const (
	latency      = 100 * time.Microsecond // of every message, one way, so that time passes
	lateMax      = 2 * time.Second        // how late a repeated message comes
	lateTimeout  = 10 * time.Second       // how long a repeated message may be handled
	cutOffsetMax = 20                     // streams are cut before byte 1<<cutOffsetMax; small offsets are as likely as large ones
)

// Faults are the chances, 0 to 1, of what goes wrong on all ways.
type Faults struct {
	Loss       float64       // of a request
	AnswerLoss float64       // of the answer to a request that was handled
	Duplicate  float64       // of a call (not a stream) being handled a second time, late
	StreamCut  float64       // of a stream that is long enough
	DelayMax   time.Duration // requests and answers take up to so much longer
}

// Counters count messages since New.
type Counters struct {
	Calls, Streams int // sent
	Lost           int // requests lost, on a cut way or by chance
	AnswersLost    int // answers lost after the request was handled
	Duplicated     int // calls handled again
	Delayed        int // messages held up by a delay
	StreamsCut     int // streams that ended in the middle
	Refused        int // requests to nodes that were down or not there
}

type way struct{ from, to string }

// Net is the network. Its methods may be called at any time by any goroutine.
type Net struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	rng      *rand.Rand
	nodes    map[string]*Node
	cut      map[way]bool
	faults   Faults
	counters Counters
	closed   bool
	running  sync.WaitGroup // requests being handled; added to under mu
}

// New makes a network without nodes and without faults.
func New(seed uint64) *Net {
	n := &Net{rng: rand.New(rand.NewPCG(seed, 0x6e6574)), nodes: map[string]*Node{}, cut: map[way]bool{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Close ends all calls and waits for all handlers. Handlers must return when their context ends.
func (n *Net) Close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	n.running.Wait()
}

// Node adds a node that is up. One that had the address before is gone for good: a restarted node gets a new Node.
func (n *Net) Node(addr string) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.nodes[addr]; old != nil {
		old.stop()
	}
	node := &Node{net: n, addr: addr}
	node.life, node.stop = context.WithCancel(n.ctx)
	n.nodes[addr] = node
	return node
}

// Down makes a node unreachable: calls to it and of it fail at once, those under way too.
func (n *Net) Down(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node := n.nodes[addr]; node != nil {
		node.stop()
	}
}

// Up makes a node reachable again.
func (n *Net) Up(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node := n.nodes[addr]; node != nil && node.life.Err() != nil {
		node.life, node.stop = context.WithCancel(n.ctx)
	}
}

// Cut loses everything that is sent from one node to another, answers included, but not what is sent the other way.
func (n *Net) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[way{from, to}] = true
}

// CutBoth cuts both ways between two nodes.
func (n *Net) CutBoth(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutBoth(a, b)
}

// Isolate cuts a node off from all nodes that there are.
func (n *Net) Isolate(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.nodes {
		if other != addr {
			n.cutBoth(addr, other)
		}
	}
}

// Partition cuts the groups off from each other. Ways within a group, and of nodes in no group, stay as they are.
func (n *Net) Partition(groups ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, group := range groups {
		for _, other := range groups[i+1:] {
			for _, a := range group {
				for _, b := range other {
					n.cutBoth(a, b)
				}
			}
		}
	}
}

func (n *Net) cutBoth(a, b string) {
	n.cut[way{a, b}], n.cut[way{b, a}] = true, true
}

// Heal mends all ways and ends all faults of chance. Nodes that are down stay down.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.faults = Faults{}
}

// SetFaults sets the faults of chance.
func (n *Net) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// Counters returns what happened so far.
func (n *Net) Counters() Counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counters
}

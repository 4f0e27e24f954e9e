package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

// timeClient takes timestamps from the node that leads the meta group. Each request is sent after all who share it have asked, so
// that what was acknowledged anywhere before somebody asked has a smaller timestamp. One is under way at a time; who asks
// meanwhile shares the next.
type timeClient struct {
	local  func() bool // whether this node leads the clock
	oracle *oracle
	leader func() string
	ask    func(ctx context.Context, node string, n int) (op.Timestamp, error)

	mu      sync.Mutex
	next    *stamps // that is yet to be sent; nil: nobody waits
	busy    bool    // one is under way
	running sync.WaitGroup
}

// stamps is one request.
type stamps struct {
	n     int
	first op.Timestamp
	err   error
	done  chan struct{}
}

// Next takes n timestamps in a row and returns the first. It gives up with ctx.
func (c *timeClient) Next(ctx context.Context, n int) (op.Timestamp, error) {
	if c.local() {
		return c.oracle.Next(ctx, n)
	}
	s, offset := c.join(n)
	select {
	case <-s.done:
		return s.first + op.Timestamp(offset), s.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c *timeClient) join(n int) (s *stamps, offset int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &stamps{done: make(chan struct{})}
	}
	s, offset = c.next, c.next.n
	s.n += n
	if !c.busy {
		c.busy = true
		c.running.Go(c.run)
	}
	return s, offset
}

// run sends requests as long as somebody waits.
func (c *timeClient) run() {
	for {
		c.mu.Lock()
		s := c.next
		c.next = nil
		c.busy = s != nil
		c.mu.Unlock()
		if s == nil {
			return
		}
		s.first, s.err = c.fetch(s.n)
		close(s.done)
	}
}

// clockTimeout is how long a node waits for timestamps before it asks again, perhaps another node.
const clockTimeout = 300 * time.Millisecond

func (c *timeClient) fetch(n int) (op.Timestamp, error) {
	node := c.leader()
	if node == "" {
		return 0, errNoOracle
	}
	ctx, cancel := context.WithTimeout(context.Background(), clockTimeout)
	defer cancel()
	return c.ask(ctx, node, n)
}

func (c *timeClient) close() { c.running.Wait() }

// askClock takes timestamps from another node.
func (n *Node) askClock(ctx context.Context, node string, count int) (op.Timestamp, error) {
	answer, err := n.hub.Call(ctx, node, callClock, binary.AppendUvarint(nil, uint64(count)))
	if err != nil {
		n.router.hints.set(fsm.Meta, "")
		return 0, err
	}
	first, rest, err := takeUint(answer)
	if err != nil || len(rest) > 0 {
		return 0, errAnswer
	}
	return op.Timestamp(first), nil
}

// handleClock gives timestamps to another node.
func (n *Node) handleClock(ctx context.Context, body []byte) ([]byte, error) {
	count, rest, err := takeUint(body)
	if err != nil || len(rest) > 0 || count == 0 || count > 1<<24 {
		return nil, errRequest
	}
	first, err := n.oracle.Next(ctx, int(count))
	if errors.Is(err, errNoOracle) {
		return nil, notDone(err)
	}
	if err != nil {
		return nil, err
	}
	return binary.AppendUvarint(nil, uint64(first)), nil
}

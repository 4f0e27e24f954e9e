package cluster

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/fsm"
	"kahuna/op"
	"kahuna/partition"
)

// Reads on replicas (READONLY). Each partition's replica that is read from keeps itself informed of a closed timestamp (see
// partition.Replica.ReadClosed) by asking the leader, as long as it is read from; nobody asks for those that are not. Reads that it
// can't answer, because it is too far behind or because of a transaction in the way, are sent to the leader as if READONLY had
// not been said.

const (
	// closeShare is the part of the bound on staleness after which a closed timestamp is renewed.
	closeShare = 4
	closeMax   = 1024 // partitions in one question
)

// ReplicaSession is what one connection has seen: reads on a replica must not show an older state than what it was shown before. It
// belongs to one goroutine. The zero value has seen nothing.
type ReplicaSession struct {
	ranges *routes                  // the range map by which partitions are meant
	renew  bool                     // it was shown the current state of any partition since it last read
	after  map[uint32]time.Duration // by partition, on the monotonic clock
	floor  time.Duration            // of partitions that are not in after
}

// sessionPartitions is how many partitions a session keeps apart.
const sessionPartitions = 1024

// Renew notes that the session may have been shown the current state of any partition.
func (s *ReplicaSession) Renew() { s.renew = true }

// look begins a read at a moment, by a range map. With another one, what was seen may be of other partitions.
func (s *ReplicaSession) look(now time.Duration, ranges *routes) {
	if s.renew || s.ranges != ranges {
		s.after, s.floor, s.renew, s.ranges = nil, now, false, ranges
	}
}

func (s *ReplicaSession) since(id uint32) time.Duration {
	if after, ok := s.after[id]; ok {
		return after
	}
	return s.floor
}

// saw notes that the session was shown the current state of a partition.
func (s *ReplicaSession) saw(id uint32, now time.Duration) {
	if len(s.after) >= sessionPartitions {
		s.after, s.floor = nil, now
	}
	if s.after == nil {
		s.after = map[uint32]time.Duration{}
	}
	s.after[id] = now
}

// replicaReads is a node's part in reads on replicas.
type replicaReads struct {
	node   *Node
	bound  time.Duration
	served atomic.Uint64 // operations answered by replicas of this node
	passed atomic.Uint64 // operations passed on to leaders

	mu     sync.Mutex
	wanted map[uint32]bool
	asking bool
}

// ReadReplicas runs operations for a session that takes reads that are somewhat stale. Reads of single names are answered from this
// node's replicas where they are fresh enough; the rest goes the way of Do. With whole, replicas answer all operations in one state
// or none of them, and ok is false then: nothing was run.
func (n *Node) ReadReplicas(ctx context.Context, s *ReplicaSession, ops []op.Op, whole bool) (out []op.Outcome, ok bool) {
	s.look(n.cfg.Clock.Mono(), n.router.routes.Load())
	out = make([]op.Outcome, len(ops))
	left := n.reads.answer(s, ops, out, whole)
	if len(left) == 0 {
		return out, true
	}
	if whole {
		return nil, false
	}
	rest := make([]op.Op, len(left))
	for k, i := range left {
		rest[k] = ops[i]
	}
	for k, end := range n.router.Do(ctx, rest) {
		out[left[k]] = end
	}
	n.sawCurrent(s, rest)
	return out, true
}

// sawCurrent notes that a session was answered by leaders.
func (n *Node) sawCurrent(s *ReplicaSession, ops []op.Op) {
	now, routes := n.cfg.Clock.Mono(), n.router.routes.Load()
	for _, o := range ops {
		if isRangeOp(o) {
			s.Renew()
			continue
		}
		id := routes.find(o)
		s.saw(id, now)
		if r := n.Replica(id); r != nil && !r.Leads() && closedReads(o) {
			n.reads.want(id) // only what is closed from here on is of use for this session
		}
	}
}

// Follows tells whether this node has a replica that may answer for a slot without leading it.
func (n *Node) Follows(slot uint16) bool {
	return n.Replica(n.router.routes.Load().slots[slot]) != nil
}

// answer answers what replicas of this node can, and returns which are left. What is behind something left on the same partition is
// left too, and so is everything once there is an operation that a replica can't run: a connection's operations keep their order.
func (c *replicaReads) answer(s *ReplicaSession, ops []op.Op, out []op.Outcome, whole bool) (left []int) {
	routes := c.node.router.routes.Load()
	var batches []*batch
	for i, o := range ops {
		if !closedReads(o) {
			left = append(left, i)
			continue
		}
		id := routes.find(o)
		b := find(batches, id)
		if b == nil {
			b = &batch{id: id}
			batches = append(batches, b)
		}
		b.index, b.ops = append(b.index, i), append(b.ops, o)
	}
	mixed := len(left) > 0 || whole && len(batches) > 1
	for _, b := range batches {
		var results []op.Result
		ok := false
		if !mixed {
			results, ok = c.read(s, b.id, b.ops)
		}
		if !ok {
			left = append(left, b.index...)
			continue
		}
		for k, i := range b.index {
			out[i].Result = results[k]
		}
	}
	c.served.Add(uint64(len(ops) - len(left)))
	c.passed.Add(uint64(len(left)))
	slices.Sort(left)
	return left
}

// closedReads tells whether a replica may run an operation: the current state of one name, of which only the log knows.
func closedReads(o op.Op) bool {
	switch o := o.(type) {
	case *op.Get:
		return o.AtRev == 0
	case *op.Version, *op.SeqGet:
		return true
	}
	return false
}

// read has this node's replica of a partition run reads, if it can.
func (c *replicaReads) read(s *ReplicaSession, id uint32, ops []op.Op) ([]op.Result, bool) {
	r := c.node.Replica(id)
	if r == nil || r.Leads() || id == fsm.Meta {
		return nil, false
	}
	now := c.node.cfg.Clock.Mono()
	asOf, known := r.ClosedAsOf()
	if known && now-asOf > c.bound/closeShare {
		c.want(id)
	}
	return r.ReadClosed(max(s.since(id), now-c.bound), ops)
}

// want has the leader of a partition asked for a closed timestamp. It does not wait. One round of questions is under way at a time;
// what is wanted meanwhile goes with the next.
func (c *replicaReads) want(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted == nil {
		c.wanted = map[uint32]bool{}
	}
	c.wanted[id] = true
	if !c.asking && c.node.ctx.Err() == nil {
		c.asking = true
		c.node.router.running.Go(c.run)
	}
}

func (c *replicaReads) run() {
	for {
		c.mu.Lock()
		wanted := c.wanted
		c.wanted = nil
		c.asking = len(wanted) > 0 && c.node.ctx.Err() == nil
		asking := c.asking
		c.mu.Unlock()
		if !asking {
			return
		}
		c.round(wanted)
	}
}

// round asks the leaders of partitions, all at the same time.
func (c *replicaReads) round(wanted map[uint32]bool) {
	ctx, cancel := context.WithTimeout(c.node.ctx, c.node.router.attempt())
	defer cancel()
	byNode := map[string][]uint32{}
	for id := range wanted {
		if node := c.node.router.leader(id); node != "" && len(byNode[node]) < closeMax {
			byNode[node] = append(byNode[node], id)
		}
	}
	var asking sync.WaitGroup
	for node, ids := range byNode {
		asking.Go(func() { c.ask(ctx, node, ids) })
	}
	asking.Wait()
}

func (c *replicaReads) ask(ctx context.Context, node string, ids []uint32) {
	asOf := c.node.cfg.Clock.Mono()
	var body []byte
	for _, id := range ids {
		body = binary.AppendUvarint(body, uint64(id))
	}
	answer, err := c.node.hub.Call(ctx, node, callClose, body)
	if err != nil {
		return
	}
	at, rest, err := takeUint(answer)
	if err != nil {
		return
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for _, id := range ids {
		var index uint64
		if index, rest, err = takeUint(rest); err != nil {
			return
		}
		r := c.node.Replica(id)
		if index == 0 || r == nil {
			continue
		}
		waiting.Go(func() {
			_ = r.Closed(ctx, op.Timestamp(at), index-1, asOf) // too far behind: the reads go to the leader
		})
	}
}

// handleClose closes a fresh timestamp in partitions that this node leads. The answer is the timestamp, and for each partition the index
// that a replica must have applied, plus one; 0: none.
func (n *Node) handleClose(ctx context.Context, body []byte) ([]byte, error) {
	var ids []uint32
	for len(body) > 0 {
		id, rest, err := takeID(body)
		if err != nil || len(ids) == closeMax {
			return nil, notDone(errRequest)
		}
		ids, body = append(ids, id), rest
	}
	at, err := n.router.clock.Next(ctx, 1)
	if err != nil {
		return nil, notDone(err)
	}
	indexes := make([]uint64, len(ids))
	var closing sync.WaitGroup
	for i, id := range ids {
		if r := n.Replica(id); r != nil && r.Leads() {
			closing.Go(func() {
				if index, err := r.CloseAt(ctx, at); err == nil {
					indexes[i] = index + 1
				}
			})
		}
	}
	closing.Wait()
	answer := binary.AppendUvarint(nil, uint64(at))
	for _, index := range indexes {
		answer = binary.AppendUvarint(answer, index)
	}
	return answer, nil
}

// Staleness is how old at most what replicas here answer is.
func (n *Node) Staleness() time.Duration { return n.reads.bound }

// ReplicaState is how this node's replica of a partition can be read from.
type ReplicaState struct {
	Here, Leads bool
	Known       bool          // a closed timestamp is known
	Age         time.Duration // of that
}

// ReplicaState tells about this node's replica of a partition. It does not wait.
func (n *Node) ReplicaState(id uint32) (s ReplicaState) {
	var r *partition.Replica
	if r = n.Replica(id); r == nil {
		return s
	}
	s.Here, s.Leads = true, r.Leads()
	asOf, known := r.ClosedAsOf()
	if s.Known = known; known {
		s.Age = n.cfg.Clock.Mono() - asOf
	}
	return s
}

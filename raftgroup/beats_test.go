package raftgroup

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// counted counts the requests of each kind.
type counted struct {
	Network
	by [256]atomic.Int64
}

func (c *counted) Call(ctx context.Context, addr string, request []byte) ([]byte, error) {
	c.by[request[0]].Add(1)
	return c.Network.Call(ctx, addr, request)
}

// Heartbeats of many groups at the same moment share a message, one that can't be handled beside Raft's main loop goes alone, and each gets
// the answer of its own group.
func TestHeartbeatsShareMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const groups = 100
		net := &counted{Network: NewLoopback(string(self))}
		m := newMux(net, time.Second, func([]termQuery) []bool { return nil })
		transports := make([]*transport, groups)
		for i := range transports {
			tr := m.open(uint32(i+1), &fakeGuard{terms: repeat(2, 20), first: 10, applied: 15})
			transports[i] = tr
			tr.SetHeartbeatHandler(func(rpc raft.RPC) {
				rpc.Respond(&raft.AppendEntriesResponse{Term: 5, LastLog: uint64(i), Success: true}, nil)
			})
			tr.term.Store(5)
		}
		alone := &rig{transport: transports[groups-1], t: t, mux: m}
		alone.term.Store(4) // Raft does not know the term yet
		alone.serve(func(rpc raft.RPC) {
			rpc.Respond(&raft.AppendEntriesResponse{Term: 5, LastLog: groups - 1, Success: true}, nil)
		})
		for round := range 3 {
			var sending sync.WaitGroup
			for i, tr := range transports {
				sending.Go(func() {
					var resp raft.AppendEntriesResponse
					if err := tr.AppendEntries("a", self, beat(5), &resp); err != nil || !resp.Success || resp.LastLog != uint64(i) {
						t.Errorf("group %d: %+v, %v", i+1, resp, err)
					}
				})
			}
			sending.Wait()
			if round == 0 && net.by[kindAppend].Load() != 1 {
				t.Errorf("%d heartbeats went alone", net.by[kindAppend].Load())
			}
		}
		if n := net.by[kindBeat].Load(); n > 6 {
			t.Errorf("%d messages with heartbeats for 3 rounds", n)
		}
		var resp raft.AppendEntriesResponse
		gone := m.open(groups+1, &fakeGuard{})
		gone.mux.forget(gone)
		if err := gone.AppendEntries("a", self, beat(5), &resp); err == nil {
			t.Error("a group that is not there answers")
		}
		gone.Close()
		m.Close()
	})
}

// What is answered in place of a follower, and what is not.
func TestRequestsThatChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fresh = 100 * time.Millisecond
		request := func(term, prev, commit uint64, entries int) *raft.AppendEntriesRequest {
			return &raft.AppendEntriesRequest{Term: term, PrevLogEntry: prev, PrevLogTerm: term, LeaderCommitIndex: commit, Entries: make([]*raft.Log, entries)}
		}
		said := beatAnswer{success: true, term: 5, last: 9, commit: 9}
		for name, c := range map[string]struct {
			change func(p *peers)
			asked  *raft.AppendEntriesRequest
			want   bool
		}{
			"nothing new":                   {nil, request(5, 9, 9, 0), true},
			"with entries":                  {nil, request(5, 9, 9, 1), false},
			"a newer term":                  {nil, request(6, 9, 9, 0), false},
			"a commit index it has not":     {nil, request(5, 9, 10, 0), false},
			"a log it has not acknowledged": {nil, request(5, 10, 9, 0), false},
			"no log at all":                 {nil, request(5, 0, 0, 0), false},
			"it has refused since": {func(p *peers) {
				p.acknowledged(self, request(5, 9, 9, 0), &raft.AppendEntriesResponse{Term: 5}, nil)
			}, request(5, 9, 9, 0), false},
			"an error since":                    {func(p *peers) { p.acknowledged(self, request(5, 9, 9, 0), nil, errGone) }, request(5, 9, 9, 0), false},
			"it was started again":              {func(p *peers) { again := said; again.commit = 0; p.heard(self, again) }, request(5, 9, 9, 0), false},
			"it has lost its log's end":         {func(p *peers) { less := said; less.last = 8; p.heard(self, less) }, request(5, 9, 9, 0), false},
			"it follows another term":           {func(p *peers) { p.heard(self, beatAnswer{term: 6, last: 9, commit: 9}) }, request(5, 9, 9, 0), false},
			"no answer to a heartbeat lately":   {func(*peers) { time.Sleep(fresh + 1) }, request(5, 9, 9, 0), false},
			"the answer to a heartbeat is last": {func(*peers) { time.Sleep(fresh) }, request(5, 9, 9, 0), true},
		} {
			p := &peers{fresh: fresh}
			p.acknowledged(self, request(5, 7, 7, 2), &raft.AppendEntriesResponse{Term: 5, LastLog: 9, Success: true}, nil)
			p.heard(self, said)
			if c.change != nil {
				c.change(p)
			}
			var resp raft.AppendEntriesResponse
			if got := p.idle(self, c.asked, &resp); got != c.want || got && (!resp.Success || resp.Term != 5) {
				t.Errorf("%s: answered %v, %+v", name, got, resp)
			}
		}
	})
}

// An idle group costs heartbeats only; a follower that is started again learns the commit index all the same.
func TestIdleGroups(t *testing.T) {
	inCluster(t, 3, 0, Timing{CommitTimeout: 50 * time.Millisecond}, func(t *testing.T, c *cluster) {
		leader := c.leader()
		for i := range 5 {
			leader.propose(fmt.Sprint(i))
		}
		c.caughtUp(leader, c.nodes...)
		time.Sleep(time.Second)
		before := c.wires.sent(kindAppend)
		time.Sleep(20 * time.Second)
		if n := c.wires.sent(kindAppend) - before; n > 20 {
			t.Errorf("%d requests to append nothing in 20 s", n)
		}
		again := c.others(leader)[0]
		again.stop()
		again.machine = &memoryMachine{}
		again.start()
		c.caughtUp(leader, again)
	})
}

package raftgroup

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Each leader tells each follower some ten times within its heartbeat timeout that it is there. Of many groups that would be most of
// what idle nodes do, so the heartbeats of all groups to one node share messages. Raft notices nothing but a delay of at most
// beats.gap, far below the times after which leaders and followers give up.

// beatAnswer is what a replica answered to a heartbeat.
type beatAnswer struct {
	status       byte
	success      bool
	term         uint64
	last, commit uint64 // of its log
}

// What became of a heartbeat. The numbers travel between nodes.
const (
	beatAnswered byte = 0
	beatAlone    byte = 1 // it must go through Raft's main loop: send it in a message of its own
	beatNoGroup  byte = 2
)

// beats gathers heartbeats. Several messages to a peer may be under way, so that one that is lost delays only those in it.
type beats struct {
	ctx     context.Context
	gap     time.Duration // the least between two messages to one node; who comes meanwhile waits for the next
	timeout time.Duration // of one message; an answer that comes later is of no use
	send    func(ctx context.Context, addr string, from raft.RPCHeader, queries []termQuery) ([]beatAnswer, error)
	running sync.WaitGroup

	mu     sync.Mutex
	peers  map[string]*peerBeats
	closed bool
}

// peerBeats is under beats.mu.
type peerBeats struct {
	next *beatRound // that is yet to be sent; nil: nobody waits
	sent time.Time
}

// beatRound is one message. queries are under beats.mu until it is sent; answers and err are set before done is closed.
type beatRound struct {
	from    raft.RPCHeader
	queries []termQuery
	answers []beatAnswer
	err     error
	done    chan struct{}
}

// join adds a heartbeat to the next message to a peer, and returns it with the heartbeat's place.
func (b *beats) join(addr string, from raft.RPCHeader, q termQuery) (*beatRound, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return &beatRound{err: errGone, done: closedChan()}, 0
	}
	p := b.peers[addr]
	if p == nil {
		p = &peerBeats{}
		b.peers[addr] = p
	}
	if p.next == nil || len(p.next.queries) == termQueriesMax {
		next := &beatRound{from: from, done: make(chan struct{})}
		p.next = next
		wait := time.Until(p.sent.Add(b.gap))
		b.running.Go(func() { b.run(addr, p, next, wait) })
	}
	p.next.queries = append(p.next.queries, q)
	return p.next, len(p.next.queries) - 1
}

// run sends a message when its time has come.
func (b *beats) run(addr string, p *peerBeats, next *beatRound, wait time.Duration) {
	defer close(next.done)
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.ctx.Done():
		}
	}
	b.mu.Lock()
	if p.next == next {
		p.next = nil
	}
	p.sent = time.Now()
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
	defer cancel()
	next.answers, next.err = b.send(ctx, addr, next.from, next.queries)
}

// close waits for the goroutines; ctx must have ended.
func (b *beats) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.running.Wait()
}

// isHeartbeat tells whether a request is Raft's heartbeat: it has nothing but a term.
func isHeartbeat(m *raft.AppendEntriesRequest) bool {
	return m.Term != 0 && len(m.Entries) == 0 && m.PrevLogEntry == 0 && m.PrevLogTerm == 0 && m.LeaderCommitIndex == 0
}

// beat sends a heartbeat together with those of other groups.
func (t *transport) beat(to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	message, place := t.mux.beats.join(string(to), req.RPCHeader, termQuery{Group: t.group, Term: req.Term})
	select {
	case <-message.done:
	case <-t.ctx.Done():
		return errGone
	}
	switch {
	case errors.Is(message.err, ErrRemote): // a node that does not know such messages
		return t.send(kindAppend, to, req, resp)
	case message.err != nil:
		return message.err
	}
	a := message.answers[place]
	switch a.status {
	case beatAnswered:
		resp.Term, resp.LastLog, resp.Success = a.term, a.last, a.success
		t.peers.heard(to, a)
		return nil
	case beatNoGroup:
		return errNoGroup
	}
	return t.send(kindAppend, to, req, resp)
}

// sendBeat is how beats are sent: kind, header, then group (4 bytes) and term (8 bytes) of each.
func (m *mux) sendBeat(ctx context.Context, addr string, from raft.RPCHeader, queries []termQuery) ([]beatAnswer, error) {
	request := putHeader(append(make([]byte, 0, 64+termQueryBytes*len(queries)), kindBeat), from)
	response, err := m.net.Call(ctx, addr, appendQueries(request, queries))
	if err != nil {
		return nil, err
	}
	return decodeBeatAnswers(response, len(queries))
}

// beaten hands the heartbeats of a message to their groups. None of them waits for a disk, so that a group that is slow does not
// hold up the others.
func (m *mux) beaten(request []byte) []byte {
	d := &decoder{rest: request}
	from := d.header()
	queries, err := decodeQueries(d.rest)
	if d.bad || err != nil {
		return encodeError(errMalformed)
	}
	response := append(make([]byte, 0, 1+8*len(queries)), statusOK)
	for _, q := range queries {
		response = appendBeatAnswer(response, m.hear(from, q))
	}
	return response
}

func (m *mux) hear(from raft.RPCHeader, q termQuery) beatAnswer {
	t := m.find(q.Group)
	if t == nil {
		return beatAnswer{status: beatNoGroup}
	}
	commit, follows := t.guard.Follows()
	req := &raft.AppendEntriesRequest{RPCHeader: from, Term: q.Term}
	handle := t.heartbeatHandler(req)
	if handle == nil || !follows {
		return beatAnswer{status: beatAlone}
	}
	r := t.passHeartbeat(*handle, req)
	answer, ok := r.Response.(*raft.AppendEntriesResponse)
	if r.Error != nil || !ok {
		return beatAnswer{status: beatAlone}
	}
	return beatAnswer{success: answer.Success, term: answer.Term, last: answer.LastLog, commit: commit}
}

func appendBeatAnswer(b []byte, a beatAnswer) []byte {
	if b = append(b, a.status); a.status != beatAnswered {
		return b
	}
	b = putBool(b, a.success)
	for _, v := range []uint64{a.term, a.last, a.commit} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func decodeBeatAnswers(response []byte, n int) ([]beatAnswer, error) {
	body, err := responseBody(response)
	if err != nil {
		return nil, err
	}
	d := &decoder{rest: body}
	answers := make([]beatAnswer, n)
	for i := range answers {
		a := &answers[i]
		if a.status = d.byte(); a.status == beatAnswered {
			a.success, a.term, a.last, a.commit = d.bool(), d.uint(), d.uint(), d.uint()
		}
	}
	return answers, d.end()
}

package raftgroup

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// transport is one group's raft.Transport. What comes in goes to Raft through a queue with one goroutine, so that a group that is slow
// holds up nobody else; heartbeats go past it (inbound.go).
type transport struct {
	mux   *mux
	group uint32
	guard guard

	consumer  chan raft.RPC
	queue     chan *inbound
	heartbeat atomic.Pointer[func(raft.RPC)]
	peers     peers
	term      atomic.Uint64 // the highest that Raft has answered with: its own is at least that

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // the goroutine of the queue, and heartbeats in Raft's hands; added to under mu
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

var errRefused = errors.New("raftgroup: this replica does not take part in elections for now")

func newTransport(m *mux, group uint32, g guard) *transport {
	t := &transport{
		mux: m, group: group, guard: g,
		consumer: make(chan raft.RPC), queue: make(chan *inbound, inboundQueueMax),
		peers: peers{fresh: m.fresh},
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *transport) start() {
	t.running.Add(1)
	go t.run()
}

// Close ends all calls, joins what was started, and frees the group's id. Raft may still be running: it gets nothing from here any
// more, and its calls fail at once. It does not wait for an answer of Raft, except to a heartbeat.
func (t *transport) Close() error {
	t.sever()
	t.running.Wait()
	t.mux.forget(t)
	return nil
}

// sever stops everything without waiting: Raft gets nothing more, its calls fail, what it answers goes nowhere. Close must still follow.
func (t *transport) sever() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.cancel()
}

// enter counts a heartbeat that Raft handles, unless the transport is closed. leave must follow.
func (t *transport) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.running.Add(1)
	}
	return !t.closed
}

func (t *transport) leave() { t.running.Done() }

// Consumer is where Raft takes requests from.
func (t *transport) Consumer() <-chan raft.RPC { return t.consumer }

// LocalAddr is the address of the node.
func (t *transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(t.mux.net.LocalAddr()) }

// EncodePeer returns the address as bytes.
func (t *transport) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }

// DecodePeer is the reverse of EncodePeer.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler sets what handles heartbeats. Until then they go the way of the others.
func (t *transport) SetHeartbeatHandler(handle func(raft.RPC)) { t.heartbeat.Store(&handle) }

// AppendEntriesPipeline is not supported: Raft's pipelining stops for ever when a follower refuses (hashicorp/raft#612, #614, #666).
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries sends entries, or a heartbeat.
func (t *transport) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	switch {
	case isHeartbeat(req):
		return t.beat(to, req, resp)
	case t.peers.idle(to, req, resp):
		return nil
	}
	err := t.send(kindAppend, to, req, resp)
	t.peers.acknowledged(to, req, resp, err)
	return err
}

// RequestVote asks for a vote. A replica that refuses to vote cannot stand for election either, for that is a vote for itself.
func (t *transport) RequestVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if t.guard.Refuses() {
		return errRefused
	}
	return t.send(kindVote, to, req, resp)
}

// RequestPreVote asks whether a vote would be given.
func (t *transport) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if t.guard.Refuses() {
		return errRefused
	}
	return t.send(kindPreVote, to, req, resp)
}

// TimeoutNow makes another replica stand for election at once.
func (t *transport) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.send(kindTimeoutNow, to, req, resp)
}

// InstallSnapshot streams a snapshot. req.Size is not used: the stream has its own end.
func (t *transport) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	body := newIdleReader(newFrameWriter(data), t.mux.idle, t.mux.install, cancel)
	defer body.stop()
	response, err := t.mux.net.Stream(ctx, string(to), encodeRequest(putRequest(nil, kindInstall, t.group), req), body)
	if err != nil {
		return err
	}
	return decodeResponse(response, resp)
}

func (t *transport) send(kind byte, to raft.ServerAddress, req, resp any) error {
	ctx, cancel := context.WithTimeout(t.ctx, t.mux.call)
	defer cancel()
	response, err := t.mux.net.Call(ctx, string(to), encodeRequest(putRequest(nil, kind, t.group), req))
	if err != nil {
		return err
	}
	return decodeResponse(response, resp)
}

package raftgroup

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/raft"
)

// errNotWanted: Raft was not given the snapshot, for the replica has everything that is in it.
var errNotWanted = errors.New("raftgroup: snapshot not wanted")

// inbound is a request on its way to Raft.
type inbound struct {
	ctx     context.Context // of the caller
	command any
	body    *io.PipeReader        // of a snapshot, else nil
	answer  chan raft.RPCResponse // one slot
}

func newInbound(ctx context.Context, command any) *inbound {
	return &inbound{ctx: ctx, command: command, answer: make(chan raft.RPCResponse, 1)}
}

// handle brings a request to Raft and waits for the answer.
func (t *transport) handle(ctx context.Context, command any) raft.RPCResponse {
	if beat := t.heartbeatHandler(command); beat != nil {
		return t.passHeartbeat(*beat, command)
	}
	in := newInbound(ctx, command)
	if err := t.enqueue(in); err != nil {
		return raft.RPCResponse{Error: err}
	}
	return t.wait(in)
}

// heartbeatHandler returns Raft's handler when the request is a heartbeat of a term that Raft knows, else nil. The handler runs beside
// Raft's main loop, so that a slow disk does not make the group lose its leader. A heartbeat of a newer term goes through the main
// loop: the handler would look at the term and then write it, and could undo a still newer term that the main loop has voted in
// meanwhile.
func (t *transport) heartbeatHandler(command any) *func(raft.RPC) {
	m, ok := command.(*raft.AppendEntriesRequest)
	if !ok || !isHeartbeat(m) || m.Term > t.term.Load() {
		return nil
	}
	return t.heartbeat.Load()
}

func (t *transport) passHeartbeat(beat func(raft.RPC), command any) raft.RPCResponse {
	if !t.enter() {
		return raft.RPCResponse{Error: errGone}
	}
	defer t.leave()
	answer := make(chan raft.RPCResponse, 1)
	beat(raft.RPC{Command: command, RespChan: answer})
	select {
	case r := <-answer:
		return r
	default: // Raft is shutting down
		return raft.RPCResponse{Error: raft.ErrRaftShutdown}
	}
}

// enqueue never waits: a group that is slow must not hold up the network.
func (t *transport) enqueue(in *inbound) error {
	select {
	case t.queue <- in:
		return nil
	default:
		return errQueueFull
	}
}

// wait waits for the answer. A request that the caller waits for no more may still be handled.
func (t *transport) wait(in *inbound) raft.RPCResponse {
	select {
	case r := <-in.answer:
		return r
	case <-in.ctx.Done():
		return raft.RPCResponse{Error: in.ctx.Err()}
	case <-t.ctx.Done():
		return raft.RPCResponse{Error: errGone}
	}
}

// handleInstall brings a snapshot to Raft. The bytes are read here and handed over, because body may be read only until the return,
// and Raft cannot be made to leave it alone: what it reads from is closed then.
func (t *transport) handleInstall(ctx context.Context, req *raft.InstallSnapshotRequest, body io.Reader) raft.RPCResponse {
	r, w := io.Pipe()
	abort := func() { _ = w.CloseWithError(errStreamCut) }
	defer abort()
	defer context.AfterFunc(ctx, abort)()
	defer context.AfterFunc(t.ctx, abort)()

	in := newInbound(ctx, req)
	in.body = r
	if err := t.enqueue(in); err != nil {
		return raft.RPCResponse{Error: err}
	}
	if err := copyFrames(lenientWriter{w}, body); err != nil {
		_ = w.CloseWithError(err)
		return raft.RPCResponse{Error: err}
	}
	_ = w.Close()
	return t.wait(in)
}

// lenientWriter takes what is not wanted and drops it, so that the stream is read to its end.
type lenientWriter struct{ w *io.PipeWriter }

func (l lenientWriter) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if err == errNotWanted {
		return len(p), nil
	}
	return n, err
}

// run gives Raft the requests of the queue one by one.
func (t *transport) run() {
	defer t.running.Done()
	for {
		select {
		case in := <-t.queue:
			if in.ctx.Err() == nil { // else nobody waits for it any more, and it will be sent again
				in.answer <- t.judge(in)
			}
		case <-t.ctx.Done():
			return
		}
	}
}

// judge has Raft answer a request, unless it is one of those that Raft must not see.
func (t *transport) judge(in *inbound) raft.RPCResponse {
	switch m := in.command.(type) {
	case *raft.AppendEntriesRequest:
		fitAppend(t.guard, m)
	case *raft.InstallSnapshotRequest:
		if !hasSnapshot(t.guard, m) {
			return t.ask(in.ctx, raft.RPC{Command: m, Reader: &sizedReader{src: in.body, req: m}})
		}
		_ = in.body.CloseWithError(errNotWanted)
		return probed(t.ask(in.ctx, raft.RPC{Command: probe(m)}))
	default:
		if t.guard.Refuses() {
			return refusal(m)
		}
	}
	return t.ask(in.ctx, raft.RPC{Command: in.command})
}

// refusal answers a request that has to do with elections in place of Raft. The candidate's own term in the answer neither grants nor
// ends anything.
func refusal(command any) raft.RPCResponse {
	switch m := command.(type) {
	case *raft.RequestVoteRequest:
		return raft.RPCResponse{Response: &raft.RequestVoteResponse{Term: m.Term}}
	case *raft.RequestPreVoteRequest:
		return raft.RPCResponse{Response: &raft.RequestPreVoteResponse{Term: m.Term}}
	default:
		return raft.RPCResponse{Error: errRefused}
	}
}

// ask has Raft answer. A caller that leaves before Raft has taken the request takes it back; once taken, its end is waited for, so that
// Raft is never given two at a time.
func (t *transport) ask(caller context.Context, rpc raft.RPC) raft.RPCResponse {
	answer := make(chan raft.RPCResponse, 1)
	rpc.RespChan = answer
	select {
	case t.consumer <- rpc:
	case <-caller.Done():
		return raft.RPCResponse{Error: caller.Err()}
	case <-t.ctx.Done():
		return raft.RPCResponse{Error: errGone}
	}
	select {
	case r := <-answer:
		t.learnTerm(r)
		return r
	case <-t.ctx.Done():
		return raft.RPCResponse{Error: errGone}
	}
}

// learnTerm notes that Raft's term is at least the one it answered with. Only run calls it. A pre-vote's answer does not count: it
// names a term that Raft would enter, and has not.
func (t *transport) learnTerm(r raft.RPCResponse) {
	var term uint64
	switch m := r.Response.(type) {
	case *raft.AppendEntriesResponse:
		term = m.Term
	case *raft.RequestVoteResponse:
		term = m.Term
	case *raft.InstallSnapshotResponse:
		term = m.Term
	}
	t.term.Store(max(t.term.Load(), term))
}

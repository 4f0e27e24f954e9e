package raftgroup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// rig is a node that talks to itself, with a script in place of Raft.
type rig struct {
	*transport
	t     *testing.T
	mux   *mux
	guard *fakeGuard
}

const self = raft.ServerAddress("a")

// inRig runs f in a bubble. Everything must have ended when it returns.
func inRig(t *testing.T, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMux(NewLoopback(string(self)), time.Second, func(qs []termQuery) []bool {
			answers := make([]bool, len(qs))
			for i, q := range qs {
				answers[i] = q.Term >= 10
			}
			return answers
		})
		g := &fakeGuard{terms: repeat(2, 20), first: 10, applied: 15}
		f(t, &rig{transport: m.open(1, g), t: t, mux: m, guard: g})
		m.Close()
	})
}

// serve answers everything with reply until the transport is closed.
func (r *rig) serve(reply func(rpc raft.RPC)) {
	go func() {
		for {
			select {
			case rpc := <-r.Consumer():
				reply(rpc)
			case <-r.ctx.Done():
				return
			}
		}
	}()
}

// expect answers one request and returns it.
func (r *rig) expect(answer any) <-chan any {
	seen := make(chan any, 1)
	go func() {
		rpc := <-r.Consumer()
		rpc.Respond(answer, nil)
		seen <- rpc.Command
	}()
	return seen
}

func TestEveryCallReachesRaftAndComesBack(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		all := requests()
		r.guard.terms, r.guard.first, r.guard.applied = repeat(2, 300), 1, 0
		appended := all[kindAppend].(*raft.AppendEntriesRequest)
		appended.LeaderCommitIndex = 302
		for _, c := range []struct {
			req, resp, answer any
			call              func(resp any) error
		}{
			{appended, &raft.AppendEntriesResponse{}, &raft.AppendEntriesResponse{Term: 7, LastLog: 304, Success: true}, func(resp any) error {
				return r.AppendEntries("a", self, appended, resp.(*raft.AppendEntriesResponse))
			}},
			{all[kindVote], &raft.RequestVoteResponse{}, &raft.RequestVoteResponse{Term: 8, Granted: true}, func(resp any) error {
				return r.RequestVote("a", self, all[kindVote].(*raft.RequestVoteRequest), resp.(*raft.RequestVoteResponse))
			}},
			{all[kindPreVote], &raft.RequestPreVoteResponse{}, &raft.RequestPreVoteResponse{Term: 8, Granted: true}, func(resp any) error {
				return r.RequestPreVote("a", self, all[kindPreVote].(*raft.RequestPreVoteRequest), resp.(*raft.RequestPreVoteResponse))
			}},
			{all[kindTimeoutNow], &raft.TimeoutNowResponse{}, &raft.TimeoutNowResponse{}, func(resp any) error {
				return r.TimeoutNow("a", self, all[kindTimeoutNow].(*raft.TimeoutNowRequest), resp.(*raft.TimeoutNowResponse))
			}},
		} {
			seen := r.expect(c.answer)
			if err := c.call(c.resp); err != nil || !reflect.DeepEqual(c.resp, c.answer) {
				t.Errorf("%T: got %+v, %v", c.req, c.resp, err)
			}
			if got := <-seen; !reflect.DeepEqual(got, c.req) {
				t.Errorf("Raft got %+v, want %+v", got, c.req)
			}
		}
	})
}

func beat(term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{RPCHeader: someHeader, Term: term}
}

func TestHeartbeatPassesARaftThatIsBusy(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var resp raft.AppendEntriesResponse
		beats := 0
		r.SetHeartbeatHandler(func(rpc raft.RPC) {
			beats++
			rpc.Respond(&raft.AppendEntriesResponse{Term: 5, Success: true}, nil)
		})
		seen := r.expect(&raft.AppendEntriesResponse{Term: 5, Success: true})
		if err := r.AppendEntries("a", self, beat(5), &resp); err != nil || beats != 0 {
			t.Errorf("the first of a term must go through the main loop: %v, %d", err, beats)
		}
		<-seen
		go func() { _ = r.TimeoutNow("a", self, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}) }() // nobody answers it
		synctest.Wait()
		start := time.Now()
		for _, term := range []uint64{5, 4} {
			if err := r.AppendEntries("a", self, beat(term), &resp); err != nil || !resp.Success {
				t.Error(err)
			}
		}
		if beats != 2 || time.Since(start) > 2*r.mux.beats.gap {
			t.Errorf("%d heartbeats after %v", beats, time.Since(start))
		}
		if err := r.AppendEntries("a", self, beat(6), &resp); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrRemote) || beats != 2 {
			t.Errorf("a newer term went past a busy main loop: %v", err)
		}
	})
}

func TestHeartbeatThatRaftIgnoresIsAnError(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.SetHeartbeatHandler(func(raft.RPC) {})
		r.term.Store(5)
		if err := r.AppendEntries("a", self, beat(5), &raft.AppendEntriesResponse{}); !errors.Is(err, ErrRemote) {
			t.Error(err)
		}
	})
}

func TestFullQueueAnswersAtOnceAndHoldsUpNoOtherGroup(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		vote := func(tr *transport) error {
			return tr.RequestVote("a", self, &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{})
		}
		for range inboundQueueMax + 1 { // one is in the hands of the goroutine
			go func() { _ = vote(r.transport) }()
			synctest.Wait()
		}
		start := time.Now()
		if err := vote(r.transport); !errors.Is(err, ErrRemote) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		other := &rig{transport: r.mux.open(2, r.guard), t: t}
		other.expect(&raft.RequestVoteResponse{})
		if err := vote(other.transport); err != nil || time.Since(start) != 0 {
			t.Errorf("the other group: %v after %v", err, time.Since(start))
		}
		time.Sleep(2 * callTimeout) // all callers have left
		seen := 0
		r.serve(func(rpc raft.RPC) { seen++; rpc.Respond(&raft.RequestVoteResponse{}, nil) })
		synctest.Wait()
		if seen > 0 {
			t.Errorf("Raft was given %d requests that nobody waits for", seen)
		}
	})
}

func TestCallEndsWithItsDeadline(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		start := time.Now()
		err := r.AppendEntries("a", self, beat(1), &raft.AppendEntriesResponse{})
		if err == nil || time.Since(start) != callTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestUnknownGroup(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		_ = r.Close()
		for name, handle := range map[string]func() ([]byte, error){
			"call": func() ([]byte, error) {
				return r.mux.HandleCall(t.Context(), encodeRequest(putRequest(nil, kindAppend, 1), beat(1)))
			},
			"stream": func() ([]byte, error) {
				return r.mux.HandleStream(t.Context(), encodeRequest(putRequest(nil, kindInstall, 1), requests()[kindInstall]), bytes.NewReader(nil))
			},
		} {
			response, err := handle()
			if _, remote := responseBody(response); err != nil || !errors.Is(remote, ErrRemote) {
				t.Errorf("%s: %q, %v", name, response, err)
			}
		}
	})
}

func TestReplicaThatRefusesTakesNoPartInElections(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var seen []any
		r.serve(func(rpc raft.RPC) {
			seen = append(seen, rpc.Command)
			if rpc.Reader != nil {
				_, _ = io.Copy(io.Discard, rpc.Reader)
				rpc.Respond(&raft.InstallSnapshotResponse{Success: true}, nil)
				return
			}
			rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		})
		r.guard.refuses = true
		handle := func(kind byte, command, resp any) error {
			response, err := r.mux.HandleCall(t.Context(), encodeRequest(putRequest(nil, kind, 1), command))
			return errors.Join(err, decodeResponse(response, resp))
		}
		vote, preVote := &raft.RequestVoteResponse{}, &raft.RequestPreVoteResponse{}
		if err := handle(kindVote, &raft.RequestVoteRequest{Term: 7}, vote); err != nil || vote.Granted || vote.Term != 7 {
			t.Errorf("%+v, %v", vote, err)
		}
		if err := handle(kindPreVote, &raft.RequestPreVoteRequest{Term: 7}, preVote); err != nil || preVote.Granted || preVote.Term != 7 {
			t.Errorf("%+v, %v", preVote, err)
		}
		if err := handle(kindTimeoutNow, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); !errors.Is(err, ErrRemote) {
			t.Error(err)
		}
		if err := r.RequestVote("b", self, &raft.RequestVoteRequest{}, vote); err != errRefused {
			t.Error("it asks for votes: ", err)
		}
		if err := r.RequestPreVote("b", self, &raft.RequestPreVoteRequest{}, preVote); err != errRefused {
			t.Error("it asks for votes: ", err)
		}
		if len(seen) != 0 {
			t.Errorf("Raft saw %+v", seen)
		}
		if err := r.AppendEntries("a", self, request(r.guard.terms, 15, 17, 0), &raft.AppendEntriesResponse{}); err != nil || len(seen) != 1 {
			t.Error("entries do not pass: ", err)
		}
		if err := install(r, 100, 2, []byte("x"), &raft.InstallSnapshotResponse{}); err != nil || len(seen) != 2 {
			t.Error("a snapshot does not pass: ", err)
		}
	})
}

func install(r *rig, index, term uint64, data []byte, resp *raft.InstallSnapshotResponse) error {
	req := requests()[kindInstall].(*raft.InstallSnapshotRequest)
	req.LastLogIndex, req.LastLogTerm, req.Size = index, term, 0
	return r.InstallSnapshot("a", self, req, resp, bytes.NewReader(data))
}

func TestSnapshotReachesRaftWithItsSize(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		data := someBytes(3*frameDataMax + 5)
		var got []byte
		var size int64
		r.serve(func(rpc raft.RPC) {
			got, _ = io.ReadAll(rpc.Reader)
			size = rpc.Command.(*raft.InstallSnapshotRequest).Size
			rpc.Respond(&raft.InstallSnapshotResponse{Term: 9, Success: true}, nil)
		})
		var resp raft.InstallSnapshotResponse
		err := install(r, 100, 2, data, &resp)
		if err != nil || !resp.Success || resp.Term != 9 || !bytes.Equal(got, data) || size != int64(len(data)) {
			t.Errorf("%+v, %v, %d bytes, size %d", resp, err, len(got), size)
		}
	})
}

func TestSnapshotThatBringsNothingNewIsNotSeenByRaft(t *testing.T) {
	for _, own := range []uint64{9, 11} { // the follower's term; the leader's is 9
		inRig(t, func(t *testing.T, r *rig) {
			var seen []raft.RPC
			r.serve(func(rpc raft.RPC) {
				seen = append(seen, rpc)
				rpc.Respond(&raft.AppendEntriesResponse{Term: own, Success: own == 9}, nil)
			})
			var resp raft.InstallSnapshotResponse
			err := install(r, 15, 2, someBytes(3*frameDataMax), &resp)
			if want := (raft.InstallSnapshotResponse{Term: own, Success: own == 9}); err != nil || !reflect.DeepEqual(resp, want) {
				t.Errorf("%+v, %v, want %+v", resp, err, want)
			}
			if want := beat(9); len(seen) != 1 || seen[0].Reader != nil || !reflect.DeepEqual(seen[0].Command, want) {
				t.Errorf("Raft saw %+v, want %+v", seen, want)
			}
		})
	}
}

func TestSnapshotThatIsCutIsAnErrorForRaft(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var failed error
		r.serve(func(rpc raft.RPC) {
			_, failed = io.Copy(io.Discard, rpc.Reader)
			rpc.Respond(&raft.InstallSnapshotResponse{}, failed)
		})
		whole := framed(t, someBytes(1000))
		req := encodeRequest(putRequest(nil, kindInstall, 1), requests()[kindInstall])
		response, err := r.mux.HandleStream(t.Context(), req, bytes.NewReader(whole[:500]))
		synctest.Wait()
		if _, remote := responseBody(response); err != nil || !errors.Is(remote, ErrRemote) || failed == nil {
			t.Errorf("%q, %v; Raft read %v", response, err, failed)
		}
	})
}

func TestSnapshotThatStandsStillEnds(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		start := time.Now()
		err := install(r, 100, 2, someBytes(10*frameDataMax), &raft.InstallSnapshotResponse{}) // nobody reads it
		if err == nil || time.Since(start) != streamIdleTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		start = time.Now()
		r.serve(func(rpc raft.RPC) { _, _ = io.Copy(io.Discard, rpc.Reader) }) // read, but never installed
		err = install(r, 100, 2, someBytes(10*frameDataMax), &raft.InstallSnapshotResponse{})
		if err == nil || time.Since(start) != installTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestCloseEndsEverythingAndTheGroupMayBeOpenedAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		ended := make(chan error, 4)
		snapshot := encodeRequest(putRequest(nil, kindInstall, 1), requests()[kindInstall])
		go func() { // of another node, which does not leave
			response, _ := r.mux.HandleStream(context.Background(), snapshot, bytes.NewReader(framed(t, someBytes(1000))))
			_, err := responseBody(response)
			ended <- err
		}()
		go func() { ended <- r.AppendEntries("a", self, beat(1), &raft.AppendEntriesResponse{}) }()
		go func() { ended <- r.TimeoutNow("a", self, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}) }()
		go func() { ended <- install(r, 100, 2, someBytes(10*frameDataMax), &raft.InstallSnapshotResponse{}) }()
		synctest.Wait()
		start := time.Now()
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		for range 4 {
			if err := <-ended; err == nil {
				t.Error("a call succeeded")
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		again := &rig{transport: r.mux.open(1, r.guard), t: t}
		again.expect(&raft.AppendEntriesResponse{Success: true})
		if err := again.AppendEntries("a", self, beat(1), &raft.AppendEntriesResponse{}); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWaitsForAHeartbeatInRaftsHands(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		release, closed := make(chan struct{}), make(chan struct{})
		r.SetHeartbeatHandler(func(raft.RPC) { <-release })
		r.term.Store(5)
		go func() { _ = r.AppendEntries("a", self, beat(5), &raft.AppendEntriesResponse{}) }()
		synctest.Wait()
		go func() { _ = r.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed too early")
		default:
		}
		close(release)
		<-closed
	})
}

func TestOpenAfterCloseAndTwice(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("opened twice")
				}
			}()
			r.mux.open(1, r.guard)
		}()
		r.mux.Close()
		late := r.mux.open(1, r.guard)
		if err := late.AppendEntries("a", self, beat(1), &raft.AppendEntriesResponse{}); err == nil {
			t.Error("a call succeeded")
		}
		_ = late.Close()
	})
}

func TestConfirm(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		got, err := r.mux.confirm(t.Context(), "a", []termQuery{{1, 9}, {2, 10}, {1 << 31, 1 << 63}})
		if err != nil || !reflect.DeepEqual(got, []bool{false, true, true}) {
			t.Error(got, err)
		}
		if _, err := r.mux.confirm(t.Context(), "b", []termQuery{{1, 9}}); !errors.Is(err, ErrUnreachable) {
			t.Error(err)
		}
		if _, err := r.mux.confirm(t.Context(), "a", make([]termQuery, termQueriesMax+1)); err == nil {
			t.Error("no limit")
		}
		if _, err := decodeAnswers([]byte{statusOK, 1}, 2); err == nil {
			t.Error("an answer is missing")
		}
	})
}

func TestPipelineIsNotSupported(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if _, err := r.AppendEntriesPipeline("a", self); err != raft.ErrPipelineReplicationNotSupported {
			t.Error(err)
		}
		if got := r.DecodePeer(r.EncodePeer("a", "host:1")); got != "host:1" || r.LocalAddr() != self {
			t.Error(got)
		}
	})
}

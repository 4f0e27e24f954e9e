package raftgroup

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var someHeader = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("10.0.0.1:7000")}

func someConfiguration() []byte {
	return raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "10.0.0.1:7000"}}})
}

// requests has one of each kind with every field set that is sent.
func requests() map[byte]any {
	return map[byte]any{
		kindAppend: &raft.AppendEntriesRequest{
			RPCHeader: someHeader, Term: 7, PrevLogEntry: 300, PrevLogTerm: 6, LeaderCommitIndex: 1 << 40,
			Entries: []*raft.Log{
				{Index: 301, Term: 6, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(12, 345)},
				{Index: 302, Term: 7, Type: raft.LogNoop},
				{Index: 303, Term: 7, Type: raft.LogConfiguration, Data: someConfiguration()},
				{Index: 304, Term: 7, Type: raft.LogBarrier, AppendedAt: time.Unix(-5, 0)},
			},
		},
		kindVote:       &raft.RequestVoteRequest{RPCHeader: someHeader, Term: 8, LastLogIndex: 5, LastLogTerm: 4, LeadershipTransfer: true},
		kindPreVote:    &raft.RequestPreVoteRequest{RPCHeader: someHeader, Term: 8, LastLogIndex: 5, LastLogTerm: 4},
		kindTimeoutNow: &raft.TimeoutNowRequest{RPCHeader: someHeader},
		kindInstall: &raft.InstallSnapshotRequest{
			RPCHeader: someHeader, SnapshotVersion: 1, Term: 9, LastLogIndex: 700, LastLogTerm: 8, Configuration: someConfiguration(), ConfigurationIndex: 3,
		},
	}
}

func TestRequestsSurviveTheCodec(t *testing.T) {
	for kind, want := range requests() {
		got, err := decodeRequest(kind, encodeRequest(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("kind %d: got %+v, %v, want %+v", kind, got, err, want)
		}
	}
}

func TestEveryTruncatedOrLongerRequestIsAnError(t *testing.T) {
	for kind, m := range requests() {
		whole := encodeRequest(nil, m)
		for n := range whole {
			if _, err := decodeRequest(kind, whole[:n]); !errors.Is(err, errMalformed) {
				t.Errorf("kind %d: %d of %d bytes: %v", kind, n, len(whole), err)
			}
		}
		if _, err := decodeRequest(kind, append(whole, 0)); !errors.Is(err, errMalformed) {
			t.Errorf("kind %d: a byte too many: %v", kind, err)
		}
	}
}

func TestEntriesThatRaftCannotTakeAreMalformed(t *testing.T) {
	for name, change := range map[string]func(*raft.AppendEntriesRequest){
		"a gap before":  func(m *raft.AppendEntriesRequest) { m.PrevLogEntry-- },
		"a gap between": func(m *raft.AppendEntriesRequest) { m.Entries = append(m.Entries[:1], m.Entries[2:]...) },
		"an index that wraps": func(m *raft.AppendEntriesRequest) {
			m.PrevLogEntry = 1<<64 - 1
			m.Entries[0].Index = 0
			m.Entries = m.Entries[:1]
		},
		"an unknown type":        func(m *raft.AppendEntriesRequest) { m.Entries[1].Type = 77 },
		"a bad configuration":    func(m *raft.AppendEntriesRequest) { m.Entries[2].Data = []byte{0xc1} },
		"an empty configuration": func(m *raft.AppendEntriesRequest) { m.Entries[2].Data = nil },
	} {
		m := requests()[kindAppend].(*raft.AppendEntriesRequest)
		change(m)
		if _, err := decodeRequest(kindAppend, encodeRequest(nil, m)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeclaredSizesAllocateNothing(t *testing.T) {
	head := putNumbers(putHeader(nil, someHeader), 1, 0, 0, 0)
	for name, b := range map[string][]byte{
		"entries": putNumbers(head, 1<<62),
		"string":  putNumbers([]byte{3}, 1<<62),
	} {
		n := testing.AllocsPerRun(10, func() {
			if _, err := decodeRequest(kindAppend, b); err == nil {
				t.Error("no error")
			}
		})
		if n > 3 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestResponsesSurviveTheCodec(t *testing.T) {
	for _, want := range []any{
		&raft.AppendEntriesResponse{Term: 1 << 50, LastLog: 3, Success: true},
		&raft.AppendEntriesResponse{Term: 2, NoRetryBackoff: true},
		&raft.RequestVoteResponse{Term: 4, Granted: true},
		&raft.RequestPreVoteResponse{Term: 4, Granted: true},
		&raft.InstallSnapshotResponse{Term: 5, Success: true},
		&raft.TimeoutNowResponse{},
	} {
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
		b := encodeResponse(raft.RPCResponse{Response: want})
		if err := decodeResponse(b, got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		for n := range b {
			if err := decodeResponse(b[:n], got); err == nil {
				t.Errorf("%T: %d of %d bytes are no error", want, n, len(b))
			}
		}
	}
}

func TestErrorsKeepTheirText(t *testing.T) {
	err := decodeResponse(encodeResponse(raft.RPCResponse{Error: raft.ErrUnsupportedProtocol, Response: &raft.TimeoutNowResponse{}}), &raft.TimeoutNowResponse{})
	if !errors.Is(err, ErrRemote) || !strings.Contains(err.Error(), raft.ErrUnsupportedProtocol.Error()) {
		t.Error(err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for kind, m := range requests() {
		f.Add(kind, encodeRequest(nil, m))
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		m, err := decodeRequest(kind, b)
		if err != nil {
			return
		}
		again, err := decodeRequest(kind, encodeRequest(nil, m))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte{statusOK, 1, 2, 1, 0})
	f.Add([]byte{statusError, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = decodeResponse(b, &raft.AppendEntriesResponse{})
		_ = decodeResponse(b, &raft.RequestVoteResponse{})
		_, _ = decodeAnswers(b, 3)
	})
}

func FuzzHandleCall(f *testing.F) {
	f.Add([]byte{kindConfirm, 1, 2, 3})
	f.Add(encodeQueries([]termQuery{{1, 2}}))
	f.Add(encodeRequest(putRequest(nil, kindVote, 1), requests()[kindVote]))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMux(NewLoopback("a"), time.Second, func(qs []termQuery) []bool { return make([]bool, len(qs)) })
		defer m.Close()
		if response, err := m.HandleCall(t.Context(), b); err != nil || len(response) == 0 {
			t.Errorf("%q, %v", response, err)
		}
		if response, err := m.HandleStream(t.Context(), b, bytes.NewReader(b)); err != nil || len(response) == 0 {
			t.Errorf("%q, %v", response, err)
		}
	})
}

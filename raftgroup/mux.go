package raftgroup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Limits of the messages between nodes.
const (
	callTimeout       = 2 * time.Second  // of a call, from the request to the answer
	streamIdleTimeout = 10 * time.Second // within a snapshot, without one more byte taken
	installTimeout    = 2 * time.Minute  // from a snapshot's last byte to the answer
	inboundQueueMax   = 256              // requests that wait for one group's Raft
)

var (
	errNoGroup   = errors.New("raftgroup: no such group here")
	errQueueFull = errors.New("raftgroup: too many requests wait for the group")
	errGone      = errors.New("raftgroup: transport closed")
)

// termQuery asks whether a node's term for a group does not exceed Term.
type termQuery struct {
	Group uint32
	Term  uint64
}

// mux shares one Network among the groups of a node. It handles requests of the kinds of this package.
type mux struct {
	net     Network
	answer  func([]termQuery) []bool
	call    time.Duration
	idle    time.Duration
	install time.Duration
	fresh   time.Duration // for how long the answer to a heartbeat stands for a follower's state, see peers
	beats   *beats
	cancel  context.CancelFunc // of beats

	mu     sync.Mutex
	groups map[uint32]*transport
	closed bool
}

// newMux makes itself the handler of net. answer answers queries about terms, in the order asked; it must not wait. heartbeat is the
// groups' HeartbeatTimeout.
func newMux(net Network, heartbeat time.Duration, answer func([]termQuery) []bool) *mux {
	m := &mux{
		net: net, answer: answer, groups: map[uint32]*transport{},
		call: callTimeout, idle: streamIdleTimeout, install: installTimeout, fresh: heartbeat * 3 / 10,
	}
	m.beats = &beats{gap: heartbeat / 20, timeout: heartbeat, send: m.sendBeat, peers: map[string]*peerBeats{}}
	m.beats.ctx, m.cancel = context.WithCancel(context.Background())
	net.Serve(m)
	return m
}

var _ NetworkHandler = (*mux)(nil)

// open makes the transport of a group, which receives from now on. A group is open at most once at a time, and may be opened again
// after its transport was closed. After Close, what it returns is closed already.
func (m *mux) open(group uint32, g guard) *transport {
	t := newTransport(m, group, g)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.groups[group] != nil {
		panic(fmt.Sprintf("raftgroup: transport of group %d opened twice", group))
	}
	if m.closed {
		t.sever()
		return t
	}
	m.groups[group] = t
	t.start()
	return t
}

func (m *mux) find(group uint32) *transport {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.groups[group]
}

func (m *mux) forget(t *transport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.groups[t.group] == t {
		delete(m.groups, t.group)
	}
}

// Close closes all transports and joins what they started. What still comes in is answered with an error.
func (m *mux) Close() {
	for _, t := range m.stop() {
		t.Close()
	}
	m.cancel()
	m.beats.close()
}

func (m *mux) stop() []*transport {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	open := make([]*transport, 0, len(m.groups))
	for _, t := range m.groups {
		open = append(open, t)
	}
	return open
}

// confirm asks a node, in one message, whether its term for each group does not exceed Term. An answer was given after confirm was
// called.
func (m *mux) confirm(ctx context.Context, addr string, qs []termQuery) ([]bool, error) {
	if len(qs) > termQueriesMax {
		return nil, fmt.Errorf("raftgroup: %d queries in one message, limit %d", len(qs), termQueriesMax)
	}
	ctx, cancel := context.WithTimeout(ctx, m.call)
	defer cancel()
	response, err := m.net.Call(ctx, addr, encodeQueries(qs))
	if err != nil {
		return nil, err
	}
	return decodeAnswers(response, len(qs))
}

func encodeQueries(qs []termQuery) []byte {
	return appendQueries(append(make([]byte, 0, 1+termQueryBytes*len(qs)), kindConfirm), qs)
}

func appendQueries(b []byte, qs []termQuery) []byte {
	for _, q := range qs {
		b = binary.LittleEndian.AppendUint32(b, q.Group)
		b = binary.LittleEndian.AppendUint64(b, q.Term)
	}
	return b
}

func decodeQueries(b []byte) ([]termQuery, error) {
	if len(b)%termQueryBytes != 0 || len(b) > termQueryBytes*termQueriesMax {
		return nil, errMalformed
	}
	qs := make([]termQuery, 0, len(b)/termQueryBytes)
	for ; len(b) > 0; b = b[termQueryBytes:] {
		qs = append(qs, termQuery{Group: binary.LittleEndian.Uint32(b), Term: binary.LittleEndian.Uint64(b[4:])})
	}
	return qs, nil
}

func decodeAnswers(response []byte, n int) ([]bool, error) {
	body, err := responseBody(response)
	if err != nil {
		return nil, err
	}
	d := &decoder{rest: body}
	answers := make([]bool, n)
	for i := range answers {
		answers[i] = d.bool()
	}
	return answers, d.end()
}

// HandleCall handles a request of another node. Whatever goes wrong is in the response.
func (m *mux) HandleCall(ctx context.Context, request []byte) ([]byte, error) {
	if len(request) > 0 && request[0] == kindConfirm {
		return m.confirmed(request[1:]), nil
	}
	if len(request) > 0 && request[0] == kindBeat {
		return m.beaten(request[1:]), nil
	}
	kind, group, payload, err := splitRequest(request)
	if err != nil {
		return encodeError(err), nil
	}
	if kind == kindInstall {
		return encodeError(errMalformed), nil
	}
	command, err := decodeRequest(kind, payload)
	if err != nil {
		return encodeError(err), nil
	}
	t := m.find(group)
	if t == nil {
		return encodeError(errNoGroup), nil
	}
	return encodeResponse(t.handle(ctx, command)), nil
}

func (m *mux) confirmed(b []byte) []byte {
	qs, err := decodeQueries(b)
	if err != nil {
		return encodeError(err)
	}
	response := []byte{statusOK}
	for _, yes := range m.answer(qs) {
		response = putBool(response, yes)
	}
	return response
}

// HandleStream handles a snapshot.
func (m *mux) HandleStream(ctx context.Context, request []byte, body io.Reader) ([]byte, error) {
	kind, group, payload, err := splitRequest(request)
	if err != nil {
		return encodeError(err), nil
	}
	if kind != kindInstall {
		return encodeError(errMalformed), nil
	}
	command, err := decodeRequest(kind, payload)
	if err != nil {
		return encodeError(err), nil
	}
	t := m.find(group)
	if t == nil {
		return encodeError(errNoGroup), nil
	}
	return encodeResponse(t.handleInstall(ctx, command.(*raft.InstallSnapshotRequest), body)), nil
}

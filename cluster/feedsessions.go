package cluster

import (
	"context"
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"kahuna/interest"
	"kahuna/op"
)

// sessions are what other nodes are interested in here: the other ends of their links.
type sessions struct {
	table  *interest.Table
	mu     sync.Mutex // guards what follows; never held across a wait
	closed bool
	byNode map[string]*session
}

type session struct {
	number  uint64
	watches map[uint64]*interest.Watch // guarded by sessions.mu
	expiry  *time.Timer

	signal  chan struct{}
	mu      sync.Mutex // guards changed; taken inside the table's
	changed map[uint64]struct{}
}

// sessionKept is how long a session is kept that nobody asks for.
const sessionKept = 30 * time.Second

func newSessions(table *interest.Table) *sessions {
	return &sessions{table: table, byNode: map[string]*session{}}
}

func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for node := range s.byNode {
		s.drop(node)
	}
}

// drop ends a node's session. s.mu is held.
func (s *sessions) drop(node string) {
	old := s.byNode[node]
	if old == nil {
		return
	}
	delete(s.byNode, node)
	old.expiry.Stop()
	for _, w := range old.watches {
		s.table.Remove(w)
	}
}

// expire drops a session that was not asked for.
func (s *sessions) expire(node string, of *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byNode[node] == of {
		s.drop(node)
	}
}

// get gives a node's session, which is kept for a while from now on. nil: there is no such one. s.mu is held.
func (s *sessions) get(node string, number uint64) *session {
	found := s.byNode[node]
	if found == nil || found.number != number {
		return nil
	}
	found.expiry.Reset(sessionKept)
	return found
}

func (s *sessions) begin(node string, number uint64) {
	s.drop(node)
	fresh := &session{number: number, watches: map[uint64]*interest.Watch{}, signal: make(chan struct{}, 1), changed: map[uint64]struct{}{}}
	fresh.expiry = time.AfterFunc(sessionKept, func() { s.expire(node, fresh) })
	s.byNode[node] = fresh
}

// note is told by the table that a name of an interest has changed.
func (s *session) note(id uint64) {
	s.mu.Lock()
	s.changed[id] = struct{}{}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// take gives the interests of which something has changed since it was called last.
func (s *session) take() (ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range maps.Keys(s.changed) {
		ids = append(ids, id)
	}
	clear(s.changed)
	return ids
}

// handleWatch notes what readers on another node wait for.
func (s *sessions) handleWatch(_ context.Context, body []byte) ([]byte, error) {
	r := op.NewReader(body)
	node, number, first := r.Text(), r.Uint(), r.Uint() == 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if first && !s.closed {
		s.begin(node, number)
	}
	to := s.get(node, number)
	if to == nil {
		return []byte{sessionUnknown}, nil
	}
	for range r.Uint() {
		id, space, prefix := r.Uint(), r.Uint(), r.Text()
		if r.Bad() || to.watches[id] != nil {
			break
		}
		to.watches[id] = s.table.Add(op.Space(space), prefix, func() { to.note(id) })
	}
	if r.End() != nil {
		return nil, notDone(errRequest)
	}
	return []byte{sessionKnown}, nil
}

// handleChanged waits until something has changed that readers on another node wait for, and says what.
func (s *sessions) handleChanged(ctx context.Context, body []byte) ([]byte, error) {
	r := op.NewReader(body)
	node, number, slice := r.Text(), r.Uint(), r.Uint()
	if r.Bad() || slice > uint64(time.Minute.Milliseconds()) {
		return nil, notDone(errRequest)
	}
	of := s.without(node, number, r)
	if of == nil {
		return []byte{sessionUnknown}, nil
	}
	timer := time.NewTimer(time.Duration(slice) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-of.signal:
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ids := of.take()
	b := binary.AppendUvarint([]byte{sessionKnown}, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, id)
	}
	return b, nil
}

// without takes interests out of a session, and gives that.
func (s *sessions) without(node string, number uint64, gone *op.Reader) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.get(node, number)
	if of == nil {
		return nil
	}
	for range gone.Uint() {
		id := gone.Uint()
		if gone.Bad() {
			break
		}
		if w := of.watches[id]; w != nil {
			s.table.Remove(w)
			delete(of.watches, id)
		}
	}
	return of
}

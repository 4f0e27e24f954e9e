package partition

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kahuna/internal/clock"
	"kahuna/op"
)

// fates tells what becomes of this replica's own entries when it loses the leadership while they are in flight. They are known by
// their first timestamp, which no other entry has. When the state machine gets an entry, its results are here, whoever leads; when it
// has got one of a later term and not this one, this one will never come.
type fates struct {
	mu sync.Mutex
	by map[op.Timestamp]*fate
}

type fate struct {
	first    op.Timestamp
	term     uint64
	restores uint64 // of the state machine, when it was proposed: what a snapshot has brought is not seen here
	applied  chan struct{}
	results  []op.Result // set before applied is closed
}

// begin notes an entry that is to be proposed. Those without timestamps have no fate.
func (f *fates) begin(first op.Timestamp, term, restores uint64) *fate {
	if first == 0 {
		return nil
	}
	e := &fate{first: first, term: term, restores: restores, applied: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[op.Timestamp]*fate{}
	}
	f.by[first] = e
	return e
}

func (f *fates) end(e *fate) {
	if e != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.by, e.first)
	}
}

// tell is told of each entry that was applied.
func (f *fates) tell(first op.Timestamp, results []op.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.by[first]; e != nil {
		e.results = results
		close(e.applied)
		delete(f.by, first)
	}
}

// fateTimeout is for how long an entry's fate is waited for. Who waits for its units has given up by then.
const (
	fateTimeout = 10 * time.Second
	fatePause   = 5 * time.Millisecond
)

// settle finds out what has become of an entry whose end Raft does not know any more.
func (r *Replica) settle(e entry, cause error) ([]op.Result, error) {
	uncertain := fmt.Errorf("%w: %w", ErrUncertain, cause)
	if e.fate == nil {
		return nil, uncertain
	}
	defer r.fates.end(e.fate)
	ctx, cancel := context.WithTimeout(r.ctx, fateTimeout)
	defer cancel()
	for {
		term, err := r.group.CommittedTerm(ctx)
		select {
		case <-e.fate.applied:
			return e.fate.results, nil
		default:
		}
		if err == nil && term > e.fate.term {
			if r.machine.Restores() != e.fate.restores {
				return nil, uncertain
			}
			return nil, ErrNotLeader
		}
		if !clock.Pause(ctx, fatePause) {
			return nil, uncertain
		}
	}
}

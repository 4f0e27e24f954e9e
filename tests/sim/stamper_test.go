package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kahuna/op"
)

// stamper is the global clock: one for all nodes, which never repeats and never goes back. It can be slow on the way there and on the
// way back, so that timestamps are old when they arrive, and it can be out of reach.
type stamper struct {
	began time.Time
	slow  atomic.Bool
	down  atomic.Bool
	fails atomic.Int64

	mu   sync.Mutex
	rng  *rand.Rand
	last op.Timestamp
}

var errNoStamps = errors.New("sim: the global clock is out of reach")

const stampDelayMax = 20 * time.Millisecond

func newStamper(seed uint64) *stamper {
	return &stamper{began: time.Now(), rng: rand.New(rand.NewPCG(seed, 3))}
}

// Next takes n timestamps.
func (s *stamper) Next(ctx context.Context, n int) (op.Timestamp, error) {
	if err := s.travel(ctx); err != nil {
		return 0, err
	}
	if s.down.Load() {
		s.fails.Add(1)
		return 0, errNoStamps
	}
	first := s.take(n)
	return first, s.travel(ctx)
}

func (s *stamper) take(n int) op.Timestamp {
	now := op.FromUnixMilli(op.EpochUnixMilli + time.Hour.Milliseconds() + time.Since(s.began).Milliseconds())
	s.mu.Lock()
	defer s.mu.Unlock()
	first := max(now, s.last+1)
	s.last = first + op.Timestamp(n) - 1
	return first
}

func (s *stamper) travel(ctx context.Context) error {
	if !s.slow.Load() {
		return nil
	}
	s.mu.Lock()
	d := time.Duration(s.rng.Int64N(int64(stampDelayMax)))
	s.mu.Unlock()
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

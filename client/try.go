package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Pauses between repetitions: the first, and the longest. They double, and each is shortened by chance so that clients whose
// server went do not all come back at once.
const (
	pauseFirst = 20 * time.Millisecond
	pauseMax   = time.Second
)

// Policy says how long and what Try repeats.
type Policy struct {
	Attempt     time.Duration // the most that one attempt may take; 0: no bound but the context's
	Unreachable time.Duration // give up when no server could be connected to for so long; 0: no bound but the context's
	Repeatable  bool          // repeat also what may have taken effect
}

// Try calls do until it succeeds, or fails in a way that another attempt can't mend, or ctx ends; then it gives the last
// error of do. Each attempt begins on another server than the failed one.
func (c *Client) Try(ctx context.Context, p Policy, do func(context.Context) error) error {
	reached := time.Now()
	for pause := pauseFirst; ; pause = min(2*pause, pauseMax) {
		err := once(ctx, p.Attempt, do)
		if !Unchanged(err) && !(p.Repeatable && Uncertain(err)) || ctx.Err() != nil {
			return err
		}
		if unreachable := (*UnreachableError)(nil); !errors.As(err, &unreachable) {
			reached = time.Now()
		} else if p.Unreachable > 0 && time.Since(reached) >= p.Unreachable {
			return err
		}
		if c.conn != nil {
			c.leave()
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

func once(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return do(ctx)
}

package commands

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kahuna/cluster"
	"kahuna/op"
)

// full takes a number of deletions and refuses the rest.
type full struct {
	*fake
	left int
}

func (f *full) Do(ctx context.Context, ops []op.Op) []op.Outcome {
	if _, ok := ops[0].(*op.DeleteRange); ok {
		if f.left--; f.left < 0 {
			return []op.Outcome{{Err: fmt.Errorf("%w: the disk is nearly full; nothing was changed", cluster.ErrTryAgain)}}
		}
	}
	return f.fake.Do(ctx, ops)
}

// TestFlushInterrupted sees that FLUSHALL does not say that nothing was changed once it has deleted keys.
func TestFlushInterrupted(t *testing.T) {
	for left, want := range []string{"-TRYAGAIN ", "-UNCERTAIN ", "+OK"} {
		r := newRig(Limits{})
		r.Handler.backend = &full{r.fake, left}
		c := r.client(1, 2)
		for i := range flushPageItems + 10 {
			c.do(t, fmt.Sprint("SET k", i, " 1"))
		}
		got := c.do(t, "FLUSHALL")
		if !strings.HasPrefix(got, want) || strings.Contains(got, "nothing was changed") != (left == 0) {
			t.Errorf("after %d pages: %q", left, got)
		}
	}
}

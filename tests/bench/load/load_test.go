package load

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a worker whose operations take a fixed virtual time; with hang it waits until closed, and deaf ignores even that
// for a while.
type fake struct {
	took   time.Duration
	wrong  bool
	fail   error
	hang   bool
	deaf   time.Duration
	once   sync.Once
	closed chan struct{}
}

func (f *fake) Do(t *Tally) error {
	if f.hang {
		<-f.closed
		time.Sleep(f.deaf)
		return errors.New("closed")
	}
	time.Sleep(f.took)
	if f.fail != nil {
		return f.fail
	}
	if f.wrong {
		t.Wrong("reply %d", 7)
	} else {
		t.Right()
	}
	return nil
}

func (f *fake) Close() error { f.once.Do(func() { close(f.closed) }); return nil }

func run(t *testing.T, workers ...*fake) (r Result) {
	t.Helper()
	plan := Plan{Warmup: time.Second, Measure: 4 * time.Second, Grace: time.Second}
	synctest.Test(t, func(t *testing.T) {
		list := make([]Worker, len(workers))
		for i, w := range workers {
			w.closed = make(chan struct{})
			list[i] = w
		}
		marks := 0
		mark := func() { marks++ }
		r = Run(context.Background(), plan, list, Window{Begin: mark, End: mark})
		if marks != 2 {
			t.Errorf("the window was marked %d times, want 2", marks)
		}
		for i, w := range workers {
			select {
			case <-w.closed:
			default:
				t.Errorf("worker %d was not closed", i)
			}
		}
		time.Sleep(time.Hour) // virtual: lets goroutines that were given up end
	})
	return r
}

func TestOnlyTheMeasuredTimeCounts(t *testing.T) {
	r := run(t, &fake{took: 3 * time.Millisecond}, &fake{took: 3 * time.Millisecond})
	if r.Broken != nil || r.Wrong != 0 || r.Elapsed != 4*time.Second {
		t.Fatalf("%+v", r)
	}
	if want := uint64(2 * 4000 / 3); r.Right < want-2 || r.Right > want+2 || r.Latency.Count() != r.Right {
		t.Errorf("%d right, %d latencies, want about %d of both", r.Right, r.Latency.Count(), want)
	}
	if got := r.Latency.Max(); got != 3*time.Millisecond {
		t.Errorf("longest operation %v, want 3ms", got)
	}
}

func TestWrongRepliesAreCountedAndNamed(t *testing.T) {
	r := run(t, &fake{took: time.Millisecond, wrong: true})
	if r.Wrong == 0 || r.Right != 0 || r.FirstWrong != "reply 7" || r.Latency.Count() != 0 {
		t.Errorf("%d wrong, %d right, first %q", r.Wrong, r.Right, r.FirstWrong)
	}
}

func TestABrokenConnectionIsReported(t *testing.T) {
	broken := errors.New("connection reset")
	r := run(t, &fake{took: time.Millisecond}, &fake{fail: broken})
	if !errors.Is(r.Broken, broken) || r.Right == 0 {
		t.Errorf("broken %v, right %d", r.Broken, r.Right)
	}
}

func TestASilentServerDoesNotHoldTheRun(t *testing.T) {
	for _, deaf := range []time.Duration{0, time.Minute} {
		if r := run(t, &fake{hang: true, deaf: deaf}); !errors.Is(r.Broken, ErrNoReply) || r.Right != 0 {
			t.Errorf("deaf for %v: broken %v, right %d", deaf, r.Broken, r.Right)
		}
	}
	r := run(t, &fake{hang: true}, &fake{took: time.Millisecond})
	if !errors.Is(r.Broken, ErrNoReply) || r.Right == 0 {
		t.Errorf("one of two hangs: broken %v, right %d", r.Broken, r.Right)
	}
}

func TestCancelEndsTheRunEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		w := &fake{took: time.Millisecond, closed: make(chan struct{})}
		r := Run(ctx, Plan{Warmup: time.Hour, Measure: time.Hour, Grace: time.Second}, []Worker{w},
			Window{Begin: func() {}, End: func() {}})
		if !errors.Is(r.Broken, context.DeadlineExceeded) {
			t.Errorf("broken %v", r.Broken)
		}
	})
}

// In an open loop a slow reply delays those that are due meanwhile, and their latency says so.
func TestARateCountsFromWhenARequestWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var workers []Worker
		for range 4 {
			workers = append(workers, &fake{took: time.Millisecond, closed: make(chan struct{})})
		}
		plan := Plan{Measure: 4 * time.Second, Grace: time.Second, Rate: 100}
		window := Window{Begin: func() {}, End: func() {}}
		r := Run(context.Background(), plan, workers, window)
		if r.Right < 396 || r.Right > 404 || r.Latency.Max() > 2*time.Millisecond {
			t.Errorf("%d right, the slowest took %v", r.Right, r.Latency.Max())
		}
		slow := &fake{took: 20 * time.Millisecond, closed: make(chan struct{})}
		if r = Run(context.Background(), plan, []Worker{slow}, window); r.Latency.Quantile(0.5) < time.Second {
			t.Errorf("a server that does half of the rate shows a latency of %v", r.Latency.Quantile(0.5))
		}
	})
}

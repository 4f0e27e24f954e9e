package lockrun

import (
	"context"
	"errors"
	"testing"
	"time"
)

// kept acquires x and keeps it until the end of ctx; renewed gets each new end as time left.
func kept(t *testing.T, f *fake, ctx context.Context, renewed func(left time.Duration)) error {
	t.Helper()
	h := f.holder(t, "a", 0, "x")
	defer h.close()
	if err := h.acquire(ctx); err != nil {
		t.Fatal(err)
	}
	return h.keep(ctx, h.grants(h.lock.Names), h.ends, func(ends time.Time) { renewed(time.Until(ends)) })
}

func TestRenewsAtAThird(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		var at []int
		err := kept(t, f, ctx, func(left time.Duration) {
			at = append(at, int(time.Since(f.began).Seconds()))
			if left != 15*time.Second {
				t.Errorf("%v left", left)
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) || len(at) != 6 || at[0] != 5 || at[5] != 30 {
			t.Errorf("%v, renewed after %v s", err, at)
		}
	})
}

// The end of a lease is counted from before the request, however long its answer takes.
func TestLeaseCountsFromTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.before = func(call string) string {
			f.mu.Unlock()
			time.Sleep(2 * time.Second)
			f.mu.Lock()
			return ""
		}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		times := 0
		kept(t, f, ctx, func(left time.Duration) {
			if times++; left != 13*time.Second {
				t.Errorf("%v left", left)
			}
		})
		if times == 0 {
			t.Error("never renewed")
		}
	})
}

// A server that fails for a while is asked again until it answers, also after the end of the lease.
func TestKeepsTrying(t *testing.T) {
	for _, failure := range []string{"-CLUSTERDOWN no\r\n", "-UNCERTAIN\r\n", "-NOPERM no\r\n", "drop"} {
		bubble(t, func(t *testing.T, f *fake) {
			f.before = func(call string) string {
				if s := time.Since(f.began); s > 3*time.Second && s < 12*time.Second {
					return failure
				}
				return ""
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var first time.Duration
			if kept(t, f, ctx, func(time.Duration) {
				if first == 0 {
					first = time.Since(f.began)
				}
			}); first < 12*time.Second || first > 15*time.Second {
				t.Errorf("%q: first renewed after %v", failure, first)
			}
		})
	}
}

// A lock that is another's, or was in between, is lost.
func TestTakenAway(t *testing.T) {
	for _, next := range []string{"thief", "a"} {
		bubble(t, func(t *testing.T, f *fake) {
			time.AfterFunc(8*time.Second, func() { f.take("x", next, time.Hour) })
			err := kept(t, f, t.Context(), func(time.Duration) {})
			if !errors.Is(err, errTaken) || time.Since(f.began) > 11*time.Second {
				t.Errorf("%v after %v", err, time.Since(f.began))
			}
		})
	}
}

package lockrun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// left is how much of the leases is left at least.
func left(h *holder) time.Duration { return time.Until(h.ends) }

func TestTryOnce(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		a, b := f.holder(t, "a", 0, "x"), f.holder(t, "b", 0, "x")
		if err := a.acquire(t.Context()); err != nil || a.tokens["x"] == 0 || left(a) != 15*time.Second {
			t.Errorf("a free lock: %v, token %d, %v left", err, a.tokens["x"], left(a))
		}
		held := (*HeldError)(nil)
		if err := b.acquire(t.Context()); !errors.As(err, &held) || held.Names[0] != "x" {
			t.Errorf("a held lock: %v", err)
		}
		if err := a.release(t.Context()); err != nil || f.owner("x") != "" {
			t.Errorf("after the release, %v, %q has it", err, f.owner("x"))
		}
		a.close()
		b.close()
	})
}

// A lock that was waited for may have been granted at any time since it was asked for: its lease is made fresh.
func TestWaitedForLeaseIsFresh(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("x", "other", time.Minute)
		h := f.holder(t, "a", time.Hour, "x")
		defer h.close()
		if err := h.acquire(t.Context()); err != nil || time.Since(f.began) < time.Minute {
			t.Errorf("%v after %v", err, time.Since(f.began))
		}
		if left(h) < 12*time.Second || len(f.called("LOCKEXTEND")) != 1 {
			t.Errorf("%v left; %v", left(h), f.calls)
		}
	})
}

func TestWaitIsOver(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("x", "other", time.Hour)
		h := f.holder(t, "a", time.Minute, "x")
		defer h.close()
		held := (*HeldError)(nil)
		if err := h.acquire(t.Context()); !errors.As(err, &held) || !strings.Contains(err.Error(), "after 1m0s") || time.Since(f.began) > 61*time.Second {
			t.Errorf("%v after %v", err, time.Since(f.began))
		}
	})
}

// Who is told to stop waiting leaves the queue, and does not get the lock later.
func TestWaitIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("x", "other", time.Hour)
		h := f.holder(t, "a", 2*time.Hour, "x")
		defer h.close()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errEnough) })
		if err := h.acquire(ctx); !errors.Is(err, errEnough) || time.Since(f.began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(f.began))
		}
		h.release(ctx)
		synctest.Wait()
		if q := f.queue("x"); len(q) > 0 {
			t.Errorf("%v still waits", q)
		}
	})
}

// Whatever happens to a call on its way, it is repeated with the same owner.
func TestCallsAreRepeated(t *testing.T) {
	for _, failure := range []string{"-TRYAGAIN no leader\r\n", "-CLUSTERDOWN no\r\n", "-UNCERTAIN who knows\r\n", "drop", "late drop"} {
		for _, names := range [][]string{{"x"}, {"x", "y"}} {
			t.Run(fmt.Sprintf("%.12s %d", failure, len(names)), func(t *testing.T) {
				bubble(t, func(t *testing.T, f *fake) {
					failures := map[string]int{}
					f.before = func(call string) string {
						command, _, _ := strings.Cut(call, " ")
						if command == "MULTI" || command == "LOCK" && len(names) > 1 {
							return "" // EXEC fails instead
						}
						if failures[command]++; failures[command] <= 2 {
							return failure
						}
						return ""
					}
					h := f.holder(t, "a", 0, names...)
					defer h.close()
					if err := h.acquire(t.Context()); err != nil {
						t.Error(err)
					}
					for _, name := range names {
						if f.owner(name) != "a" || f.at(name).token != h.tokens[name] {
							t.Errorf("%s is held by %q, tokens %v", name, f.owner(name), h.tokens)
						}
					}
					if err := h.release(t.Context()); err != nil || f.owner("x") != "" {
						t.Errorf("release: %v, %q", err, f.owner("x"))
					}
				})
			})
		}
	}
}

// What the server refuses is told as it is, from within a transaction too.
func TestRefusal(t *testing.T) {
	for _, names := range [][]string{{"x"}, {"x", "y"}} {
		bubble(t, func(t *testing.T, f *fake) {
			f.before = func(call string) string {
				if strings.HasPrefix(call, "LOCK ") {
					return "-NOPERM no\r\n"
				}
				if call == "EXEC" {
					return "-EXECABORT because\r\n"
				}
				return ""
			}
			h := f.holder(t, "a", time.Minute, names...)
			defer h.close()
			if err := h.acquire(t.Context()); err == nil || err.Error() != "NOPERM no" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSeveralAllOrNothing(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("y", "other", time.Minute)
		h := f.holder(t, "a", 0, "z", "y", "x")
		defer h.close()
		held := (*HeldError)(nil)
		if err := h.acquire(t.Context()); !errors.As(err, &held) || !slices.Equal(held.Names, []string{"y"}) {
			t.Errorf("%v", err)
		}
		if f.owner("x") != "" || f.owner("z") != "" {
			t.Errorf("x %q, z %q", f.owner("x"), f.owner("z"))
		}
		time.Sleep(time.Minute)
		if err := h.acquire(t.Context()); err != nil || len(h.tokens) != 3 || len(f.called("EXEC")) != 2 {
			t.Errorf("%v, %v, %v", err, h.tokens, f.calls)
		}
	})
}

// What is held already is renewed while another lock is waited for, and never anybody else's.
func TestSeveralAreKeptWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("y", "other", 5*time.Minute)
		h := f.holder(t, "a", time.Hour, "y", "x")
		defer h.close()
		done := make(chan error)
		go func() { done <- h.acquire(t.Context()) }()
		time.Sleep(time.Second)
		for range 290 {
			time.Sleep(time.Second)
			if f.owner("x") != "a" {
				t.Fatalf("after %v x is held by %q", time.Since(f.began), f.owner("x"))
			}
		}
		if err := <-done; err != nil || f.owner("y") != "a" || f.owner("x") != "a" || left(h) < 12*time.Second {
			t.Errorf("%v, x %q, y %q, %v left", err, f.owner("x"), f.owner("y"), left(h))
		}
	})
}

// A lock that an operator takes away while another is waited for is taken again.
func TestSeveralBeginAgain(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		f.take("y", "other", 5*time.Minute)
		h := f.holder(t, "a", time.Hour, "x", "y")
		defer h.close()
		time.AfterFunc(time.Minute, func() { f.take("x", "thief", time.Minute) })
		if err := h.acquire(t.Context()); err != nil || f.owner("x") != "a" || f.owner("y") != "a" {
			t.Errorf("%v, x %q, y %q", err, f.owner("x"), f.owner("y"))
		}
		if f.at("x").token != h.tokens["x"] || h.tokens["x"] < 3 {
			t.Errorf("tokens %v, the server's %d", h.tokens, f.at("x").token)
		}
	})
}

// Many who want several locks each in any order all get them, one at a time.
func TestSeveralDoNotDeadlock(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		var all sync.WaitGroup
		var mu sync.Mutex
		holders := map[string]string{}
		for i := range 12 {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			names := []string{"p", "q", "r", "s"}
			r.Shuffle(4, func(i, j int) { names[i], names[j] = names[j], names[i] })
			names = names[:2+r.IntN(3)]
			owner := fmt.Sprint("owner", i)
			all.Go(func() {
				h := f.holder(t, owner, 24*time.Hour, names...)
				defer h.close()
				for range 5 {
					if err := h.acquire(t.Context()); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, n := range names {
						if holders[n] != "" {
							t.Errorf("%s is held by %s and %s", n, holders[n], owner)
						}
						holders[n] = owner
					}
					mu.Unlock()
					time.Sleep(time.Duration(1+r.IntN(3)) * time.Second)
					mu.Lock()
					for _, n := range names {
						holders[n] = ""
					}
					mu.Unlock()
					h.release(t.Context())
				}
			})
		}
		all.Wait()
	})
}

// A wait does not hide that nobody is there.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		o := (&fake{}).options()
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errEnough }
		for _, wait := range []time.Duration{0, time.Hour} {
			h := newHolder(Lock{Names: []string{"x"}, Owner: "a", TTL: time.Second, Wait: wait}, o)
			err := h.acquire(t.Context())
			if err == nil || !strings.Contains(err.Error(), "no server can be reached") || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			h.close()
			began = time.Now()
		}
	})
}

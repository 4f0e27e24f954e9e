package partition

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"kahuna/op"
)

func TestFloorRefusesWhatIsNotAbove(t *testing.T) {
	var f floor
	if err := f.raise(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	for ts, want := range map[op.Timestamp]bool{9: false, 10: false, 11: true} {
		if got := f.admit(ts); got != want {
			t.Fatalf("admit(%d) is %v above a floor of 10", ts, got)
		}
	}
	f.end()
	if err := f.raise(t.Context(), 5); err == nil && f.admit(6) {
		t.Error("the floor fell")
	}
}

// Raising waits for exactly the entries that were admitted before, and for no later ones.
func TestFloorWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f floor
		f.admit(1)
		f.admit(2)
		raised := make(chan error, 1)
		go func() { raised <- f.raise(context.Background(), 2) }()
		synctest.Wait()
		f.admit(3)
		f.end()
		synctest.Wait()
		if len(raised) > 0 {
			t.Fatal("raised while an entry at or below was in flight")
		}
		f.end()
		if err := <-raised; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := f.raise(ctx, 3); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that is gone gets %v", err)
		}
		f.end()
	})
}

// A model of a partition: writers admit, write and end in order; a reader at S raises and looks. All it may ever see at or below
// S is there at its first look.
func TestFloorAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { floorModel(t, seed) })
	}
}

func floorModel(t *testing.T, seed uint64) {
	var f floor
	var mu sync.Mutex
	var clock op.Timestamp
	var written []op.Timestamp
	tick := func() op.Timestamp { mu.Lock(); defer mu.Unlock(); clock++; return clock }
	below := func(s op.Timestamp) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range written {
			if w <= s {
				n++
			}
		}
		return n
	}
	flight, done := make(chan op.Timestamp, 4), make(chan struct{})
	go func() { // the proposer
		for range 300 {
			ts := tick()
			for !f.admit(ts) {
				ts = tick()
			}
			flight <- ts
		}
		close(flight)
	}()
	go func() { // the log
		for ts := range flight {
			mu.Lock()
			written = append(written, ts)
			mu.Unlock()
			f.end()
		}
		close(done)
	}()
	type look struct {
		at   op.Timestamp
		seen int
	}
	var looks []look
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		s := tick()
		if err := f.raise(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		looks = append(looks, look{s, below(s)})
		for range rng.IntN(3) {
			tick()
		}
	}
	<-done
	for _, l := range looks {
		if n := below(l.at); n != l.seen {
			t.Fatalf("a read at %d saw %d writes, and later there are %d", l.at, l.seen, n)
		}
	}
}

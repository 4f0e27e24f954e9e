package partition

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/fsm"
	"kahuna/mvcc"
	"kahuna/op"
)

// onLeader runs a test on a replica that leads.
func onLeader(t *testing.T, test func(t *testing.T, r *Replica)) {
	onReplica(t, &counterClock{}, func(t *testing.T, r *Replica) {
		r.awaitLead(t)
		test(t, r)
	})
}

func (r *Replica) mustWrite(t *testing.T, o op.Op) op.Result {
	t.Helper()
	res, err := r.Write(t.Context(), fsm.Unit{o})
	if err != nil {
		t.Fatal(err)
	}
	return res[0]
}

func (r *Replica) lockInfo(t *testing.T) op.Result {
	t.Helper()
	res, err := r.Read(t.Context(), mvcc.Latest, []op.Op{&op.LockInfo{Name: rigLock}})
	if err != nil {
		t.Fatal(err)
	}
	return res[0]
}

func withTTL(o *op.LockAcquire, milli int64) *op.LockAcquire {
	o.TTLMilli = milli
	return o
}

// Fifty owners pass a lock on, each in its turn, by release and by running out; nothing is written while they wait.
func TestWaitPassesTheLockOn(t *testing.T) {
	onLeader(t, func(t *testing.T, r *Replica) {
		r.mustWrite(t, withTTL(exclusive("o"), 60_000))
		var mu sync.Mutex
		var order []string
		for i := range 50 {
			go func() {
				owner := fmt.Sprintf("%02d", i)
				res, err := r.Wait(t.Context(), withTTL(exclusive(owner), 1000))
				if err != nil || !res.Done {
					t.Errorf("%s: %+v, %v", owner, res, err)
				}
				mu.Lock()
				order = append(order, owner)
				mu.Unlock()
				if i%2 == 0 {
					r.Write(t.Context(), fsm.Unit{&op.LockRelease{Name: rigLock, Owner: []byte(owner)}})
				}
			}()
			synctest.Wait()
		}
		if info := r.lockInfo(t); info.Int != 50 || string(info.Lock.Holds[0].Owner) != "o" {
			t.Errorf("%d wait for %+v", info.Int, info.Lock)
		}
		entries := r.stats.entries.Load()
		time.Sleep(59 * time.Second)
		if n := r.stats.entries.Load(); n != entries {
			t.Errorf("%d log entries while nothing happened", n-entries)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(order) != 50 {
			t.Fatalf("%d of 50 got the lock", len(order))
		}
		for i, owner := range order {
			if owner != fmt.Sprintf("%02d", i) {
				t.Fatalf("the order was %v", order)
			}
		}
		if r.Waiters() != 0 {
			t.Errorf("%d wait", r.Waiters())
		}
	})
}

// The lease begins with the grant, not with the wait.
func TestLeaseOfAWaitBeginsWithTheGrant(t *testing.T) {
	onLeader(t, func(t *testing.T, r *Replica) {
		r.mustWrite(t, withTTL(exclusive("o"), 10_000))
		begun := time.Now()
		if res, err := r.Wait(t.Context(), withTTL(exclusive("w"), 5000)); err != nil || !res.Done {
			t.Fatalf("%+v, %v", res, err)
		}
		if waited := time.Since(begun); waited < 10*time.Second {
			t.Errorf("granted after %v", waited)
		}
		if left := r.lockInfo(t).Lock.Holds[0].TTLMilli; left < 4900 {
			t.Errorf("%d ms are left", left)
		}
	})
}

// When its time is over a wait says that the owner does not get the lock, and in slices it keeps its place.
func TestWaitInSlices(t *testing.T) {
	onLeader(t, func(t *testing.T, r *Replica) {
		r.mustWrite(t, withTTL(exclusive("o"), 20_500))
		go func() {
			time.Sleep(time.Second)
			if res, err := r.Wait(t.Context(), withTTL(exclusive("v"), 1000)); err != nil || !res.Done {
				t.Errorf("v: %+v, %v", res, err)
			}
		}()
		begun := time.Now()
		for slices := 1; ; slices++ {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			res, err := r.Wait(ctx, withTTL(exclusive("w"), 1000))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if res.Done {
				if slices != 5 || time.Since(begun) < 20*time.Second {
					t.Errorf("granted in slice %d after %v", slices, time.Since(begun))
				}
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
	})
}

// A client that goes takes no lock with it: at any moment of the grant's way through the log.
func TestClientGoesWhileTheLockComes(t *testing.T) {
	for after := range 8 {
		onLeader(t, func(t *testing.T, r *Replica) {
			r.mustWrite(t, withTTL(exclusive("o"), 60_000))
			ctx, cancel := context.WithCancel(t.Context())
			told := make(chan bool, 1) // the client knows that it has the lock
			go func() {
				res, err := r.Wait(ctx, withTTL(exclusive("w"), 3_600_000))
				if res.Done == errors.Is(err, context.Canceled) {
					t.Errorf("%+v, %v", res, err)
				}
				told <- res.Done
			}()
			synctest.Wait()
			p, err := r.Submit(fsm.Unit{&op.LockRelease{Name: rigLock, Owner: []byte("o")}})
			if err != nil {
				t.Fatal(err)
			}
			if after > 0 {
				<-p.Done()
			}
			for range after {
				yieldTurn()
			}
			cancel()
			time.Sleep(time.Second)
			if info := r.lockInfo(t); info.Found != <-told {
				t.Errorf("%d turns after the release: held, and the client does not know, or the other way round: %+v", after, info.Lock)
			}
		})
	}
}

func yieldTurn() {
	c := make(chan struct{})
	go close(c)
	<-c
}

// Who waits while the replica closes is told that it stops.
func TestCloseEndsWaits(t *testing.T) {
	onLeader(t, func(t *testing.T, r *Replica) {
		r.mustWrite(t, withTTL(exclusive("o"), 60_000))
		ended := make(chan error, 1)
		go func() {
			_, err := r.Wait(t.Context(), exclusive("w"))
			ended <- err
		}()
		synctest.Wait()
		r.Close()
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		if _, err := r.Wait(t.Context(), exclusive("w")); err == nil {
			t.Error("it takes callers when it is closed")
		}
	})
}

// A place that is kept is told, after its caller came back, by what the leader has confirmed, not by what it believes.
func TestNoIsConfirmed(t *testing.T) {
	onLeader(t, func(t *testing.T, r *Replica) {
		r.mustWrite(t, withTTL(exclusive("o"), 60_000))
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if res, err := r.Wait(ctx, exclusive("w")); err != nil || res.Done {
				t.Errorf("%+v, %v", res, err)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			time.Sleep(500 * time.Millisecond)
			r.group.Close() // it leads no more, and was not told
		}()
		if res, err := r.Wait(ctx, exclusive("w")); err == nil {
			t.Errorf("it answers %+v without leading", res)
		}
	})
}

package partition

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kahuna/fsm"
	"kahuna/op"
)

func TestFirstComeFirstServed(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	var all []*caller
	for i := range 20 {
		all = append(all, r.wait(fmt.Sprint(i)))
	}
	if n := r.w.waiting(rigLock); n != 20 {
		t.Errorf("%d wait", n)
	}
	r.unlock("o")
	for i, c := range all {
		r.want(c, "token")
		r.wantHolders(fmt.Sprint(i, " "))
		for _, later := range all[i+1:] {
			r.want(later, "")
		}
		r.unlock(fmt.Sprint(i))
	}
	r.wantEmpty()
}

// Who does not wait in line does not overtake those who do, also inside a Multi; who holds the lock is answered still.
func TestPlainLockDoesNotOvertake(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w := r.wait("w")
	release := r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
	plain := r.plain(exclusive("p"))
	unit, _ := r.w.yield([]op.Op{&op.Multi{Ops: []op.Op{&op.Get{}, exclusive("p")}}})
	if unit[0].(*op.Multi).Ops[1].Kind() != op.KindLockRenew {
		t.Error("a Multi overtakes")
	}
	r.settle()
	if !release.Done || plain.Done {
		t.Errorf("released: %v, overtaken: %v", release.Done, plain.Done)
	}
	r.want(w, "token")
	x := r.wait("x")
	if res := r.lock(exclusive("w")); !res.Done || !res.Found {
		t.Errorf("the holder is answered %+v", res)
	}
	r.unlock("w")
	r.want(x, "token")
	if res := r.lock(exclusive("p")); res.Done {
		t.Errorf("the lock is held twice: %+v", res)
	}
}

// Nothing that is asked for a lock that nobody waits for is changed on its way.
func TestNobodyYieldsToNobody(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	r.wait("w")
	unit := []op.Op{&op.LockAcquire{Name: []byte("other"), Owner: []byte("p"), TTLMilli: 1}, &op.Multi{Ops: []op.Op{&op.Get{}}}}
	if got, changed := r.w.yield(unit); changed || &got[0] != &unit[0] || got[1] != unit[1] {
		t.Errorf("it became %v", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.w.yield(unit) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A waiting writer is not overtaken by later readers; readers who wait together come together.
func TestReadersAndWriters(t *testing.T) {
	r := newRig(t)
	r.lock(shared("r1"))
	if r.lock(shared("r2")); r.holders() != "r1 r2 " {
		t.Fatal(r.holders())
	}
	w := r.wait("w")
	r3, r4 := r.enter(shared("r3")), r.enter(shared("r4"))
	r.settle()
	r.want(r3, "")
	r.unlock("r1")
	r.wantHolders("r2 ")
	r.unlock("r2")
	r.want(w, "token")
	r.wantHolders("w ")
	w2, r5 := r.wait("w2"), r.enter(shared("r5"))
	r.unlock("w")
	r.want(r3, "token")
	r.want(r4, "token")
	r.wantHolders("r3 r4 ")
	r.unlock("r4")
	r.unlock("r3")
	r.want(w2, "token")
	r.want(r5, "")
}

// When a writer who waits leaves, the readers behind it need not wait any more.
func TestReadersGoOnWhenTheWriterLeaves(t *testing.T) {
	r := newRig(t)
	r.lock(shared("r1"))
	w, r2 := r.wait("w"), r.enter(shared("r2"))
	r.settle()
	r.want(r2, "")
	r.w.leave(w, true)
	r.settle()
	r.want(w, "no")
	r.want(r2, "token")
}

func TestPermits(t *testing.T) {
	r := newRig(t)
	r.lock(permits("a", 3))
	var all []*caller
	for i := range 8 {
		all = append(all, r.enter(permits(fmt.Sprint(i), 3)))
	}
	r.settle()
	r.wantHolders("a 0 1 ")
	clash := r.enter(permits("x", 4))
	r.settle()
	r.want(clash, "refused")
	r.run(&op.LockBreak{Name: rigLock, AnyOwner: true})
	r.wantHolders("2 3 4 ")
	r.unlock("3")
	r.wantHolders("2 4 5 ")
	for i, want := range []string{"token", "token", "token", "token", "token", "token", "", ""} {
		r.want(all[i], want)
	}
}

// Who waits for another number of permits than the next holders name is told so.
func TestPermitsThatClashLater(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("a"))
	w, v := r.enter(exclusive("w")), r.enter(exclusive("v"))
	r.settle()
	r.view.Begin(r.view.Now() + 1) // a transaction hands the lock on
	r.log = append(r.log, rigUnit{ops: []op.Op{&op.LockRelease{Name: rigLock, Owner: []byte("a")}, permits("t", 5)}})
	r.settle()
	r.want(w, "refused")
	r.want(v, "refused")
	r.wantHolders("t ")
	r.unlock("t")
	r.wantEmpty()
}

// Readers who want to become the writer: the one who is left alone does, whoever waits ahead.
func TestChangeOver(t *testing.T) {
	r := newRig(t)
	r.lock(shared("r1"))
	r.lock(shared("r2"))
	w := r.wait("w")
	up := r.wait("r1")
	r.unlock("r2")
	r.want(up, "token")
	r.wantHolders("r1 ")
	r.want(w, "")
	r.unlock("r1")
	r.want(w, "token")
}

// The owner who holds the lock gets its token at once, whoever waits.
func TestHolderWaitsAgain(t *testing.T) {
	r := newRig(t)
	first := r.lock(exclusive("o"))
	r.wait("w")
	c := r.wait("o")
	if e := <-c.end; !e.result.Done || !e.result.Found || e.result.Int != first.Int {
		t.Errorf("%+v after %+v", e, first)
	}
}

// A call whose time is over keeps its place for a while; one that comes back in time goes on as if it had never been away.
func TestPlaceIsKept(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	r.w.leave(w, false)
	r.want(w, "no")
	r.pass(returnGap - 1)
	entries := r.view.Now()
	w = r.wait("w")
	if r.view.Now() != entries {
		t.Error("coming back costs a log entry")
	}
	r.pass(time.Hour)
	r.unlock("o")
	r.want(w, "token")
	r.want(v, "")
	r.wantHolders("w ")
}

// A grant that comes between two slices of a wait is there when the second begins.
func TestGrantBetweenSlices(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w := r.wait("w")
	r.w.leave(w, false)
	r.unlock("o")
	r.wantHolders("w ")
	if w = r.enter(exclusive("w")); w.got() != "token" {
		t.Error("it is not told")
	}
	r.unlock("w")
	r.wantEmpty()
}

// A grant whose owner does not come back is given back, and the next one gets the lock.
func TestGrantThatNobodyFetches(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	r.w.leave(w, false)
	r.unlock("o")
	r.wantHolders("w ")
	r.pass(returnGap)
	r.settle()
	r.want(v, "token")
	r.wantHolders("v ")
	r.unlock("v")
	r.wantEmpty()
}

// Who disconnects is passed over at once, and has its old place when it comes back in time.
func TestWhoLeavesIsPassedOver(t *testing.T) {
	for _, back := range []time.Duration{absenceGrace - 1, absenceGrace} {
		r := newRig(t)
		r.lock(exclusive("o"))
		w, v := r.wait("w"), r.wait("v")
		r.w.leave(w, true)
		if n := r.w.waiting(rigLock); n != 1 {
			t.Errorf("%d wait", n)
		}
		r.pass(back)
		again := r.wait("w")
		r.unlock("o")
		if back < absenceGrace {
			r.want(again, "token")
			r.want(v, "")
		} else {
			r.want(v, "token")
			r.want(again, "")
		}
		r.want(w, "no")
	}
}

// A release takes the next owner's grant along into its log entry; one that frees nothing makes nobody a holder.
func TestReleaseTakesTheGrantAlong(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	for _, owner := range []string{"nobody", "o"} {
		unit := []op.Op{&op.LockRelease{Name: rigLock, Owner: []byte(owner)}}
		r.plain(unit[0])
		r.w.anticipate(unit)
		if len(r.log) != 2 || ownerOf(r.log[1].ops[0]) != "w" {
			t.Fatalf("proposed behind it: %+v", r.log)
		}
		r.want(w, "")
		r.settle()
	}
	r.want(w, "token")
	r.want(v, "")
	r.wantHolders("w ")
}

// Somebody who left is in nobody's way.
func TestAbsentOwnerDoesNotBlock(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w := r.wait("w")
	r.w.leave(w, false)
	r.w.dismiss(rigLock, []byte("w"))
	r.unlock("o")
	r.wantHolders("")
	if res := r.lock(exclusive("p")); !res.Done {
		t.Errorf("%+v", res)
	}
	r.pass(absenceGrace)
	r.wantEmpty()
}

// An absent owner that took the lock meanwhile, and asks again, is not made to wait for itself.
func TestAbsentOwnerTakesItWithoutWaiting(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	r.w.leave(r.wait("w"), true)
	r.unlock("o")
	r.lock(exclusive("w"))
	r.want(r.wait("w"), "token")
}

// The client of a grant that is under way leaves: the grant is given back, unless the owner has asked again meanwhile.
func TestGrantToWhoLeftIsGivenBack(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
	r.apply() // w's grant is under way
	r.w.leave(w, true)
	r.want(w, "")
	r.apply()
	r.wantHolders("w ")
	r.tell()
	r.tell()
	e := <-w.end
	if !e.alone || !e.result.Done || e.result.Found {
		t.Fatalf("%+v", e)
	}
	r.run(giveBack(&w.place.ask, &e.result)) // as Wait does
	r.want(v, "token")
	r.run(giveBack(&w.place.ask, &e.result))
	r.wantHolders("v ")
}

// A grant is not given back when another call of the same owner was told of it, or had it before.
func TestWhatIsNotGivenBack(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w := r.wait("w")
	again := r.wait("w")
	r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
	r.apply()
	r.w.leave(w, true)
	r.settle()
	if e := <-w.end; e.alone {
		t.Error("the first of two calls gives back what the second was told")
	}
	if e := <-again.end; !e.alone || !e.result.Done {
		t.Errorf("the second call is told %+v", e)
	}
	r.wantHolders("w ")
}

// The end of leadership: who has nothing under way is sent away at once, who has is told what became of it.
func TestLeadershipEnds(t *testing.T) {
	for _, end := range []error{nil, ErrNotLeader, ErrUncertain} {
		r := newRig(t)
		r.lock(exclusive("o"))
		w, v := r.wait("w"), r.wait("v")
		r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
		r.apply()
		r.tell()
		r.w.follow(ErrNotLeader)
		r.want(v, ErrNotLeader.Error())
		r.want(w, "")
		want := "token"
		if end == nil {
			r.settle()
		} else {
			want = end.Error()
			r.log[0].ended(nil, end)
			r.log = nil
		}
		r.want(w, want)
		r.settle()
		r.wantEmpty()
		if _, err := r.w.enter(exclusive("x")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("a follower takes a caller: %v", err)
		}
		r.w.lead()
		x := r.wait("x")
		r.pass(time.Hour)
		r.unlock("w")
		r.unlock("x")
		if got := x.got(); got != "token" {
			t.Errorf("the next leader tells %q", got)
		}
	}
}

// A proposal that is refused ends the call, and the place rests until it comes back; it is not forgotten.
func TestRefusedProposal(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
	r.refuse = ErrFull
	r.settle()
	r.want(w, ErrFull.Error())
	r.want(v, "")
	r.refuse = nil
	r.wantHolders("")
	w = r.wait("w")
	r.want(w, "token")
	r.unlock("w")
	r.want(v, "token")
}

// When the caller of a place that rests does not come back, the next one is served.
func TestRestingPlaceIsNotWaitedFor(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	r.plain(&op.LockRelease{Name: rigLock, Owner: []byte("o")})
	r.apply()
	r.log[0].ended([]op.Result{{Status: op.Blocked, Intent: &op.Intent{}}}, nil)
	r.log = r.log[1:]
	if len(r.log) != 0 {
		t.Error("what bounced is sent again at once")
	}
	r.settle()
	r.want(w, "bounced")
	r.want(v, "")
	r.pass(returnGap)
	r.settle()
	r.want(v, "token")
}

// An owner who asks for another mode than it waits for loses its place.
func TestOwnerChangesItsMind(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("o"))
	w, v := r.wait("w"), r.wait("v")
	other := r.enter(shared("w"))
	r.settle()
	r.want(w, "no")
	r.unlock("o")
	r.want(v, "token")
	r.unlock("v")
	r.want(other, "token")
	r.unlock("w")
	r.wantEmpty()
}

func TestLimitsOfWaiters(t *testing.T) {
	r := newRig(t)
	r.w.perLock, r.w.quota.Max = 2, 3
	r.lock(exclusive("o"))
	first := r.wait("1")
	r.wait("2")
	if _, err := r.w.enter(exclusive("3")); !errors.Is(err, ErrWaiters) {
		t.Errorf("a third waits: %v", err)
	}
	r.wait("1") // again
	other := func(name string) error {
		_, err := r.w.enter(&op.LockAcquire{Name: []byte(name), Owner: []byte("o"), TTLMilli: 1})
		return err
	}
	if err := other("m"); err != nil {
		t.Error(err)
	}
	if err := other("n"); !errors.Is(err, ErrWaiters) {
		t.Errorf("a fourth on the node: %v", err)
	}
	if r.w.quota.taken.Load() != 3 {
		t.Errorf("%d taken", r.w.quota.taken.Load())
	}
	r.want(first, "")
}

// A million names that are waited for, locked and released, one after the other, leave nothing behind.
func TestManyNamesLeaveNothing(t *testing.T) {
	r := newRig(t)
	for i := range 20_000 {
		c, err := r.w.enter(&op.LockAcquire{Name: fmt.Append(nil, i), Owner: []byte("o"), TTLMilli: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range r.log {
			u.ended([]op.Result{{Done: true, Int: 1}}, nil)
		}
		r.log = nil
		r.want(c, "token")
	}
	r.wantEmpty()
}

// TestWaitingCostsNoEntry sees that who comes to wait for a lock that somebody else holds puts nothing into the log, and that the lock
// is passed on to him in one entry with its release.
func TestWaitingCostsNoEntry(t *testing.T) {
	r := newRig(t)
	r.lock(exclusive("h"))
	w := r.enter(exclusive("w"))
	if len(r.log) != 0 {
		t.Errorf("%d proposals for who just waits", len(r.log))
	}
	unlock := fsm.Unit{&op.LockRelease{Name: rigLock, Owner: []byte("h")}}
	r.log = append(r.log, rigUnit{ops: unlock, plain: true})
	r.w.anticipate(unlock)
	if len(r.log) != 2 {
		t.Errorf("%d proposals for a release", len(r.log))
	}
	r.settle()
	r.want(w, "token")
	r.unlock("w")
	r.wantEmpty()
}

// TestHolderByAnotherRequest sees that who waits behind others is told when he comes to hold the lock by another request, which was on
// its way when he came.
func TestHolderByAnotherRequest(t *testing.T) {
	r := newRig(t)
	r.lock(shared("r"))
	r.plain(shared("a"))
	w, a := r.enter(exclusive("w")), r.enter(shared("a"))
	r.want(a, "")
	r.settle()
	r.want(a, "token")
	r.want(w, "")
	r.unlock("a")
	r.unlock("r")
	r.want(w, "token")
	r.unlock("w")
	r.wantEmpty()
}

package fsm

import (
	"bytes"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

func (r *replica) safePoint(at op.Timestamp) {
	r.t.Helper()
	if res := r.one(&op.SafePoint{At: at}); !res.Done || res.TS != r.Safe() || r.State().Safe != r.Safe() {
		r.t.Fatalf("%+v, and the safe point is %d", res, r.Safe())
	}
}

// collect collects all there is.
func (r *replica) collect() (versions int64) {
	r.t.Helper()
	for sp := op.SpaceKey; sp <= op.SpaceIdem; sp++ {
		for o := (&op.Collect{Space: sp}); ; {
			res := r.one(o)
			if res.Status != op.OK || !res.Done {
				r.t.Fatalf("%+v", res)
			}
			if versions += res.Int; res.Next == nil {
				break
			}
			o.From = *res.Next
		}
	}
	return versions
}

func (r *replica) readAt(at op.Timestamp, o op.Op) op.Result {
	r.t.Helper()
	snap := r.store.Snapshot()
	defer snap.Close()
	res, err := r.Read(snap, at, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

// A read below the safe point is refused, whatever is still there; one at it is right, before and after the collection, and after
// a restart.
func TestReadsAndTheSafePoint(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	var at []op.Timestamp
	for _, v := range []string{"a", "b", "c"} {
		r.one(set("k", v))
		at = append(at, r.now)
	}
	check := func(when string) {
		t.Helper()
		for i, want := range []string{"", "b", "c"} {
			res := r.readAt(at[i], get("k"))
			if i == 0 && res.Status != op.Collected || i > 0 && string(res.Value) != want {
				t.Errorf("%s, at the time of version %d: %+v", when, i+1, res)
			}
		}
		for _, o := range []op.Op{&op.Scan{Space: op.SpaceKey, Limit: 9}, &op.Count{Space: op.SpaceKey}, &op.Version{Name: op.Key([]byte("k"))}} {
			if res := r.readAt(at[0], o); res.Status != op.Collected {
				t.Errorf("%s: %T below the safe point: %+v", when, o, res)
			}
		}
	}
	if n := r.collect(); n != 0 {
		t.Errorf("%d versions were collected without a safe point", n)
	}
	r.safePoint(at[1])
	check("before")
	if n := r.collect(); n != 1 {
		t.Errorf("%d versions were collected", n)
	}
	check("after")
	r.restart()
	check("after a restart")
	for rev, want := range map[uint64]op.Status{1: op.Collected, 2: op.OK, 3: op.OK, 4: op.OK} {
		if res := r.read(&op.Get{Key: []byte("k"), AtRev: rev}); res.Status != want || res.Found != (rev == 2 || rev == 3) {
			t.Errorf("revision %d: %+v", rev, res)
		}
	}
	if res := r.read(&op.History{Key: []byte("k"), Limit: 9}); len(res.Items) != 2 {
		t.Errorf("the history is %+v", res.Items)
	}
}

// The safe point never falls, and never comes up to the log's own time.
func TestSafePointRises(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.safePoint(900)
	r.safePoint(800)
	r.safePoint(r.now + 1)
	r.safePoint(op.MaxTimestamp)
	if r.Safe() != 900 {
		t.Errorf("the safe point is %d", r.Safe())
	}
	other := newReplica(t, op.Position{}, op.Position{})
	if err := other.Restore(bytes.NewReader(r.snapshot())); err != nil || other.Safe() != 900 {
		t.Errorf("restored it is %d, %v", other.Safe(), err)
	}
}

// A transaction whose snapshot is below the safe point can't be judged: the version that it conflicts with was made and deleted
// after its snapshot, and is gone without a trace.
func TestTransactionBelowTheSafePoint(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	start := r.now
	r.one(set("k", "other"))
	r.one(&op.Delete{Key: []byte("k")})
	n := op.Key([]byte("k"))
	seen := []op.Seen{{Name: n}}
	ask := func(start op.Timestamp) []op.Status {
		write := &op.Prewrite{Txn: start, Home: n, AtHome: true, Deadline: op.MaxTimestamp, Writes: []op.Write{{Name: n, Type: 1}}}
		return []op.Status{r.one(write).Status, r.read(&op.Check{Txn: start, Reads: seen, At: r.now}).Status,
			r.read(&op.Check{Txn: start, Scans: []op.ScanSeen{{Space: op.SpaceKey}}, At: r.now}).Status,
			r.read(&op.CheckSince{Snapshot: start, Check: op.Check{Txn: start - 1, Scans: []op.ScanSeen{{Space: op.SpaceKey}}, At: r.now}}).Status}
	}
	for _, s := range ask(start) {
		if s != op.Conflict {
			t.Errorf("before: status %d", s)
		}
	}
	r.safePoint(r.now)
	if r.collect() == 0 {
		t.Error("nothing was collected")
	}
	for _, s := range ask(start) {
		if s != op.Collected {
			t.Errorf("after: status %d", s)
		}
	}
	if s := ask(r.Safe()); s[0] != op.OK {
		t.Errorf("at the safe point: %v", s)
	}
}

// Locks and sequences that were used once and deleted leave nothing; tokens go on rising.
func TestDeletedNamesLeaveNothing(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	lock := &op.LockAcquire{Name: []byte("l"), Owner: []byte("o"), TTLMilli: 1000}
	token := r.one(lock).Int
	r.one(&op.LockRelease{Name: lock.Name, Owner: lock.Owner})
	r.one(&op.SeqNext{Name: []byte("s"), Count: 1, Idem: []byte("i"), IdemMilli: 1})
	r.one(&op.SeqDelete{Name: []byte("s")})
	r.one(set("k", strings.Repeat("v", 700<<10)))
	r.one(&op.Delete{Key: []byte("k")})
	r.now += 1 << 20
	idem := op.Name{Space: op.SpaceIdem, Key: []byte("s"), Sub: []byte("i")}
	r.one(&op.Sweep{Name: idem, TS: r.read(&op.Version{Name: idem}).TS})
	r.read(&op.LockInfo{Name: lock.Name})
	r.safePoint(r.now)
	r.collect()
	for _, p := range storetest.Pairs(t, r.store, storage.KindCurrent, storage.KindHistory, storage.KindChunk, storage.KindDue) {
		t.Errorf("left: %s", p)
	}
	if got, ok := r.ReadCached([]op.Op{&op.LockInfo{Name: lock.Name}}); ok && got[0].Found {
		t.Error("the cache has the lock")
	}
	if again := r.one(lock); again.Int <= token {
		t.Errorf("token %d after %d", again.Int, token)
	}
}

// One Collect has little to write, and leaves room for others in its entry.
func TestCollectIsBounded(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	for range 100 {
		var unit Unit
		for range 30 {
			unit = append(unit, set("k", "v"))
		}
		r.do(unit)
	}
	r.safePoint(r.now)
	big := set("{k}big", strings.Repeat("v", 4<<20))
	results := r.do(Unit{&op.Collect{Space: op.SpaceKey}}, Unit{big})
	if n := results[0].Int; n < 100 || n > 1500 || results[0].Next == nil {
		t.Errorf("one page has %d versions", n)
	}
	if !results[1].Done {
		t.Errorf("a large value beside it: %+v", results[1])
	}
	if r.collect(); r.readAt(mvcc.Latest, &op.History{Key: []byte("k"), Limit: 9}).Items[0].Rev != 3000 {
		t.Error("the current version is another one")
	}
}

package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

// big is the largest value there is.
var big = bytes.Repeat([]byte("v"), 4<<20)

// until sends operations again as long as they bounce, as a node does, and returns how many entries it took.
func (r *replica) until(ops ...op.Op) (entries int, last op.Result) {
	r.t.Helper()
	for len(ops) > 0 {
		res := r.do(Unit(ops))
		entries++
		for len(res) > 0 && res[0].Status != op.Again {
			last = res[0]
			res, ops = res[1:], ops[1:]
		}
		if entries > 1000 {
			r.t.Fatal("no progress")
		}
	}
	return entries, last
}

// Few bytes of log can make many of writes. What does not fit a batch of the store would stop the group on every replica.
func TestSmallEntriesWithLargeWrites(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	var expire, app []op.Op
	for i := range 3 {
		key := fmt.Appendf(nil, "k%d", i)
		r.one(&op.Set{Key: key, Value: big[:len(big)-3]})
		expire = append(expire, &op.Expire{Key: key, Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 1 << 30}})
		app = append(app, &op.AppendTo{Key: key, Value: []byte("z"), MaxBytes: 4 << 20})
	}
	for _, ops := range [][]op.Op{expire, app} {
		if n, _ := r.until(ops...); n != 3 {
			t.Errorf("%T took %d entries", ops[0], n)
		}
	}
	if got := r.read(get("k2")); len(got.Value) != len(big)-2 || got.ExpireAt == 0 {
		t.Errorf("k2 has %d bytes, expires at %d", len(got.Value), got.ExpireAt)
	}
	// In one Multi they never fit, and that is told.
	before := storetest.Pairs(t, r.store, storage.KindCurrent)
	if res := r.one(&op.Multi{Ops: app}); res.Status != op.TooLarge {
		t.Errorf("a Multi: %+v", res)
	}
	if d := storetest.Difference(before, storetest.Pairs(t, r.store, storage.KindCurrent)); d != "" {
		t.Errorf("changed: %s", d)
	}
	// The largest value fits after a batch that is as full as it gets before the last entry.
	var entries []LogEntry
	for i := range 200 {
		entries = append(entries, r.entry(Unit{&op.Set{Key: fmt.Appendf(nil, "f%d", i), Value: big[:7000]}}))
	}
	for i := range 3 {
		entries = append(entries, r.entry(Unit{&op.Set{Key: fmt.Appendf(nil, "k%d", i), Value: big}}))
	}
	if _, err := r.Apply(entries); err != nil {
		t.Fatal(err)
	}
}

// What an entry may write is counted of it alone, so that where the batches begin makes no difference.
func TestBudgetDoesNotDependOnBatches(t *testing.T) {
	units := []Unit{{&op.Set{Key: []byte("a"), Value: big[:3<<20]}}}
	for i := range 4 {
		units = append(units, Unit{&op.Set{Key: fmt.Appendf(nil, "b%d", i), Value: big[:400<<10]}})
	}
	var want []byte
	for _, before := range []int{0, 1, 50} {
		r := newReplica(t, op.Position{}, op.Position{})
		var entries []LogEntry
		for i := range before {
			entries = append(entries, r.entry(Unit{&op.Set{Key: fmt.Appendf(nil, "x%d", i), Value: big[:8000]}}))
		}
		r.now = 5000
		entries = append(entries, r.entry(units...))
		res, err := r.Apply(entries)
		if err != nil {
			t.Fatal(err)
		}
		got := encoded(res[before])
		if want == nil {
			want = got
			expect(t, res[before], op.OK, op.OK, op.OK, op.OK, op.Again)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("after %d entries: %v", before, statuses(res[before]))
		}
	}
}

// Transactions with large values, and with so many that they don't end in one entry.
func TestLargeTransactions(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	home := op.Key([]byte("home"))
	o := &op.Prewrite{Txn: r.now, Home: home, AtHome: true, Deadline: op.MaxTimestamp, Writes: []op.Write{{Name: home, Type: 1, Value: big}}}
	if res := r.one(o); !res.Done {
		t.Fatalf("%+v", res)
	}
	if n, _ := r.until(&op.Decide{Txn: o.Txn, Home: home, At: r.now + 1}, &op.Resolve{Txn: o.Txn, Names: []op.Name{home}, Committed: true, At: r.now + 1}); n > 2 {
		t.Errorf("took %d entries", n)
	}
	if got := r.read(get("home")); !bytes.Equal(got.Value, big) {
		t.Errorf("home has %d bytes", len(got.Value))
	}
	// More than fits an entry: refused, and nothing laid.
	o = &op.Prewrite{Txn: r.now, Home: home, Writes: []op.Write{{Name: op.Key([]byte("a")), Value: big}, {Name: op.Key([]byte("b")), Value: big}}}
	if res := r.one(o); res.Status != op.TooLarge {
		t.Errorf("%+v", res)
	}
	if n := len(storetest.Pairs(t, r.store, storage.KindIntent)); n != 0 {
		t.Errorf("%d intents", n)
	}
	// A record of more names than a value of the store takes.
	o = &op.Prewrite{Txn: r.now, Home: home, AtHome: true, Deadline: op.MaxTimestamp}
	for i := range 200 {
		o.Names = append(o.Names, op.Key(append(fmt.Appendf(nil, "%d", i), big[:8<<10]...)))
	}
	if res := r.one(o); res.Status != op.TooLarge {
		t.Errorf("%+v", res)
	}
	manyIntents(t, r)
}

// manyIntents lays intents in several entries and ends them in one operation.
func manyIntents(t *testing.T, r *replica) {
	txn := r.now
	var names []op.Name
	for i := range 6 {
		n := op.Key(fmt.Appendf(nil, "m%d", i))
		names = append(names, n)
		if res := r.one(&op.Prewrite{Txn: txn, Home: names[0], Writes: []op.Write{{Name: n, Type: 1, Value: big[:1<<20]}}}); !res.Done {
			t.Fatalf("%+v", res)
		}
	}
	at, done, n := r.now+1, false, int64(0)
	for rounds := 0; !done; rounds++ {
		res := r.one(&op.Resolve{Txn: txn, Names: names, Committed: true, At: at})
		if n += res.Int; res.Status != op.OK || rounds > 3 {
			t.Fatalf("round %d: %+v", rounds, res)
		}
		done = res.Done
	}
	if left := len(storetest.Pairs(t, r.store, storage.KindIntent)); n != 6 || left != 0 {
		t.Errorf("%d resolved, %d left", n, left)
	}
}

func TestDeleteRangeIsBounded(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	for i := range 40 {
		var u Unit
		for j := range 100 {
			u = append(u, &op.Set{Key: fmt.Appendf(nil, "%d-%d", i, j), Value: big[:1000]})
		}
		r.do(u)
	}
	o := &op.DeleteRange{Space: op.SpaceKey, UpTo: r.now, Limit: 1 << 30}
	pages, n := 0, int64(0)
	for more := true; more; pages++ {
		res := r.one(o)
		if res.Status != op.OK || res.Int == 0 {
			t.Fatalf("page %d: %+v", pages, res)
		}
		if n += res.Int; res.Next != nil {
			o.From = *res.Next
		}
		more = res.Next != nil
	}
	if n != 4000 || pages < 3 || r.State().Live[op.SpaceKey] != 0 {
		t.Errorf("%d deleted in %d pages, %d live", n, pages, r.State().Live[op.SpaceKey])
	}
}

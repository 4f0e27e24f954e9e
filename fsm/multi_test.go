package fsm

import (
	"testing"

	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

func TestMultiIsOneVersion(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(set("a", "1"))
	res := r.one(&op.Multi{Ops: []op.Op{
		&op.Incr{Key: []byte("a"), Delta: 4}, get("a"), &op.Delete{Key: []byte("a")}, get("a"), set("a", "x"),
		&op.Incr{Key: []byte("a"), Delta: 1}, set("b", "1"), &op.Delete{Key: []byte("b")},
	}})
	expect(t, res.Sub, op.OK, op.OK, op.OK, op.OK, op.OK, op.NotInteger, op.OK, op.OK)
	if !res.Done || string(res.Sub[1].Value) != "5" || res.Sub[3].Found {
		t.Errorf("%+v", res)
	}
	got := r.read(&op.History{Key: []byte("a"), Limit: 9}).Items
	if len(got) != 2 || got[0].Rev != 2 || string(got[0].Value) != "x" || got[0].TS != 1009 || string(got[1].Value) != "1" {
		t.Errorf("the versions are %+v", got)
	}
	if n := len(storetest.Pairs(t, r.store, storage.KindCurrent)); n != 1 || r.State().Live[op.SpaceKey] != 1 {
		t.Errorf("%d names, %d live", n, r.State().Live[op.SpaceKey])
	}
}

// A Multi that bounces on its last name has changed none.
func TestMultiIsAtomic(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{Slot: 8000})
	blocked := op.Key([]byte("hello"))
	r.one(&op.Prewrite{Txn: 1, Home: blocked, Writes: []op.Write{{Name: blocked}}})
	before := storetest.Pairs(t, r.store, storage.KindCurrent, storage.KindDue)
	for last, want := range map[string]op.Status{"hello": op.Blocked, "foo": op.Moved} {
		res := r.one(&op.Multi{Ops: []op.Op{set("bar", "1"), &op.SeqNext{Name: []byte("bar"), Count: 1}, set(last, "1")}})
		if res.Status != want || res.Done || len(res.Sub) > 0 {
			t.Errorf("%s: %+v", last, res)
		}
		res = r.one(&op.Multi{Ops: []op.Op{set("bar", "1")}, Watches: []op.Seen{{Name: op.Key([]byte(last))}}})
		if res.Status != want {
			t.Errorf("a watch of %s: %+v", last, res)
		}
	}
	if d := storetest.Difference(before, storetest.Pairs(t, r.store, storage.KindCurrent, storage.KindDue)); d != "" {
		t.Errorf("changed: %s", d)
	}
}

func TestMultiWatches(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	seen := func(key string) op.Seen {
		v := r.read(&op.Version{Name: op.Key([]byte(key))})
		return op.Seen{Name: op.Key([]byte(key)), TS: v.TS, Live: v.Found}
	}
	run := func(watches ...op.Seen) bool {
		res := r.one(&op.Multi{Ops: []op.Op{&op.Incr{Key: []byte("n"), Delta: 1}}, Watches: watches})
		if res.Status != op.OK || res.Done != (len(res.Sub) == 1) {
			t.Errorf("%+v", res)
		}
		return res.Done
	}
	r.one(set("a", "1"))
	r.one(&op.Set{Key: []byte("e"), Value: []byte("1"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 1}})
	a, e, none := seen("a"), seen("e"), seen("none")
	if !e.Live || !run(a, e, none) || !run(none) || !run(a) {
		t.Error("watches that hold were refused")
	}
	r.now += 4096 // e expires, without a new version
	if run(a, e) {
		t.Error("an expiry is no change")
	}
	r.one(set("a", "1"))
	if run(a) {
		t.Error("a write of the same value is no change")
	}
	r.one(set("none", "1"))
	r.one(&op.Delete{Key: []byte("none")})
	if run(none) {
		t.Error("written and deleted again is no change")
	}
	if got := r.read(get("n")); string(got.Value) != "3" {
		t.Errorf("n is %s", got.Value)
	}
}

// Locks that are taken in one Multi have tokens of their own, all larger than those before and smaller than those after.
func TestTokensInMulti(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	lock := func(name, owner string) *op.LockAcquire {
		return &op.LockAcquire{Name: []byte(name), Owner: []byte(owner), TTLMilli: 1000, Permits: 9}
	}
	last := r.one(lock("l", "o0")).Int
	for range 3 {
		ops := []op.Op{lock("l", "o1"), lock("l", "o2"), lock("m", "o1"), &op.LockBreak{Name: []byte("l"), AnyOwner: true}, lock("l", "o3")}
		res := r.one(&op.Multi{Ops: ops})
		for i, sub := range res.Sub {
			if i == 3 {
				continue
			}
			if !sub.Done || sub.Int <= last {
				t.Errorf("token %d after %d: %+v", sub.Int, last, sub)
			}
			last = sub.Int
		}
		r.one(&op.LockBreak{Name: []byte("l"), AnyOwner: true})
		r.one(&op.LockBreak{Name: []byte("m"), AnyOwner: true})
	}
	if got := r.one(lock("l", "o9")).Int; got <= last {
		t.Errorf("token %d after %d", got, last)
	}
}

// Whatever stands in a Multi has a result, and the rest runs.
func TestMultiOfAnything(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(set("bar", "1"))
	ops := everyOp("bar")
	ops = append(ops, &op.ClockBound{}, &op.MetaPut{}, &op.MetaGet{}, &op.MetaList{}, &op.Multi{})
	for _, o := range ops {
		before := r.now
		res := r.one(&op.Multi{Ops: []op.Op{set("first", "1"), o, set("last", "1")}})
		if res.Status != op.OK || !res.Done || len(res.Sub) != 3 || res.Sub[2].Status != op.OK || r.now != before+3 {
			t.Errorf("%T: %+v", o, res)
		}
		if runs := runsInMulti(o); runs == (res.Sub[1].Status == op.Unsupported) {
			t.Errorf("%T: status %d", o, res.Sub[1].Status)
		}
	}
	if res := r.one(&op.Multi{}); !res.Done || res.Status != op.OK {
		t.Errorf("an empty one: %+v", res)
	}
}

// runsInMulti tells what keys, locks and sequences can do on their own.
func runsInMulti(o op.Op) bool {
	if g, ok := o.(*op.Get); ok {
		return g.AtRev == 0
	}
	return o.Kind() != op.KindHistory && o.Kind() <= op.KindSeqGet || o.Kind() == op.KindLockRenew
}

// A bounce of a Multi takes the rest of its unit with it.
func TestMultiInUnits(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{Slot: 8000})
	res := r.do(
		Unit{&op.Multi{Ops: []op.Op{set("bar", "1"), set("foo", "1")}}, set("bar", "2")},
		Unit{&op.Multi{Ops: []op.Op{set("hello", "1"), set("hello", "2")}}, get("hello")},
	)
	expect(t, res, op.Moved, op.Again, op.OK, op.OK)
	if res[3].TS != 1005 || string(res[3].Value) != "2" || r.State().Last != 1006 {
		t.Errorf("hello is %q at %d, the last timestamp %d", res[3].Value, res[3].TS, r.State().Last)
	}
}

package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// split applies a Split in the entry after the last.
func (r *replica) split(child uint32, at op.Position, members ...Member) op.Result {
	r.t.Helper()
	e := r.entry(Unit{&op.Split{Child: child, At: at, Epoch: r.State().Epoch}})
	e.Members, e.Member = members, true
	res, err := r.Apply([]LogEntry{e})
	if err != nil {
		r.t.Fatal(err)
	}
	return res[0][0]
}

// child opens a partition that was born in the store of another one.
func (r *replica) child(id uint32) *replica {
	r.t.Helper()
	c := &replica{t: r.t, store: r.store, dir: r.dir, index: BirthIndex, now: r.now}
	c.open(id)
	return c
}

func at(key string) op.Position { return op.Position{Slot: op.Slot([]byte(key)), Name: []byte(key)} }

// border is where a partition can be cut: at a name, or at the border of its slot.
func (l *load) border() op.Position {
	for {
		p := at(string(l.key()))
		if l.r.IntN(3) == 0 {
			p.Name = nil
		}
		if !IsEnd(p) {
			return p
		}
	}
}

// bits are what is stored of a range of names, with due times, each key with its value.
func bits(t testing.TB, store *storage.Store) (all []string) {
	t.Helper()
	snap := store.Snapshot()
	defer snap.Close()
	err := snap.Scan(nil, nil, false, false, func(key, value []byte) (bool, error) {
		if k := storage.Kind(key[0]); k != storage.KindPartition && k != storage.KindFormat {
			all = append(all, fmt.Sprintf("%x=%x", key, value))
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A split at any point of any history moves nothing: the stored names are the same before and after, each is owned by one of the two,
// and both together count what the one has counted.
func TestSplitKeepsEverything(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 60))
		r := newReplica(t, op.Position{}, op.Position{})
		l := &load{r: rnd, now: func() op.Timestamp { return r.now }}
		for range 60 {
			r.do(Unit{l.any()})
		}
		before, stored := r.State(), bits(t, r.store)
		where := l.border()
		if res := r.split(2, where, Member{"a", true}); !res.Done || res.Rev != 2 {
			t.Fatalf("seed %d: at %v: %+v", seed, where, res)
		}
		if got := bits(t, r.store); fmt.Sprint(got) != fmt.Sprint(stored) {
			t.Fatalf("seed %d: what is stored has changed", seed)
		}
		c := r.child(2)
		both := []*replica{r, c}
		for _, half := range both {
			if s := half.State(); !s.Uncounted {
				t.Fatalf("seed %d: %+v", seed, s)
			}
			o, err := half.Recount()
			if err != nil {
				t.Fatal(err)
			}
			if rnd.IntN(2) == 0 { // writes between the count and its entry
				half.do(Unit{l.any()}, Unit{l.any()})
			}
			if res := half.one(o); !res.Done {
				t.Fatalf("seed %d: %+v", seed, res)
			}
			half.check(seed)
		}
		p, q := r.State(), c.State()
		if Compare(p.From, before.From) != 0 || Compare(p.To, where) != 0 || Compare(q.From, where) != 0 || Compare(q.To, before.To) != 0 {
			t.Fatalf("seed %d: %v of %v and %v", seed, before, p, q)
		}
		if p.Epoch != 2 || q.Epoch != 2 || q.Safe != before.Safe || q.Index < BirthIndex {
			t.Fatalf("seed %d: %+v and %+v", seed, p, q)
		}
		for _, k := range loadKeys {
			if p.Owns(k) == q.Owns(k) {
				t.Fatalf("seed %d: %q is in both or in none", seed, k)
			}
		}
	}
}

// check compares the counts of a partition with what is there.
func (r *replica) check(seed uint64) {
	r.t.Helper()
	snap := r.store.Snapshot()
	defer snap.Close()
	s := r.State()
	for sp := op.SpaceKey; int(sp) < spaces; sp++ {
		n, err := mvcc.CountCurrent(snap, sp, s.From, s.To)
		if err != nil {
			r.t.Fatal(err)
		}
		if n != s.Live[sp] || s.Uncounted {
			r.t.Errorf("seed %d: partition %d has %d names in space %d and counts %d", seed, r.ID(), n, sp, s.Live[sp])
		}
	}
	if n, err := countIntents(snap, s.From, s.To); err != nil || n != s.Intents {
		r.t.Errorf("seed %d: partition %d has %d intents and counts %d, %v", seed, r.ID(), n, s.Intents, err)
	}
}

// Two halves answer as the one would have: the same operations on a partition that is split in the middle of them, and on one that is
// not, end alike.
func TestSplitChangesNoAnswer(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 61))
		whole, left := newReplica(t, op.Position{}, op.Position{}), newReplica(t, op.Position{}, op.Position{})
		l := &load{r: rnd, now: func() op.Timestamp { return whole.now }}
		where := l.border()
		var right *replica
		for i := range 80 {
			o := l.any()
			if o.Kind() == op.KindSafePoint {
				continue // it would be for both
			}
			if i == 40 {
				left.split(2, where)
				right = left.child(2)
			}
			to := left
			if right != nil {
				s, q := left.State(), right.State()
				switch {
				case ownsAll(&q, o):
					to = right
				case !ownsAll(&s, o):
					continue // it is about both
				}
				to.now = max(to.now, left.now, right.now)
			}
			whole.now = max(whole.now, to.now)
			to.now = whole.now
			got, want := to.one(o), whole.one(o)
			if a, b := op.AppendResult(nil, &got), op.AppendResult(nil, &want); !bytes.Equal(a, b) {
				t.Fatalf("seed %d, %d: %#v: %+v in a half, %+v in the whole", seed, i, o, got, want)
			}
		}
	}
}

// A split that does not fit what the partition is at that place of the log is nothing.
func TestSplitIsJudgedInTheLog(t *testing.T) {
	lo, hi := op.Position{Slot: 100}, op.Position{Slot: 200, Name: []byte("m")}
	r := newReplica(t, lo, hi)
	for what, o := range map[string]*op.Split{
		"at its beginning":   {Child: 2, At: lo, Epoch: 1},
		"at its end":         {Child: 2, At: hi, Epoch: 1},
		"before it":          {Child: 2, At: op.Position{Slot: 99, Name: []byte("x")}, Epoch: 1},
		"behind it":          {Child: 2, At: op.Position{Slot: 200, Name: []byte("n")}, Epoch: 1},
		"behind all slots":   {Child: 2, At: op.Position{Slot: op.Slots}, Epoch: 1},
		"of another epoch":   {Child: 2, At: op.Position{Slot: 150}, Epoch: 2},
		"with a meta child":  {Child: 0, At: op.Position{Slot: 150}, Epoch: 1},
		"of an earlier time": {Child: 2, At: op.Position{Slot: 150}, Epoch: 0},
	} {
		if res := r.one(o); res.Done || res.Status != op.OK || res.Rev != 1 {
			t.Errorf("%s: %+v", what, res)
		}
	}
	if s := r.State(); s.Epoch != 1 || s.Ranged != 0 || len(s.Children) != 0 {
		t.Errorf("%+v", s)
	}
	if res := r.one(&op.Fence{Epoch: 1}); !res.Done || res.Rev != 2 {
		t.Errorf("%+v", res)
	}
	if res := r.one(&op.Split{Child: 2, At: op.Position{Slot: 150}, Epoch: 1}); res.Done {
		t.Error("a split that was fenced off happened")
	}
	if res := r.split(2, op.Position{Slot: 150}); !res.Done {
		t.Errorf("%+v", res)
	}
	if res := r.one(&op.Recount{Epoch: 2, Live: make([]int64, spaces)}); res.Done {
		t.Error("what was counted before the split was taken")
	}
}

// What follows in the log of the parent for a name that went to the child changes nothing, in the same entry too, nor does what names
// on both sides are about.
func TestNamesThatWentAreMoved(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(set("a", "1"))
	first, second := "a", "b"
	if Compare(at(first), at(second)) > 0 {
		first, second = second, first
	}
	e := r.entry(Unit{&op.Split{Child: 2, At: at(second), Epoch: 1}}, Unit{set(second, "x")}, Unit{set(first, "y")},
		Unit{&op.Multi{Ops: []op.Op{set(first, "z"), set(second, "z")}}})
	e.Member = true
	res, err := r.Apply([]LogEntry{e})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, res[0], op.OK, op.Moved, op.OK, op.Moved)
	if res := r.read(get(second)); res.Status != op.Moved {
		t.Errorf("%+v", res)
	}
	if res := r.child(2).one(set(second, "w")); res.Status != op.OK {
		t.Errorf("%+v", res)
	}
	if c := r.State().Children; len(c) != 1 || c[0].ID != 2 || Compare(c[0].From, at(second)) != 0 || c[0].Epoch != 2 {
		t.Errorf("%+v", c)
	}
}

// What is stored about a split is there after a restart, and the names of positions are their own.
func TestSplitSurvivesARestart(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(&op.SafePoint{At: 900})
	r.split(7, at("hello"), Member{"n1", true}, Member{"n2", false})
	want := r.State()
	r.restart()
	if got := r.State(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v became %+v", want, got)
	}
	snap := r.store.Snapshot()
	defer snap.Close()
	birth, found, err := LoadBirth(snap, 7)
	if err != nil || !found || birth.Parent != 1 || fmt.Sprint(birth.Members) != "[{n1 true} {n2 false}]" {
		t.Errorf("%+v, %v, %v", birth, found, err)
	}
	if c := r.child(7); c.Safe() != 900 {
		t.Errorf("the safe point is %d", c.Safe())
	}
}

// A node that is no member of the group at the split, as when it reads an old log, is to have no replica of the child: what it has of
// it is to be cleared, and nobody else may have it before.
func TestChildOfAStranger(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	var told []uint32
	r.ObserveRange(func(born []uint32) { told = append(told, born...) })
	r.one(set("hello", "x"))
	e := r.entry(Unit{&op.Split{Child: 2, At: at("hello"), Epoch: 1}})
	if _, err := r.Apply([]LogEntry{e}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(r.store, 2); err == nil || fmt.Sprint(told) != "[2]" {
		t.Errorf("it has a replica of the child, %v", told)
	}
	if err := Create(r.store, 3, at("hello"), op.Position{}); !errors.Is(err, ErrClaimed) {
		t.Errorf("%v", err)
	}
	if err := Clear(r.store, 2); err != nil {
		t.Fatal(err)
	}
	if err := Create(r.store, 2, at("hello"), op.Position{}); err != nil {
		t.Error(err)
	}
}

// Two replicas in a store never claim the same name.
func TestClaims(t *testing.T) {
	r := newReplica(t, op.Position{Slot: 10}, op.Position{Slot: 20})
	for want, spans := range map[error][][2]op.Position{
		ErrClaimed: {{{}, {}}, {{Slot: 15}, {Slot: 16}}, {{Slot: 19, Name: []byte("z")}, {}}, {{}, {Slot: 10, Name: []byte("a")}}},
		nil:        {{{}, {Slot: 10}}, {{Slot: 20}, {}}},
	} {
		for i, s := range spans {
			if err := Create(r.store, uint32(50+i), s[0], s[1]); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%v: %v, want %v", s, err, want)
			}
		}
	}
	if err := CreateEmpty(r.store, 9, op.Position{Slot: 12}, op.Position{Slot: 13}); !errors.Is(err, ErrClaimed) {
		t.Errorf("%v", err)
	}
}

// An empty replica owns nothing before it was filled.
func TestEmptyReplicaOwnsNothing(t *testing.T) {
	from := newReplica(t, op.Position{}, op.Position{})
	from.one(set("a", "1"))
	var stream bytes.Buffer
	if _, err := from.Snapshot(&stream); err != nil {
		t.Fatal(err)
	}
	to := newReplicaOf(t, 9, op.Position{Slot: 1}, op.Position{Slot: 2})
	if err := CreateEmpty(to.store, 1, op.Position{Slot: 2}, op.Position{}); err != nil {
		t.Fatal(err)
	}
	to.open(1)
	if res := to.read(&op.Count{Space: op.SpaceKey, From: op.Position{Slot: 2}}); res.Status != op.Moved {
		t.Errorf("%+v", res)
	}
	if lo, hi, err := Span(bytes.NewReader(stream.Bytes())); err != nil || !IsEnd(lo) || !IsEnd(hi) {
		t.Errorf("%v to %v, %v", lo, hi, err)
	}
	if by, err := Claimed(to.store, 1, op.Position{}, op.Position{}); err != nil || by != 9 {
		t.Errorf("claimed by %d, %v", by, err)
	}
	if err := to.Restore(bytes.NewReader(stream.Bytes())); err != nil {
		t.Fatal(err)
	}
	if s := to.State(); s.Empty || !s.Owns([]byte("a")) {
		t.Errorf("%+v", s)
	}
}

// Records of the first format are of partitions whose ranges never changed.
func TestOldRecord(t *testing.T) {
	s := State{Index: 5, Term: 2, Epoch: 1, From: op.Position{Slot: 3}, To: op.Position{Slot: 9, Name: []byte("x")}, Last: 77, Intents: 1, Safe: 40}
	old := s.encode()
	old = append([]byte{1}, old[1:len(old)-3]...)
	got, err := decodeState(old)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeState(append([]byte{3}, old[1:]...)); err == nil {
		t.Error("a record of a newer format was read")
	}
}

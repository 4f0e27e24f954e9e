package fsm

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

// replica is a machine with its store and the log it is given.
type replica struct {
	*Machine
	t     testing.TB
	store *storage.Store
	dir   string
	index uint64
	now   op.Timestamp
}

const testTerm = 3

// newReplica makes partition 1, which owns from..to.
func newReplica(t testing.TB, from, to op.Position) *replica { return newReplicaOf(t, 1, from, to) }

func newReplicaOf(t testing.TB, id uint32, from, to op.Position) *replica {
	t.Helper()
	r := &replica{t: t, dir: t.TempDir(), now: 1000}
	r.store = storetest.Open(t, r.dir)
	if err := Create(r.store, id, from, to); err != nil {
		t.Fatal(err)
	}
	r.open(id)
	return r
}

func (r *replica) open(id uint32) {
	r.t.Helper()
	var err error
	if r.Machine, err = Open(r.store, id); err != nil {
		r.t.Fatal(err)
	}
}

// restart closes the store and opens everything anew.
func (r *replica) restart() {
	r.t.Helper()
	id := r.ID()
	r.store = storetest.Reopen(r.t, r.store, r.dir)
	r.open(id)
}

// entry makes the next entry of the log of some units.
func (r *replica) entry(units ...Unit) LogEntry {
	e := Entry{Term: testTerm, First: r.now + 1, Units: units}
	for _, u := range units {
		for _, o := range u {
			r.now += op.Timestamp(op.Timestamps(o))
		}
	}
	r.index++
	return LogEntry{Index: r.index, Term: testTerm, Data: AppendEntry(nil, &e)}
}

// do applies an entry of some units and returns its results.
func (r *replica) do(units ...Unit) []op.Result {
	r.t.Helper()
	res, err := r.Apply([]LogEntry{r.entry(units...)})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.Applied() != r.index {
		r.t.Fatalf("applied %d, want %d", r.Applied(), r.index)
	}
	return res[0]
}

func (r *replica) one(o op.Op) op.Result {
	r.t.Helper()
	return r.do(Unit{o})[0]
}

// read runs a read on what is current at now.
func (r *replica) read(o op.Op) op.Result {
	r.t.Helper()
	snap := r.store.Snapshot()
	defer snap.Close()
	res, err := r.Read(snap, r.now, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func set(key, value string) *op.Set { return &op.Set{Key: []byte(key), Value: []byte(value)} }
func get(key string) *op.Get        { return &op.Get{Key: []byte(key)} }

func statuses(results []op.Result) (all []op.Status) {
	for _, r := range results {
		all = append(all, r.Status)
	}
	return all
}

func expect(t testing.TB, results []op.Result, want ...op.Status) {
	t.Helper()
	if got := statuses(results); string(bytesOf(got)) != string(bytesOf(want)) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

func bytesOf(all []op.Status) (b []byte) {
	for _, s := range all {
		b = append(b, byte(s))
	}
	return b
}

func encoded(results []op.Result) (b []byte) {
	for i := range results {
		b = op.AppendResult(b, &results[i])
	}
	return b
}

// An entry that can't be read stops the group: nothing of the batch it is in gets into the store.
func TestUnreadableEntry(t *testing.T) {
	good := func(r *replica) LogEntry { return r.entry(Unit{set("a", "1")}) }
	for name, spoil := range map[string]func(b []byte) []byte{
		"empty":    func([]byte) []byte { return nil },
		"format":   func(b []byte) []byte { return append([]byte{9}, b[1:]...) },
		"cut":      func(b []byte) []byte { return b[:len(b)-1] },
		"too long": func(b []byte) []byte { return append(bytes.Clone(b), 0) },
		"kind": func(b []byte) []byte {
			return bytes.Replace(b, []byte{byte(op.KindSet), 1, 'a'}, []byte{250, 1, 'a'}, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, op.Position{}, op.Position{})
			r.one(set("a", "0"))
			before := storetest.Pairs(t, r.store)
			first, bad := good(r), good(r)
			bad.Data = spoil(bad.Data)
			if _, err := r.Apply([]LogEntry{first, bad}); !errors.Is(err, ErrEntry) {
				t.Errorf("the error is %v", err)
			}
			if d := storetest.Difference(before, storetest.Pairs(t, r.store)); d != "" {
				t.Errorf("the store has changed: %s", d)
			}
		})
	}
}

func TestEntriesBelowAppliedAreSkipped(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	first := r.entry(Unit{set("a", "1")})
	second := r.entry(Unit{&op.Incr{Key: []byte("a"), Delta: 1}})
	if _, err := r.Apply([]LogEntry{first, second}); err != nil {
		t.Fatal(err)
	}
	before := storetest.Pairs(t, r.store)
	third := r.entry(Unit{&op.Incr{Key: []byte("a"), Delta: 1}})
	for _, entries := range [][]LogEntry{{first}, {first, second}, {second, third}, {first, second, third}} {
		res, err := r.Apply(entries)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if skipped := e.Index <= 2 || before == nil; skipped != (res[i] == nil) {
				t.Errorf("entry %d of %d: results %v", e.Index, len(entries), res[i])
			}
		}
		if r.Applied() == 3 {
			before = nil
		} else if d := storetest.Difference(before, storetest.Pairs(t, r.store)); d != "" {
			t.Errorf("the store has changed: %s", d)
		}
	}
	if got := r.read(get("a")); string(got.Value) != "3" {
		t.Errorf("a is %s", got.Value)
	}
}

// A leader that was deposed and elected again must not append what it checked before.
func TestEntryOfAnotherTerm(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	e := r.entry(Unit{set("a", "1"), get("a")}, Unit{&op.ClockBound{}}, Unit{set("b", "1")})
	e.Term++
	res, err := r.Apply([]LogEntry{e})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, res[0], op.Again, op.Again, op.Again, op.Again)
	if n := len(storetest.Pairs(t, r.store, storage.KindCurrent)); n > 0 || r.State().Last != 0 || r.Applied() != 1 {
		t.Errorf("%d keys, last timestamp %d, applied %d", n, r.State().Last, r.Applied())
	}
}

// What bounces takes the rest of its own unit with it, and no other; the timestamps are used up all the same.
func TestBouncesWithinUnits(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{Slot: 8000})
	const foreign = "foo" // slot 12182
	res := r.do(
		Unit{set("bar", "1"), set(foreign, "1"), set("bar", "2"), get("bar")},
		Unit{set("hello", "1")},
		Unit{set(foreign, "1")},
		Unit{get("bar"), &op.Incr{Key: []byte("hello")}},
	)
	expect(t, res, op.OK, op.Moved, op.Again, op.Again, op.OK, op.Moved, op.OK, op.OK)
	if string(res[6].Value) != "1" || res[6].TS != 1001 || r.State().Last != 1008 {
		t.Errorf("bar is %q at %d, the last timestamp %d", res[6].Value, res[6].TS, r.State().Last)
	}
	// An outcome that is not OK is no bounce.
	expect(t, r.do(Unit{set("bar", "x"), &op.Incr{Key: []byte("bar"), Delta: 1}, get("bar")}), op.OK, op.NotInteger, op.OK)
	// An intent blocks, an old timestamp bounces.
	expect(t, []op.Result{r.one(&op.Prewrite{Txn: r.now, Home: op.Key([]byte("bar")), Writes: []op.Write{{Name: op.Key([]byte("bar"))}}})}, op.OK)
	res = r.do(Unit{get("hello"), get("bar"), get("hello")}, Unit{set("hello", "2")})
	expect(t, res, op.OK, op.Blocked, op.Again, op.OK)
	if res[1].Intent == nil || string(res[1].Intent.Name.Key) != "bar" {
		t.Errorf("the intent is %+v", res[1].Intent)
	}
	r.now -= 2
	expect(t, r.do(Unit{set("hello", "3"), get("none")}), op.Again, op.Again)
}

// everyOp gives one operation of each kind about a name.
func everyOp(name string) []op.Op {
	n, p := op.Key([]byte(name)), op.Position{Slot: op.Slot([]byte(name)), Name: []byte(name)}
	end := op.Position{Slot: p.Slot, Name: []byte(name + "x")}
	b := []byte(name)
	return []op.Op{
		&op.Set{Key: b}, &op.Delete{Key: b}, &op.Expire{Key: b}, &op.Incr{Key: b}, &op.IncrFloat{Key: b}, &op.AppendTo{Key: b},
		&op.SetRange{Key: b}, &op.Get{Key: b}, &op.Get{Key: b, AtRev: 1}, &op.History{Key: b, Limit: 9},
		&op.LockAcquire{Name: b, Owner: b, TTLMilli: 1}, &op.LockRenew{Name: b, Owner: b, TTLMilli: 1}, &op.LockRelease{Name: b}, &op.LockExtend{Name: b}, &op.LockBreak{Name: b},
		&op.LockExpire{Name: b}, &op.LockInfo{Name: b},
		&op.SeqCreate{Name: b}, &op.SeqNext{Name: b, Count: 1}, &op.SeqSet{Name: b}, &op.SeqDelete{Name: b}, &op.SeqGet{Name: b},
		&op.Sweep{Name: n}, &op.Version{Name: n}, &op.TxnRead{Home: n}, &op.Decide{Home: n}, &op.Settle{Home: n}, &op.Forget{Home: n},
		&op.DeleteRange{Space: op.SpaceKey, From: p, To: end}, &op.Scan{Space: op.SpaceKey, From: p, To: end},
		&op.Scan{Space: op.SpaceKey, From: p, To: end, ByName: true}, &op.Count{Space: op.SpaceKey, From: p, To: end},
		&op.Multi{Ops: []op.Op{&op.Get{Key: b}}}, &op.Multi{Watches: []op.Seen{{Name: n}}},
		&op.Prewrite{Home: n, AtHome: true}, &op.Prewrite{Writes: []op.Write{{Name: n}}},
		&op.Check{Reads: []op.Seen{{Name: n}}}, &op.Check{Scans: []op.ScanSeen{{Space: op.SpaceKey, From: p, To: end}}},
		&op.Resolve{Names: []op.Name{n}}, &op.Collect{Space: op.SpaceKey, From: p, To: end},
	}
}

// Whether a partition owns what an operation is about is judged where it runs, for each kind, in the log and for reads.
func TestMoved(t *testing.T) {
	r := newReplica(t, op.Position{Slot: 100, Name: []byte("m")}, op.Position{Slot: 8000})
	meta := newReplicaOf(t, Meta, op.Position{}, op.Position{})
	kinds := map[op.Kind]bool{}
	for _, o := range everyOp("foo") { // slot 12182
		kinds[o.Kind()] = true
		before := storetest.Pairs(t, r.store, storage.KindCurrent, storage.KindIntent, storage.KindRecord)
		if got := r.one(o).Status; got != op.Moved {
			t.Errorf("%T in the log: %d", o, got)
		}
		if d := storetest.Difference(before, storetest.Pairs(t, r.store, storage.KindCurrent, storage.KindIntent, storage.KindRecord)); d != "" {
			t.Errorf("%T has changed %s", o, d)
		}
		if o.ReadOnly() && r.read(o).Status != op.Moved {
			t.Errorf("%T as a read was not refused", o)
		}
		if got := meta.one(o).Status; got != op.Moved {
			t.Errorf("%T in the meta group: %d", o, got)
		}
	}
	for _, o := range []op.Op{&op.ClockBound{}, &op.MetaPut{}, &op.MetaGet{}, &op.MetaList{}} {
		kinds[o.Kind()] = true
		if got := r.one(o).Status; got != op.Moved {
			t.Errorf("%T outside of the meta group: %d", o, got)
		}
	}
	if got := meta.one(&op.SafePoint{At: 1}).Status; got != op.Moved {
		t.Errorf("a safe point in the meta group: %d", got)
	}
	for k := op.Kind(1); k <= op.KindMetaList; k++ {
		if !kinds[k] && k != 34 && k != 35 { // which are not used any more
			t.Errorf("kind %d was not tried", k)
		}
	}
	for _, o := range everyOp("bar") { // slot 5061
		if got := r.one(o).Status; got == op.Moved || got == op.Blocked && o.Kind() == op.KindSet {
			t.Errorf("%T of an own name: %d", o, got)
		}
	}
}

func TestOwnsAtTheBorders(t *testing.T) {
	slot := op.Slot([]byte("{x}"))
	at := func(name string) op.Position { return op.Position{Slot: slot, Name: []byte(name)} }
	s := State{From: at("{x}b"), To: at("{x}d")}
	for name, want := range map[string]bool{"{x}a": false, "{x}b": true, "{x}c": true, "{x}czz": true, "{x}d": false, "foo": false} {
		if s.Owns([]byte(name)) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	whole := State{}
	if !whole.Owns(nil) || !whole.covers(op.Position{}, op.Position{}) || s.covers(op.Position{}, at("{x}c")) ||
		s.covers(at("{x}b"), op.Position{}) || !s.covers(at("{x}b"), at("{x}d")) || s.covers(at("{x}b"), at("{x}e")) {
		t.Error("ranges at the borders")
	}
}

func TestMeta(t *testing.T) {
	r := newReplicaOf(t, Meta, op.Position{}, op.Position{})
	for _, v := range []struct{ until, want op.Timestamp }{{5, 5}, {9, 9}, {7, 9}, {9, 9}, {op.MaxTimestamp, op.MaxTimestamp}} {
		if got := r.one(&op.ClockBound{Until: v.until}); !got.Done || got.TS != v.want {
			t.Errorf("the bound after %d is %d, want %d", v.until, got.TS, v.want)
		}
	}
}

func TestCreateAndList(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{Slot: 5})
	if err := Create(r.store, 1, op.Position{}, op.Position{}); err == nil {
		t.Error("created twice")
	}
	if _, err := Open(r.store, 2); err == nil {
		t.Error("opened what is not there")
	}
	if err := Create(r.store, 7, op.Position{Slot: 5}, op.Position{}); err != nil {
		t.Fatal(err)
	}
	if ids, err := List(r.store); err != nil || len(ids) != 2 || ids[0] != 1 || ids[1] != 7 {
		t.Errorf("%v, %v", ids, err)
	}
}

// The observer is told of what is in the store by then, once.
func TestObserver(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	var told []string
	r.Observe(func(changes []mvcc.Change) {
		for _, c := range changes {
			snap := r.store.Snapshot()
			ts, err := mvcc.CurrentTimestamp(snap, c.Name)
			snap.Close()
			if err != nil || ts < c.Record.TS {
				t.Errorf("told of %s at %d, stored is %d, %v", c.Name.Key, c.Record.TS, ts, err)
			}
			told = append(told, string(c.Name.Key))
		}
	})
	r.do(Unit{set("a", "1"), set("b", "1"), get("a"), &op.Delete{Key: []byte("none")}})
	r.one(get("a"))
	r.one(&op.Delete{Key: []byte("b")})
	if len(told) != 3 || told[0] != "a" || told[1] != "b" || told[2] != "b" {
		t.Errorf("told of %q", told)
	}
}

func TestStateRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		s := State{Index: r.Uint64() >> r.IntN(64), Term: r.Uint64() >> r.IntN(64), Epoch: r.Uint64N(9), Last: op.Timestamp(r.Uint64N(1 << 53))}
		for i := range s.Live {
			s.Live[i] = r.Int64N(1000)
		}
		s.From.Slot, s.To.Slot = uint16(r.IntN(op.Slots)), uint16(r.IntN(op.Slots))
		if r.IntN(2) == 0 {
			s.From.Name, s.To.Name = []byte("from\x00"), []byte{0xFF}
		}
		b := s.encode()
		got, err := decodeState(b)
		if err != nil || !bytes.Equal(got.encode(), b) || Compare(got.From, s.From) != 0 || Compare(got.To, s.To) != 0 || got.Live != s.Live ||
			got.Index != s.Index || got.Term != s.Term || got.Epoch != s.Epoch || got.Last != s.Last {
			t.Fatalf("%+v became %+v, %v", s, got, err)
		}
		for n := range b {
			if _, err := decodeState(b[:n]); err == nil {
				t.Fatalf("%d bytes of %d were taken", n, len(b))
			}
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(AppendEntry(nil, &Entry{Term: 1, First: 2, Units: []Unit{{set("a", "b"), get("c")}, nil, {&op.ClockBound{}}}}))
	f.Add(AppendEntry(nil, &Entry{Term: 1, First: 2, Units: []Unit{{set("a", "b")}, {get("c")}}, Numbers: []Number{{0, 2, 7, 1, 1}}}))
	f.Add([]byte{entryFormat, 1, 1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		once := AppendEntry(nil, &e)
		again, err := DecodeEntry(once)
		if err != nil || !bytes.Equal(AppendEntry(nil, &again), once) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}

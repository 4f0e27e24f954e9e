package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

func (r *replica) snapshot() []byte {
	r.t.Helper()
	var b bytes.Buffer
	index, err := r.Snapshot(&b)
	if err != nil || index != r.Applied() {
		r.t.Fatalf("index %d, %v", index, err)
	}
	return b.Bytes()
}

// full is a partition with something of everything in it: large values, intents with them, records, history, due times.
func full(t testing.TB, seed uint64) *replica {
	t.Helper()
	r := newReplica(t, op.Position{}, loadEnd)
	log := randomLog(seed, 40)
	r.play(log, func() int { return 10 })
	r.index, r.now = uint64(len(log)), 1<<30
	// Large enough for several batches of the restore.
	for i := range 3 {
		r.one(&op.Set{Key: fmt.Appendf(nil, "{b}big%d", i), Value: big[:700<<10], Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 50}})
	}
	n := op.Key([]byte("{b}intent"))
	r.one(&op.Prewrite{Txn: r.now, Home: n, AtHome: true, Deadline: op.MaxTimestamp, Writes: []op.Write{{Name: n, Type: 1, Value: big[:1<<20]}}})
	for _, k := range []storage.Kind{storage.KindCurrent, storage.KindHistory, storage.KindIntent, storage.KindChunk, storage.KindRecord, storage.KindDue} {
		if len(storetest.Pairs(t, r.store, k)) == 0 {
			t.Fatalf("nothing of kind %c", k)
		}
	}
	return r
}

// A snapshot gives another store the same bytes, whatever it had of that range before, and it goes on as the first one.
func TestSnapshotRestore(t *testing.T) {
	a := full(t, 21)
	stream := a.snapshot()
	if !bytes.Equal(stream, a.snapshot()) {
		t.Error("two snapshots of one state differ")
	}
	for name, b := range map[string]*replica{"empty": newReplica(t, op.Position{}, loadEnd), "other": old(t)} {
		if err := b.Restore(bytes.NewReader(stream)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compareStores(t, name, b, a)
		b.restart()
		if b.Applied() != a.Applied() || !bytes.Equal(b.snapshot(), stream) {
			t.Errorf("%s: %d applied", name, b.Applied())
		}
		b.index, b.now = a.index, a.now
		e := b.entry(Unit{&op.Incr{Key: []byte("c"), Delta: 1}, get("a")}, Unit{&op.Sweep{Name: op.Key([]byte("a"))}})
		res, err := b.Apply([]LogEntry{e})
		if err != nil || len(res[0]) != 3 {
			t.Errorf("%s goes on: %v, %v", name, res, err)
		}
	}
}

// old is a replica of the same partition with another past.
func old(t testing.TB) *replica {
	r := newReplica(t, op.Position{}, loadEnd)
	r.play(randomLog(22, 30), func() int { return 10 })
	return r
}

// A neighbour in the same store is left alone.
func TestRestoreLeavesNeighboursAlone(t *testing.T) {
	a, b := full(t, 23), old(t)
	if err := Create(b.store, 2, loadEnd, op.Position{}); err != nil {
		t.Fatal(err)
	}
	neighbour := &replica{t: t, store: b.store, dir: b.dir, now: 1000}
	neighbour.open(2)
	neighbour.one(&op.Set{Key: []byte("a"), Value: big[:2000], Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 9}}) // slot 15495
	before := neighbour.snapshot()
	due := len(storetest.Pairs(t, b.store, storage.KindDue)) - len(storetest.Pairs(t, old(t).store, storage.KindDue))
	if got := neighbour.State().Live[op.SpaceKey]; got != 1 || due != 1 {
		t.Fatalf("%d live, %d due", got, due)
	}
	if err := b.Restore(bytes.NewReader(a.snapshot())); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(neighbour.snapshot(), before) {
		t.Error("the neighbour has changed")
	}
	if got, want := len(storetest.Pairs(t, b.store, storage.KindDue)), len(storetest.Pairs(t, a.store, storage.KindDue))+1; got != want {
		t.Errorf("%d due times, want %d", got, want)
	}
}

// A partition whose range has become smaller, or larger, than the replica's takes the snapshot's range.
func TestRestoreOfAnotherRange(t *testing.T) {
	a := newReplica(t, op.Position{}, op.Position{Slot: 6000})
	a.one(set("bar", "1"))
	b := newReplica(t, op.Position{}, op.Position{})
	for range 3 {
		b.do(Unit{set("foo", "1"), set("bar", "2"), set("hello", "3")})
	}
	stream := a.snapshot()
	if err := b.Restore(bytes.NewReader(stream)); err == nil {
		t.Error("a snapshot of the past was taken")
	}
	for range 5 {
		a.one(set("bar", "1"))
	}
	if err := b.Restore(bytes.NewReader(a.snapshot())); err != nil {
		t.Fatal(err)
	}
	compareStores(t, "smaller", b, a)
}

func TestRestoreMeta(t *testing.T) {
	a, b := newReplicaOf(t, Meta, op.Position{}, op.Position{}), newReplicaOf(t, Meta, op.Position{}, op.Position{})
	a.do(Unit{&op.ClockBound{Until: 9}, &op.MetaPut{Key: []byte("id"), Value: []byte("map")}})
	if err := b.Restore(bytes.NewReader(a.snapshot())); err != nil {
		t.Fatal(err)
	}
	compareStores(t, "meta", b, a)
}

// The past is refused, before anything is changed.
func TestRestoreOfThePast(t *testing.T) {
	a, b := newReplica(t, op.Position{}, loadEnd), newReplica(t, op.Position{}, loadEnd)
	a.one(set("a", "1"))
	stream := a.snapshot()
	b.one(set("a", "1"))
	b.one(set("a", "2"))
	before := storetest.Pairs(t, b.store)
	if err := b.Restore(bytes.NewReader(stream)); err == nil || errors.Is(err, ErrSnapshot) {
		t.Errorf("a snapshot of the past: %v", err)
	}
	if d := storetest.Difference(before, storetest.Pairs(t, b.store)); d != "" {
		t.Errorf("changed: %s", d)
	}
	// The same index again is no step back.
	if err := a.Restore(bytes.NewReader(stream)); err != nil {
		t.Error(err)
	}
}

// small is a snapshot of a few hundred bytes.
func small(t testing.TB) (stream []byte, index uint64) {
	r := newReplica(t, op.Position{}, loadEnd)
	r.do(Unit{set("a", "1"), &op.Set{Key: []byte("b"), Value: big[:1100], Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 5}}, set("a", "2")})
	n := op.Key([]byte("bar"))
	r.one(&op.Prewrite{Txn: r.now, Home: n, AtHome: true, Deadline: op.MaxTimestamp, Writes: []op.Write{{Name: n}}})
	return r.snapshot(), r.Applied()
}

// A stream that is cut or changed anywhere is refused, nothing outside of the partition's range is touched, and the whole stream
// can be restored after it.
func TestDamagedSnapshot(t *testing.T) {
	stream, _ := small(t)
	r := newReplica(t, op.Position{}, loadEnd)
	foreign := guard(t, r.store)
	for n := 0; n < len(stream); n += 1 + n/200 {
		if err := r.Restore(bytes.NewReader(stream[:n])); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("%d bytes of %d: %v", n, len(stream), err)
		}
	}
	for n := 0; n < len(stream); n += 1 + n/300 {
		for _, bit := range []byte{1, 0x80, 0x10} {
			b := bytes.Clone(stream)
			b[n] ^= bit
			if err := r.Restore(bytes.NewReader(b)); !errors.Is(err, ErrSnapshot) {
				t.Fatalf("bit %#x of byte %d: %v", bit, n, err)
			}
		}
		foreign(t, n)
	}
	if r.Applied() != 0 {
		t.Fatalf("applied %d", r.Applied())
	}
	if err := r.Restore(bytes.NewReader(stream)); err != nil || !bytes.Equal(r.snapshot(), stream) {
		t.Errorf("the whole stream after that: %v", err)
	}
}

// guard puts keys into a store that are not the partition's, and returns a check that they and no others are there.
func guard(t testing.TB, s *storage.Store) func(t testing.TB, n int) {
	b := s.NewBatch()
	for i := 14000; i < op.Slots; i += 100 {
		for _, k := range []storage.Kind{storage.KindCurrent, storage.KindHistory, storage.KindIntent, storage.KindChunk, storage.KindRecord} {
			lo, _ := storage.Bounds(k, op.SpaceKey, op.Position{Slot: uint16(i)}, op.Position{})
			b.Set(append(lo, 'k', 0, 1), []byte("foreign"))
		}
	}
	b.Set(storage.AppendMeta(nil, 9), []byte("foreign"))
	b.Set(storage.AppendPartition(nil, 77, 1), []byte("foreign"))
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	outside := func(t testing.TB) (all []storetest.Pair) {
		state := State{To: loadEnd}
		own := append(ranges(1, &state), keyRange{storage.AppendPartition(nil, 1, 0), storage.AppendPartition(nil, 2, 0)})
		for _, p := range storetest.Pairs(t, s) {
			if !holds(own, p.Key) && p.Key[0] != byte(storage.KindDue) {
				all = append(all, p)
			}
		}
		return all
	}
	want := outside(t)
	if len(want) < 100 {
		t.Fatalf("%d keys to guard", len(want))
	}
	return func(t testing.TB, n int) {
		if d := storetest.Difference(want, outside(t)); d != "" {
			t.Fatalf("a flip at byte %d changed what is not the partition's: %s", n, d)
		}
	}
}

// streamOf is a stream with the partition's state and right checksums around a body.
func (r *replica) streamOf(body []byte) []byte {
	state := r.State()
	b := state.encode()
	b = append(binary.AppendUvarint([]byte(snapshotMagic), uint64(len(b))), b...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// What a partition may not have in its snapshot is refused though the checksums are right, and does not get into the store.
func TestRestoreOfForeignKeys(t *testing.T) {
	r := newReplica(t, op.Position{Slot: 100}, loadEnd)
	foreign := guard(t, r.store)
	field := func(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }
	body := func(key []byte, size int) []byte { return append(append(field(key), field(big[:size])...), 0) }
	below := op.Position{Slot: 99, Name: []byte("k")}
	lo, _ := storage.Bounds(storage.KindHistory, op.SpaceLock, below, op.Position{})
	own, _ := storage.Bounds(storage.KindHistory, op.SpaceKey, op.Position{Slot: 100, Name: []byte("k")}, op.Position{})
	for name, b := range map[string][]byte{
		"partition": body(storage.AppendPartition(nil, 1, whatState), 1), "meta": body(storage.AppendMeta(nil, 1), 1),
		"format": body([]byte{byte(storage.KindFormat)}, 1), "below": body(lo, 1), "due": body(storage.AppendDue(nil, 1, op.Key(nil)), 1),
		"beyond": body(storage.AppendHistory(nil, op.Key([]byte("a")), 1), 1), "long key": body(append(own, big[:66000]...), 1),
		"long value": body(own, 2<<20), "no value": field(own), "nothing": nil, "record": body(storage.AppendCurrent(nil, op.Key([]byte("b"))), 3),
		"space": body([]byte{byte(storage.KindHistory), 99, 0, 200, 'k'}, 1),
	} {
		if err := r.Restore(bytes.NewReader(r.streamOf(b))); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
		foreign(t, 0)
	}
	if err := r.Restore(bytes.NewReader(r.streamOf(body(own, 1)))); err != nil {
		t.Errorf("an own key: %v", err)
	}
}

// FuzzRestore gives a machine streams whose checksums are right and whose contents are not: nobody is to write outside of the
// range, and nothing may panic.
func FuzzRestore(f *testing.F) {
	stream, _ := small(f)
	state, n := binary.Uvarint(stream[len(snapshotMagic):])
	f.Add(stream[len(snapshotMagic)+n+int(state)+4 : len(stream)-4])
	f.Add([]byte{})
	r := newReplica(f, op.Position{}, loadEnd)
	foreign := guard(f, r.store)
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := r.Restore(bytes.NewReader(r.streamOf(body))); err != nil && !errors.Is(err, ErrSnapshot) {
			t.Fatal(err)
		}
		foreign(t, len(body))
	})
}

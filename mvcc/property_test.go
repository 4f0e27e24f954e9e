package mvcc_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

var testNames = []op.Name{
	op.Key([]byte("a")), op.Key([]byte("b")), op.Key([]byte("a\x00")), op.Key([]byte("{a}c")), op.Key(nil),
	{Space: op.SpaceIdem, Key: []byte("s"), Sub: []byte("1")}, {Space: op.SpaceIdem, Key: []byte("s"), Sub: []byte("2")},
}

// TestReadsAgainstModel runs random writes, intents and their ends on a store and on the model. Reads as of every timestamp
// have to agree, whenever they are made and after the store was opened anew, and an answer that was given once may never
// change, but to "collected".
func TestReadsAgainstModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := newRun(t, seed)
			for step := range 120 {
				r.step()
				if step%12 == 11 {
					r.compare()
				}
				if step%60 == 59 {
					r.store = storetest.Reopen(t, r.store, r.dir)
					r.compare()
				}
			}
			if r.reads == 0 || r.intents == 0 || r.commits == 0 {
				t.Errorf("%d remembered reads, %d intents, %d of them committed", r.reads, r.intents, r.commits)
			}
			r.noChunkIsLeft()
		})
	}
}

// run is one random run.
type run struct {
	t     *testing.T
	r     *rand.Rand
	dir   string
	store *storage.Store
	model *model
	now   op.Timestamp
	safe  op.Timestamp // collected below it
	seen  map[seenAt]string

	reads, intents, commits int
}

type seenAt struct {
	name int
	at   op.Timestamp
}

func newRun(t *testing.T, seed uint64) *run {
	dir := t.TempDir()
	return &run{t: t, r: rand.New(rand.NewPCG(seed, 9)), dir: dir, store: storetest.Open(t, dir), model: newModel(testNames), now: 10,
		seen: map[seenAt]string{}}
}

func (r *run) value() []byte {
	n := r.r.IntN(6)
	switch r.r.IntN(24) {
	case 0:
		n = 1020 + r.r.IntN(10)
	case 1:
		n = 512<<10 - 2 + r.r.IntN(4)
	}
	return []byte(strings.Repeat(string(rune('a'+r.r.IntN(26))), n))
}

// expiry is near, so that expiries fall between the operations.
func (r *run) expiry() op.Timestamp {
	if r.r.IntN(2) == 0 {
		return 0
	}
	return r.now + op.Timestamp(1+r.r.IntN(40))
}

func (r *run) step() {
	r.now += op.Timestamp(1 + r.r.IntN(4))
	x := r.model.names[r.r.IntN(len(testNames))]
	switch {
	case x.intent != nil && r.r.IntN(2) == 0:
		r.resolve(x)
	case r.r.IntN(4) == 0:
		r.lay(x)
	default:
		r.write()
	}
}

func (r *run) batch(f func(w mvcc.Writer) error) error {
	b := r.store.NewBatch()
	defer b.Discard()
	if err := f(mvcc.Writer{Batch: b}); err != nil {
		return err
	}
	if err := b.Commit(); err != nil {
		r.t.Fatal(err)
	}
	return nil
}

// write changes some names as one operation. When one of them has an intent, nothing may come of it.
func (r *run) write() {
	var changes []func()
	blocked := false
	err := r.batch(func(w mvcc.Writer) error {
		var work mvcc.Working
		work.Reset(w.Batch, r.now)
		for range 1 + r.r.IntN(3) {
			x := r.model.names[r.r.IntN(len(testNames))]
			blocked = blocked || x.intent != nil
			change, err := r.change(&work, x)
			if err != nil {
				return err
			}
			changes = append(changes, change)
		}
		return work.Flush(w)
	})
	if (err != nil) != blocked {
		r.t.Fatalf("a write at %d: %v, blocked %v", r.now, err, blocked)
	}
	if err == nil {
		for _, c := range changes {
			c()
		}
	}
}

// change makes one change in the working set, and returns how to make it in the model.
func (r *run) change(work *mvcc.Working, x *modelName) (func(), error) {
	switch old := x.last(); {
	case r.r.IntN(5) == 0 && live(old, r.now):
		_, err := work.Delete(x.name)
		return func() { x.replace(mvcc.Record{TS: r.now, Rev: old.Rev + 1, Deleted: true}) }, err
	case r.r.IntN(4) == 0 && live(old, r.now):
		at := r.expiry()
		cur, found, err := work.Get(x.name)
		if err != nil || !found {
			return func() {}, err
		}
		cur.TS, cur.ExpireAt = r.now, at
		return func() { x.replace(cur) }, work.PutExpiry(x.name, at)
	}
	rec := mvcc.Record{Type: mvcc.TypeString, Value: r.value(), ExpireAt: r.expiry(), NoRev: r.r.IntN(4) == 0}
	got, err := work.Put(x.name, rec)
	return func() { x.replace(got) }, err
}

// replace adds a version, or takes the place of one that the same operation made before.
func (x *modelName) replace(r mvcc.Record) {
	if x.last().TS == r.TS {
		x.versions[len(x.versions)-1] = r
		if x.name.Space == op.SpaceIdem && r.Deleted {
			x.versions = nil
		}
		return
	}
	x.add(r)
}

func (r *run) lay(x *modelName) {
	start := r.now - op.Timestamp(r.r.IntN(12)) // it may have begun before the last write
	write := op.Write{Name: x.name, Type: byte(mvcc.TypeString), Deleted: r.r.IntN(4) == 0, NoRev: r.r.IntN(4) == 0}
	if !write.Deleted {
		write.Value, write.ExpireAt = r.value(), r.expiry()
	}
	err := r.batch(func(w mvcc.Writer) error {
		if _, err := mvcc.Admit(w.Batch, start, start, testNames[0], &write); err != nil {
			return err
		}
		return w.Lay(r.now, start, testNames[0], write)
	})
	refused := x.intent != nil && x.intent.Txn != start || x.intent == nil && x.last().TS > start
	if (err != nil) != refused {
		r.t.Fatalf("an intent of %d at %d: %v, refused %v", start, r.now, err, refused)
	}
	if err != nil {
		return
	}
	prewritten := r.now
	if x.intent != nil {
		prewritten = x.intent.Prewritten
	}
	x.intent = &op.Intent{Txn: start, Home: testNames[0], Name: x.name, Prewritten: prewritten}
	x.write = write
	r.intents++
}

func (r *run) resolve(x *modelName) {
	commit := r.r.IntN(2) == 0
	for i := range 2 { // doing it again is nothing
		err := r.batch(func(w mvcc.Writer) error {
			there, err := w.Resolve(x.name, x.intent.Txn, commit, r.now)
			if there != (i == 0) {
				r.t.Fatalf("an intent was there: %v", there)
			}
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	x.intent = nil
	if commit && !(x.write.Deleted && len(x.versions) == 0) {
		w := x.write
		x.add(mvcc.Record{TS: r.now, Rev: x.last().Rev + 1, Deleted: w.Deleted, NoRev: w.NoRev, ExpireAt: w.ExpireAt, Value: w.Value})
		r.commits++
	}
}

// compare looks at all times there were, and remembers some answers.
func (r *run) compare() {
	r.t.Helper()
	snap := r.store.Snapshot()
	defer snap.Close()
	for at := r.safe; at <= r.now; at += op.Timestamp(1 + r.r.IntN(8)) {
		if d := r.model.difference(snap, at); d != "" {
			r.t.Fatal(d)
		}
	}
	for key, was := range r.seen {
		if is := r.ask(snap, key); key.at >= r.safe && is != was && is != errorText(mvcc.ErrCollected) && !strings.HasPrefix(is, "absent") {
			r.t.Fatalf("%s at %d was %s and is %s", storetest.Name(testNames[key.name]), key.at, was, is)
		}
	}
	for range 10 {
		key := seenAt{r.r.IntN(len(testNames)), r.now - op.Timestamp(r.r.IntN(20))}
		text := r.ask(snap, key)
		if !strings.HasPrefix(text, "intent") && testNames[key.name].Space != op.SpaceIdem {
			r.seen[key] = text
			r.reads++
		}
	}
}

func (r *run) ask(snap mvcc.Reader, key seenAt) string {
	if key.at <= 0 || key.at > r.now {
		return errorText(mvcc.ErrCollected)
	}
	rec, found, err := mvcc.NewAt(snap, key.at).Get(testNames[key.name])
	return answer(recordText(rec, found), err)
}

// noChunkIsLeft sees that every chunk belongs to a version that is kept or to an intent, and every due time to a current version.
func (r *run) noChunkIsLeft() {
	for _, p := range storetest.Pairs(r.t, r.store, storage.KindChunk) {
		n, ts, _, err := storage.ParseChunk(p.Key)
		if err != nil {
			r.t.Fatal(err)
		}
		x := r.model.of(n)
		kept := x.intent != nil && x.intent.Prewritten == ts && len(x.write.Value) > 1024
		for _, v := range x.versions {
			kept = kept || v.TS == ts && !x.lost[ts] && len(v.Value) > 1024
		}
		if !kept {
			r.t.Errorf("a chunk of %s at %d belongs to nothing", storetest.Name(n), ts)
		}
	}
	due := 0
	for _, x := range r.model.names {
		if x.last().ExpireAt > 0 {
			due++
		}
	}
	if got := len(storetest.Pairs(r.t, r.store, storage.KindDue)); got != due {
		r.t.Errorf("%d due times, want %d", got, due)
	}
}

// The comparison has to find a version that is missing, one that is changed, and one too many.
func TestDifferenceIsFound(t *testing.T) {
	for name, spoil := range map[string]func(x *modelName){
		"missing": func(x *modelName) { x.versions = x.versions[:1] },
		"changed": func(x *modelName) { x.versions[1].Value = []byte("other") },
		"later":   func(x *modelName) { x.versions[1].TS++ },
		"intent":  func(x *modelName) { x.intent = &op.Intent{Prewritten: 1} },
		"lost":    func(x *modelName) { x.lost[x.versions[1].TS] = true },
		"expired": func(x *modelName) { x.versions[1].ExpireAt = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, 1)
			x := r.model.names[0]
			for range 2 {
				r.now++
				err := r.batch(func(w mvcc.Writer) error {
					var work mvcc.Working
					work.Reset(w.Batch, r.now)
					rec, err := work.Put(x.name, mvcc.Record{Type: mvcc.TypeString, Value: r.value()})
					x.add(rec)
					return errors.Join(err, work.Flush(w))
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			snap := r.store.Snapshot()
			defer snap.Close()
			if d := r.model.difference(snap, r.now); d != "" {
				t.Fatal(d)
			}
			if spoil(x); r.model.difference(snap, r.now) == "" {
				t.Error("not found")
			}
		})
	}
}

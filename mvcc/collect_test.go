package mvcc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

// TestCollectionAgainstModel runs random writes, intents and collections, in pages of all sizes. The model keeps everything: a
// read at or above the safe point has the model's answer, also between two pages. What is left in the end is no more than needed.
func TestCollectionAgainstModel(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := newRun(t, seed)
			r.model.collected = true
			removed := 0
			for step := range 120 {
				r.step()
				if step%10 == 9 {
					removed += r.collect(max(r.safe, r.now-op.Timestamp(r.r.IntN(40))), r.r.IntN(2000), 1+r.r.IntN(20))
					r.compare()
				}
			}
			for _, x := range r.model.names {
				if x.intent != nil {
					r.now++
					r.resolve(x)
				}
			}
			removed += r.collect(r.now-op.Timestamp(r.r.IntN(20)), 1<<20, 1<<20)
			r.compare()
			r.leastIsLeft()
			if removed < 30 {
				t.Errorf("%d versions were collected", removed)
			}
		})
	}
}

// collect raises the safe point and collects all there is, in pages that begin at what FindGarbage finds.
func (r *run) collect(safe op.Timestamp, bytes, rows int) (removed int) {
	r.safe = safe
	find := mvcc.GarbageLimits{Versions: 1 + r.r.IntN(4), Span: r.r.IntN(8), Rows: rows}
	for from := new(op.Position); from != nil; {
		snap := r.store.Snapshot()
		g, err := mvcc.FindGarbage(snap, op.SpaceKey, *from, op.Position{}, safe, find)
		snap.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		for part := &g.From; g.Versions > 0 && part != nil; {
			var done mvcc.Collected
			err := r.batch(func(w mvcc.Writer) (err error) {
				done, err = w.Collect(op.SpaceKey, *part, g.To, safe, mvcc.CollectLimits{Bytes: bytes, Rows: rows})
				return err
			})
			if err != nil {
				r.t.Fatal(err)
			}
			removed += done.Versions
			part = done.Next
			r.compare()
		}
		from = g.Next
	}
	for _, x := range r.model.names { // what is gone altogether begins anew
		if last := x.last(); x.intent == nil && last.Deleted && last.TS <= safe {
			x.versions = nil
		}
	}
	return removed
}

// leastIsLeft compares what the store has of each name with what reads at or above the safe point can land on.
func (r *run) leastIsLeft() {
	r.noChunkIsLeft()
	snap := r.store.Snapshot()
	defer snap.Close()
	left := map[string]int{}
	for _, p := range storetest.Pairs(r.t, r.store, storage.KindHistory) {
		n, _, err := storage.ParseHistory(p.Key)
		if err != nil {
			r.t.Fatal(err)
		}
		left[storetest.Name(n)]++
	}
	for _, x := range r.model.names {
		if x.name.Space == op.SpaceIdem {
			continue
		}
		if ts, err := mvcc.CurrentTimestamp(snap, x.name); err != nil || ts != x.last().TS {
			r.t.Errorf("%s has a current version at %d, want %d, %v", storetest.Name(x.name), ts, x.last().TS, err)
		}
		want := 0
		for i, v := range x.versions[:max(len(x.versions)-1, 0)] {
			next := x.versions[i+1].TS
			if next > r.safe && (v.TS > r.safe || live(v, r.safe) || x.last().Deleted) {
				want++
			}
		}
		if got := left[storetest.Name(x.name)]; got != want {
			r.t.Errorf("%s has %d old versions, %d are needed at %d: %+v", storetest.Name(x.name), got, want, r.safe, x.versions)
		}
	}
}

// Many versions of one name, above and below the safe point, are no hindrance: pages are bounded, and go on.
func TestCollectHotName(t *testing.T) {
	r := newRun(t, 1)
	r.model.collected = true
	put := func(key string) {
		r.now++
		err := r.batch(func(w mvcc.Writer) error {
			var work mvcc.Working
			work.Reset(w.Batch, r.now)
			_, err := work.Put(op.Key([]byte(key)), mvcc.Record{Type: mvcc.TypeString, Value: []byte("v")})
			return errors.Join(err, work.Flush(w))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		put("{x}hot")
	}
	put("{x}next")
	safe := r.now - 300
	put("{x}next")
	pages := 0
	for from := new(op.Position); from != nil; pages++ {
		err := r.batch(func(w mvcc.Writer) error {
			done, err := w.Collect(op.SpaceKey, *from, op.Position{}, safe, mvcc.CollectLimits{Bytes: 20_000, Rows: 100})
			from = done.Next
			if done.Versions > 200 {
				t.Errorf("a page of %d", done.Versions)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text := storetest.Dump(t, r.store)
	if got := strings.Count(text, "{x}hot older"); got != 299 {
		t.Errorf("%d old versions are left", got)
	}
	if pages < 4 || pages > 30 {
		t.Errorf("%d pages", pages)
	}
	snap := r.store.Snapshot()
	defer snap.Close()
	g, err := mvcc.FindGarbage(snap, op.SpaceKey, op.Position{}, op.Position{}, safe, mvcc.GarbageLimits{Versions: 1, Rows: 1 << 20})
	if err != nil || g.Versions != 0 || g.Rows > 100 {
		t.Errorf("after it: %+v, %v", g, err)
	}
	if g, err = mvcc.FindGarbage(snap, op.SpaceKey, op.Position{}, op.Position{}, r.now, mvcc.GarbageLimits{Versions: 1, Rows: 1 << 20}); err != nil || g.Versions == 0 || g.Rows > 2*256 {
		t.Errorf("later: %+v, %v", g, err)
	}
}

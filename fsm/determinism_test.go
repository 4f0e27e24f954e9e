package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
)

// play applies a log in pieces as cut says and returns the results of each entry.
func (r *replica) play(log []LogEntry, cut func() int) (all []string) {
	r.t.Helper()
	for len(log) > 0 {
		n := min(len(log), max(1, cut()))
		res, err := r.Apply(log[:n])
		if err != nil {
			r.t.Fatal(err)
		}
		for _, one := range res {
			all = append(all, string(encoded(one)))
		}
		log = log[n:]
	}
	return all
}

// The same log gives the same bytes in every store and the same results, however it is cut into batches and wherever the
// replica was started again, with entries that are given to it a second time.
func TestSameLogSameBytes(t *testing.T) {
	seen := map[op.Status]int{}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			log := randomLog(seed+3, 110)
			whole := newReplica(t, op.Position{}, loadEnd)
			results := whole.play(log, func() int { return len(log) })
			countStatuses(t, results, seen)
			r := rand.New(rand.NewPCG(seed, 8))
			for name, cut := range map[string]func() int{"single": func() int { return 1 }, "random": func() int { return r.IntN(12) }} {
				other := newReplica(t, op.Position{}, loadEnd)
				compareResults(t, name, other.play(log, cut), results)
				compareStores(t, name, other, whole)
			}
			compareStores(t, "restarted", restarted(t, log, results, r), whole)
		})
	}
	for _, s := range []op.Status{op.OK, op.Moved, op.Blocked, op.Again, op.NotInteger, op.Conflict, op.Aborted, op.Collected} {
		if seen[s] == 0 {
			t.Errorf("status %d was never met: %v", s, seen)
		}
	}
}

func countStatuses(t *testing.T, results []string, seen map[op.Status]int) {
	for _, all := range results {
		for b := []byte(all); len(b) > 0; {
			var res op.Result
			var err error
			if res, b, err = op.DecodeResult(b); err != nil {
				t.Fatal(err)
			}
			seen[res.Status]++
		}
	}
}

func compareResults(t *testing.T, name string, got, want []string) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: entry %d has other results", name, i+1)
		}
	}
}

func compareStores(t *testing.T, name string, a, b *replica) {
	t.Helper()
	if d := storetest.Difference(storetest.Pairs(t, a.store), storetest.Pairs(t, b.store)); d != "" {
		t.Fatalf("%s: the stores differ: %s", name, d)
	}
}

// restarted applies a log with a restart after each few entries; the log is then replayed from some entry before.
func restarted(t *testing.T, log []LogEntry, results []string, r *rand.Rand) *replica {
	t.Helper()
	m := newReplica(t, op.Position{}, loadEnd)
	for int(m.Applied()) < len(log) {
		applied := int(m.Applied())
		from := max(0, applied-r.IntN(5))
		to := min(len(log), applied+1+r.IntN(8))
		res, err := m.Apply(log[from:to])
		if err != nil {
			t.Fatal(err)
		}
		for i, one := range res {
			if skipped := from+i < applied; skipped != (one == nil) || !skipped && string(encoded(one)) != results[from+i] {
				t.Fatalf("entry %d after a restart at %d: %v", from+i+1, applied, one)
			}
		}
		m.restart()
	}
	return m
}

// A single byte that is not from the log has to be seen.
func TestStoresThatDifferAreFound(t *testing.T) {
	a, b := newReplica(t, op.Position{}, loadEnd), newReplica(t, op.Position{}, loadEnd)
	log := randomLog(1, 5)
	a.play(log, func() int { return 1 })
	b.play(log, func() int { return 1 })
	batch := b.store.NewBatch()
	p := storetest.Pairs(t, b.store, storage.KindCurrent)[0]
	p.Value[len(p.Value)-1] ^= 1
	batch.Set(p.Key, p.Value)
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	if storetest.Difference(storetest.Pairs(t, a.store), storetest.Pairs(t, b.store)) == "" {
		t.Error("not found")
	}
}

// The numbers of live names are what a count finds, and every due time is a current version's.
func TestCountersAndDueTimes(t *testing.T) {
	for seed := range uint64(3) {
		r := newReplica(t, op.Position{}, loadEnd)
		for _, e := range randomLog(seed+20, 60) {
			if _, err := r.Apply([]LogEntry{e}); err != nil {
				t.Fatal(err)
			}
			if text := recount(t, r); text != "" {
				t.Fatalf("after entry %d: %s", e.Index, text)
			}
		}
		s := r.State()
		if s.Live[op.SpaceKey] == 0 || s.Live[op.SpaceLock] == 0 || s.Live[op.SpaceSeq] == 0 || s.Live[op.SpaceIdem] == 0 {
			t.Errorf("nothing to count: %v", s.Live)
		}
		s.Live[op.SpaceSeq]++
		r.state.Store(&s)
		if recount(t, r) == "" {
			t.Error("a wrong number was not found")
		}
	}
}

func recount(t *testing.T, r *replica) string {
	snap := r.store.Snapshot()
	defer snap.Close()
	for sp := op.SpaceKey; sp <= op.SpaceIdem; sp++ {
		n := int64(0)
		err := mvcc.ScanCurrent(snap, sp, op.Position{}, op.Position{}, func(op.Name, mvcc.Record) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if got := r.State().Live[sp]; got != n {
			return fmt.Sprintf("space %d: %d live by the counter, %d counted", sp, got, n)
		}
	}
	if got, n := r.State().Intents, len(storetest.Pairs(t, r.store, storage.KindIntent)); got != int64(n) {
		return fmt.Sprintf("%d intents by the counter, %d counted", got, n)
	}
	var want, got []string
	for _, p := range storetest.Pairs(t, r.store, storage.KindCurrent) {
		due, n, err := mvcc.DueOf(p.Key, p.Value)
		if err != nil {
			t.Fatal(err)
		}
		if due > 0 {
			want = append(want, string(storage.AppendDue(nil, due, n)))
		}
	}
	for _, p := range storetest.Pairs(t, r.store, storage.KindDue) {
		got = append(got, string(p.Key))
	}
	if len(got) != len(want) || !bytes.Equal(sorted(got), sorted(want)) {
		return fmt.Sprintf("%d due times, want %d", len(got), len(want))
	}
	return ""
}

package cluster_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/txn/coord"
)

// reader follows the changes of a prefix and checks the form of each page.
type reader struct {
	t      *testing.T
	rng    *rand.Rand
	prefix string
	at     op.Timestamp
	all    []op.Item
}

// page reads one page on a node. Errors that say that it is to be repeated are passed on.
func (r *reader) page(n *cluster.Node) error {
	limit := 1 + r.rng.IntN(20)
	ask := &op.Changes{Space: op.SpaceKey, Prefix: []byte(r.prefix), Since: r.at, Limit: uint32(limit)}
	if r.rng.IntN(3) == 0 {
		ask.MaxBytes = uint32(1 + r.rng.IntN(500))
	}
	out := n.Router().Changes(r.t.Context(), ask)
	if out.Err != nil {
		return out.Err
	}
	r.took(out, limit)
	return nil
}

func (r *reader) took(out op.Outcome, limit int) {
	r.t.Helper()
	last := r.at
	for i := range out.Items {
		it := &out.Items[i]
		if it.TS < last || it.TS <= r.at || it.TS > out.TS {
			r.t.Errorf("a page from %d to %d has %d after %d", r.at, out.TS, it.TS, last)
		}
		if i >= limit && it.TS != last {
			r.t.Errorf("a page of at most %d goes on with another commit", limit)
		}
		last = it.TS
	}
	if out.Status != op.OK || out.TS < r.at {
		r.t.Errorf("after %d: %+v", r.at, out)
	}
	r.all, r.at = append(r.all, out.Items...), out.TS
}

// upTo reads on until everything at or below a timestamp is told.
func (r *reader) upTo(ts op.Timestamp, next func() *cluster.Node) {
	r.t.Helper()
	for fails := 0; r.at < ts; {
		if err := r.page(next()); err != nil {
			if fails++; fails > 200 {
				r.t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// check compares what was told with the histories of the keys.
func (r *reader) check(n *cluster.Node, since op.Timestamp, keys []string) {
	r.t.Helper()
	var want []op.Item
	for _, key := range keys {
		out := n.Router().Do(r.t.Context(), []op.Op{&op.History{Key: []byte(key), Limit: 1 << 20}})[0]
		if out.Err != nil {
			r.t.Fatal(out.Err)
		}
		for _, it := range out.Items {
			if it.TS > since && it.TS <= r.at {
				it.Key = []byte(key)
				want = append(want, it)
			}
		}
	}
	slices.SortFunc(want, func(a, b op.Item) int {
		return cmp.Or(cmp.Compare(a.TS, b.TS), slices.Compare(a.Key, b.Key))
	})
	for i := range max(len(want), len(r.all)) {
		if i >= len(want) || i >= len(r.all) || !sameChange(&r.all[i], &want[i]) {
			r.t.Fatalf("%d changes were told, there are %d; number %d: %s, want %s", len(r.all), len(want), i, shown(r.all, i), shown(want, i))
		}
	}
	if len(want) == 0 {
		r.t.Error("nothing happened")
	}
}

// sameChange: a value that is lost by now may have been told before.
func sameChange(got, want *op.Item) bool {
	value := want.Lost || !got.Lost && string(got.Value) == string(want.Value)
	return got.TS == want.TS && string(got.Key) == string(want.Key) && got.Rev == want.Rev && got.Deleted == want.Deleted && value
}

func shown(items []op.Item, i int) string {
	if i >= len(items) {
		return "nothing"
	}
	return fmt.Sprintf("%+v", items[i])
}

// writing is what happens to keys while they are watched: single writes, deletions, NOREV, and transactions over all partitions.
func writing(t *testing.T, nodes []*cluster.Node, seed uint64, keys []string, stop *atomic.Bool, writes int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	coords := make([]*coord.Coordinator, len(nodes))
	for i := range nodes {
		coords[i] = coord.New(nodes[i].Router(), coord.DefaultOptions())
		defer coords[i].Close()
	}
	for k := 0; k < writes && !stop.Load(); k++ {
		at := rng.IntN(len(coords))
		one := func() op.Op {
			key := []byte(keys[rng.IntN(len(keys))])
			if rng.IntN(5) == 0 {
				return &op.Delete{Key: key}
			}
			size := rng.IntN(40)
			if rng.IntN(10) == 0 {
				size = 3000
			}
			return &op.Set{Key: key, Value: fmt.Appendf(nil, "%d.%d %0*d", seed, k, size, 0), NoRev: rng.IntN(4) == 0}
		}
		ops := []op.Op{one()}
		for range rng.IntN(3) * rng.IntN(4) {
			ops = append(ops, one())
		}
		_, _, _ = coords[at].Atomic(context.WithoutCancel(t.Context()), ops, nil) // conflicts, and what a lost leader leaves unknown, are fine
		time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
	}
}

func watchedKeys() (keys, others []string) {
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("w/%d", i))
		others = append(others, fmt.Sprintf("v/%d", i), fmt.Sprintf("x%d", i))
	}
	return keys, others
}

// Readers with pages of any size, who read through any node while others write, are told exactly what the histories of the keys have
// afterwards, in that order.
func TestChangesAreTheHistory(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		keys, others := watchedKeys()
		begin := now(t, c.Nodes[0])
		var stop atomic.Bool
		var writers sync.WaitGroup
		for w := range 3 {
			writers.Go(func() { writing(t, slices.Clone(c.Nodes), uint64(w), slices.Concat(others, keys), &stop, 60) })
		}
		done := make(chan struct{})
		go func() { writers.Wait(); close(done) }()
		readers := make([]*reader, 3)
		for i := range readers {
			readers[i] = &reader{t: t, rng: rand.New(rand.NewPCG(uint64(i), 9)), prefix: "w/", at: begin}
		}
		any := func() *cluster.Node { return c.Nodes[readers[0].rng.IntN(3)] }
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			for _, r := range readers[1:] {
				if err := r.page(any()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		end := now(t, c.Nodes[0])
		for _, r := range readers { // the first comes when all is over
			r.upTo(end, any)
			r.check(c.Nodes[1], begin, keys)
		}
	})
}

// The changes of a hash tag come from one slot, and only those of the prefix.
func TestChangesOfOneSlot(t *testing.T) {
	onNode(t, 4, func(t *testing.T, n *cluster.Node) {
		begin := now(t, n)
		do(t, n, set("{a}1", "x"), set("{a}2", "y"), set("{b}1", "z"), set("a", "w"))
		r := reader{t: t, rng: rand.New(rand.NewPCG(1, 1)), prefix: "{a}", at: begin}
		r.upTo(now(t, n), func() *cluster.Node { return n })
		r.check(n, begin, []string{"{a}1", "{a}2"})
	})
}

// Who goes on from below the safe point is told so, and who goes on from above it is told everything, the deletions too. (The revisions of a
// name whose deletion was collected begin anew.)
func TestChangesThatWereCollected(t *testing.T) {
	withHistory(t, func(t *testing.T, n *cluster.Node) {
		begin := now(t, n)
		do(t, n, set("k", "1"), set("gone", "1"))
		do(t, n, &op.Delete{Key: []byte("gone")})
		time.Sleep(10 * testRetention)
		ask := func(since op.Timestamp) op.Outcome {
			out := n.Router().Changes(t.Context(), &op.Changes{Space: op.SpaceKey, Since: since, Limit: 100})
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			return out
		}
		if out := ask(begin); out.Status != op.Collected {
			t.Errorf("from long ago: %+v", out)
		}
		if out := ask(1); out.Status != op.Collected {
			t.Errorf("from the beginning: %+v", out)
		}
		since := ask(0).TS
		do(t, n, set("k", "2"), set("gone", "2"), &op.Delete{Key: []byte("gone")}, &op.Expire{Key: []byte("k"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 1000}})
		time.Sleep(testRetention / 2)
		var told []string
		for _, it := range ask(since).Items {
			told = append(told, fmt.Sprint(string(it.Key), " ", it.Rev, " ", it.Deleted))
		}
		slices.Sort(told)
		want := []string{"gone 1 false", "gone 2 true", "k 2 false", "k 2 false", "k 3 true"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if out := n.Router().Changes(t.Context(), &op.Changes{Space: op.SpaceKey, Since: now(t, n).Add(60_000), Limit: 1}); out.Err == nil {
			t.Errorf("from the future: %+v", out)
		}
		synctest.Wait()
	})
}

// A reader goes on while a leader is lost, through the nodes that are left.
func TestChangesAcrossFailover(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		keys, others := watchedKeys()
		begin := now(t, c.Nodes[0])
		r := &reader{t: t, rng: rand.New(rand.NewPCG(7, 9)), prefix: "w/", at: begin}
		victim := c.AwaitLeader(1)
		left := []*cluster.Node{c.Nodes[(victim+1)%3], c.Nodes[(victim+2)%3]}
		var stop atomic.Bool
		var writers sync.WaitGroup
		for w := range 3 {
			writers.Go(func() { writing(t, left, uint64(w), slices.Concat(others, keys), &stop, 1<<20) })
		}
		alive := func() *cluster.Node { return left[r.rng.IntN(2)] }
		r.upTo(now(t, c.Nodes[0]), alive)
		c.Stop(victim)
		for range 60 {
			_ = r.page(alive())
			time.Sleep(10 * time.Millisecond)
		}
		stop.Store(true)
		writers.Wait()
		r.upTo(now(t, alive()), alive)
		r.check(left[0], begin, keys)
	})
}

// await waits for changes on a node, in the background.
func await(t *testing.T, n *cluster.Node, space op.Space, prefix string, since op.Timestamp, d time.Duration) <-chan op.Outcome {
	got := make(chan op.Outcome, 1)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	go func() {
		defer cancel()
		got <- awaited(ctx, n, &op.Changes{Space: space, Prefix: []byte(prefix), Since: since, Limit: 100})
	}()
	return got
}

// Readers that wait on any node are told of a change at once, those with other prefixes are not, and when the time is over they get
// where to go on from.
func TestWaitingForChanges(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		begin := now(t, c.Nodes[0])
		var waiting []<-chan op.Outcome
		for i := range 12 {
			waiting = append(waiting, await(t, c.Nodes[i%3], op.SpaceKey, fmt.Sprint("w", i/6), begin, time.Hour))
		}
		locks := await(t, c.Nodes[2], op.SpaceLock, "", begin, time.Hour)
		early := await(t, c.Nodes[1], op.SpaceKey, "other", begin, 20*time.Second)
		time.Sleep(25 * time.Second) // some slices
		if out := <-early; out.Err != nil || len(out.Items) > 0 || out.TS < begin {
			t.Errorf("when the time is over: %+v", out)
		}
		for round := range 2 {
			began := time.Now()
			for i := range 5 {
				c.Do(i%3, set(fmt.Sprint("w", round, "/", i), "x"))
			}
			for i, got := range waiting[6*round : 6*round+6] {
				out := <-got
				if out.Err != nil || len(out.Items) == 0 || string(out.Items[0].Key[:2]) != fmt.Sprint("w", round) {
					t.Errorf("reader %d: %+v", i, out)
				}
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("readers were told after %v", took)
			}
		}
		c.Do(0, &op.LockAcquire{Name: []byte("l"), Owner: []byte("o"), TTLMilli: 1000})
		if out := <-locks; len(out.Items) != 1 || string(out.Items[0].Key) != "l" {
			t.Errorf("a lock: %+v", out)
		}
	})
}

// A reader that waits is told of changes after leaders were lost, whichever node led before.
func TestWaitingForChangesAcrossFailover(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		for victim := range 2 {
			reads, writes := (victim+1)%3, (victim+2)%3
			since := now(t, c.Nodes[reads])
			var waiting []<-chan op.Outcome
			for i := range 8 {
				waiting = append(waiting, await(t, c.Nodes[reads], op.SpaceKey, fmt.Sprintf("f%d/%d", victim, i), since, time.Hour))
			}
			time.Sleep(time.Second)
			c.Stop(victim)
			for i := range 8 {
				c.Do(writes, set(fmt.Sprintf("f%d/%d", victim, i), "x"))
			}
			for i, got := range waiting {
				began := time.Now()
				if out := <-got; out.Err != nil || len(out.Items) != 1 || time.Since(began) > time.Minute {
					t.Errorf("without node %d, key %d: %+v after %v", victim, i, out, time.Since(began))
				}
			}
			c.Open(victim)
			c.WaitReady(victim)
		}
	})
}

// Readers who wait again and again, each from where the last page ended, are told the history, as those are who do not wait.
func TestWaitingReadersAreToldTheHistory(t *testing.T) {
	inCluster(t, 3, 4, func(t *testing.T, c *clustertest.Cluster) {
		keys, others := watchedKeys()
		begin := now(t, c.Nodes[0])
		var stop atomic.Bool
		var writers, following sync.WaitGroup
		for w := range 3 {
			writers.Go(func() { writing(t, slices.Clone(c.Nodes), uint64(w), slices.Concat(others, keys), &stop, 60) })
		}
		readers := make([]*reader, 4)
		for i := range readers {
			r := &reader{t: t, rng: rand.New(rand.NewPCG(uint64(i), 9)), prefix: "w/", at: begin}
			readers[i] = r
			following.Go(func() {
				for over := false; !over; {
					limit := 1 + 9*(i%2)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+r.rng.IntN(3000))*time.Millisecond)
					out := awaited(ctx, c.Nodes[r.rng.IntN(3)], &op.Changes{Space: op.SpaceKey, Prefix: []byte("w/"), Since: r.at, Limit: uint32(limit)})
					cancel()
					if out.Err != nil {
						t.Error(out.Err)
						return
					}
					over = len(out.Items) == 0 && stop.Load()
					r.took(out, limit)
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		following.Wait()
		for _, r := range readers {
			r.upTo(now(t, c.Nodes[0]), func() *cluster.Node { return c.Nodes[1] })
			r.check(c.Nodes[1], begin, keys)
		}
	})
}

// awaited is AwaitChanges, waited for.
func awaited(ctx context.Context, n *cluster.Node, o *op.Changes) op.Outcome {
	got := make(chan op.Outcome, 1)
	n.AwaitChanges(ctx, o, func(out op.Outcome) { got <- out })
	return <-got
}

// changesOf reads changes of a partition at its leader, at a timestamp. Not ok: a transaction is on its way, or the leader is another one.
func changesOf(t *testing.T, n *cluster.Node, id uint32, at, since op.Timestamp) (items []op.Item, ok bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s := n.Replica(id).Machine().State()
	results, err := n.Replica(id).Read(ctx, at, []op.Op{&op.Changes{Space: op.SpaceKey, Prefix: []byte("w/"), Since: since, Limit: 1 << 20, From: s.From, To: s.To}})
	if err != nil || results[0].Status != op.OK {
		return nil, false
	}
	return results[0].Items, true
}

// While leaders change, pages that are made of what changed lately are those that a walk over all names gives.
func TestRecentChangesAreThoseOfTheWalk(t *testing.T) {
	const comparisons = 25
	inCluster(t, 3, 2, func(t *testing.T, c *clustertest.Cluster) {
		keys, others := watchedKeys()
		begin := now(t, c.Nodes[0])
		var stop atomic.Bool
		var writers sync.WaitGroup
		writers.Go(func() {
			for k := uint64(0); !stop.Load(); k++ { // single writes and transactions, and a pause after some
				writing(t, c.Nodes[k%3:k%3+1], k, slices.Concat(others[:10], keys), &stop, 4)
				time.Sleep(30 * time.Millisecond)
			}
		})
		rng := rand.New(rand.NewPCG(3, 4))
		compared, told := 0, 0
		for round := 0; round < 300 && (compared < comparisons || told < 2*comparisons); round++ {
			id := uint32(1 + rng.IntN(2))
			if at := c.Leader(id); at >= 0 && rng.IntN(8) == 0 {
				_ = c.Nodes[at].Replica(id).Group().TransferLeadership(t.Context(), c.Nodes[(at+1)%3].Stats().NodeID) // it may fail
			}
			at := c.Leader(id)
			if at < 0 {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			leader := c.Nodes[at]
			changesOf(t, leader, id, now(t, leader), begin) // notes are taken from now on, if they were not
			since := now(t, leader)
			time.Sleep(time.Duration(10+rng.IntN(60)) * time.Millisecond)
			when := now(t, leader)
			recentBefore, _ := leader.Replica(id).ChangeReads()
			recent, ok := changesOf(t, leader, id, when, since)
			recentAfter, _ := leader.Replica(id).ChangeReads()
			walked, okToo := changesOf(t, leader, id, when, begin)
			recentEnd, _ := leader.Replica(id).ChangeReads()
			if !ok || !okToo || recentAfter == recentBefore {
				continue
			}
			if recentEnd != recentAfter {
				t.Fatal("what is to be compared with was no walk")
			}
			walked = slices.DeleteFunc(walked, func(it op.Item) bool { return it.TS <= since })
			if !slices.EqualFunc(recent, walked, func(a, b op.Item) bool { return sameChange(&a, &b) }) {
				t.Fatalf("round %d: what changed lately is %d changes, the walk has %d:\n%+v\n%+v", round, len(recent), len(walked), recent, walked)
			}
			compared, told = compared+1, told+len(recent)
		}
		stop.Store(true)
		writers.Wait()
		if compared < comparisons || told < 2*comparisons {
			t.Errorf("only %d pages with %d changes were compared", compared, told)
		}
	})
}

// A transaction that may still commit below the time of a read keeps that from being made of what changed lately, in which it is not yet.
func TestRecentChangesMindTransactions(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		n := c.Nodes[0]
		begin := now(t, n)
		do(t, n, set("w/1", "x"))
		if _, ok := changesOf(t, n, 1, now(t, n), begin); !ok {
			t.Fatal("no changes are told")
		}
		since := now(t, n)
		pages, _ := n.Replica(1).ChangeReads()
		if _, ok := changesOf(t, n, 1, now(t, n), since); !ok {
			t.Fatal("nothing is told of what changed lately")
		}
		if after, _ := n.Replica(1).ChangeReads(); after != pages+1 {
			t.Fatal("nothing is made of what changed lately")
		}
		id, name := now(t, n), op.Key([]byte("w/2"))
		do(t, n, &op.Prewrite{Txn: id, Home: name, AtHome: true, Deadline: id.Add(1_000_000), Names: []op.Name{name}, Writes: []op.Write{{Name: name, Type: 1, Value: []byte("y")}}})
		if items, ok := changesOf(t, n, 1, now(t, n), since); ok {
			t.Errorf("a read does not wait for a transaction: %+v", items)
		}
	})
}

// A new leader wakes those who wait for changes, for the leader before it may have died, or been deposed, before it told them: nobody else
// knows that they missed something.
func TestANewLeaderWakesReaders(t *testing.T) {
	inCluster(t, 3, 1, func(t *testing.T, c *clustertest.Cluster) {
		waiting := await(t, c.Nodes[2], op.SpaceKey, "q", now(t, c.Nodes[2]), time.Hour)
		time.Sleep(15 * time.Second) // until all nodes know of the reader, and nothing is read any more
		pages := func() (n uint64) {
			for i := range c.Nodes {
				recent, walked := c.Nodes[i].Replica(1).ChangeReads()
				n += recent + walked
			}
			return n
		}
		before, old := pages(), c.Leader(1)
		if err := c.Nodes[old].Replica(1).Group().TransferLeadership(t.Context(), c.Nodes[(old+1)%3].Stats().NodeID); err != nil {
			t.Fatal(err)
		}
		c.Wait(func() error {
			if pages() == before {
				return errors.New("nobody looks whether something has changed")
			}
			return nil
		})
		c.Do(0, set("q1", "x"))
		if out := <-waiting; out.Err != nil || len(out.Items) != 1 {
			t.Errorf("%+v", out)
		}
	})
}

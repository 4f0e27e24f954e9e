package coord_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"kahuna/op"
	"kahuna/txn/coord"
)

// A transaction on keys of one partition lays no intents: it is one entry, which changes nothing when something that was read
// has changed.
func TestTransactInOneEntry(t *testing.T) {
	scripted(t, func(w *world) {
		key := w.keys[0]
		at := func(i int) string { return fmt.Sprintf("{%s}%d", key, i) }
		bytes := func(i int) []byte { return []byte(at(i)) }
		w.must(set(at(1), "1"), set(at(2), "2"), set(at(3), "3"), set(at(4), "4"))
		var steps []string
		w.steps.set(func(step string, _ []op.Op) error {
			steps = append(steps, step)
			return nil
		}, nil)
		_, err := transact(w.c, get(at(1)), set(at(1), "x"), set(at(1), "y"), &op.Delete{Key: bytes(2)},
			&op.Expire{Key: bytes(3), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 60_000}}, &op.Incr{Key: bytes(4), Delta: 5},
			&op.Set{Key: bytes(5), Value: []byte("5"), NoRev: true, Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 60_000}})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, step := range steps {
			if step != "run" && step != "now" {
				w.t.Errorf("step %q of a transaction in one partition", step)
			}
		}
		w.steps.set(nil, nil)
		w.want(w.values(at(1), at(2), at(3), at(4), at(5)), "y", "-", "3", "9", "5")
		for i, rev := range map[int]uint64{1: 2, 3: 1, 4: 2, 5: 1} {
			out := w.must(get(at(i)))[0]
			if out.Rev != rev || (out.ExpireAt > 0) != (i == 3 || i == 5) {
				w.t.Errorf("key %d has revision %d and runs out at %d", i, out.Rev, out.ExpireAt)
			}
		}
		_, err = w.c.Transact(context.Background(), nil, func(tx coord.Doer) error {
			tx.Do(context.Background(), []op.Op{get(at(1)), set(at(2), "lost")})
			w.must(set(at(1), "other"))
			return nil
		})
		if !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("what it read has changed, and it ends with %v", err)
		}
		w.want(w.values(at(1), at(2)), "other", "-")
	})
}

// What a transaction has only read does not make it too large: when all of it does not fit an entry, it goes the long way.
func TestManyReadsAndOneWrite(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		o := options()
		o.BytesMax = 8 << 10
		c := coord.New(w.steps, o)
		defer c.Close()
		ops := []op.Op{set(w.keys[0], "1")}
		for i := range 20 {
			ops = append(ops, get(fmt.Sprintf("{%s}%01000d", w.keys[0], i)))
		}
		long := false
		w.steps.set(func(step string, _ []op.Op) error {
			if step == "prewrite" {
				long = true
			}
			return nil
		}, nil)
		if _, err := transact(c, ops...); err != nil || !long {
			w.t.Errorf("%v, prewritten: %v", err, long)
		}
		w.want(w.values(w.keys[0]), "1")
	})
}

// No increment is lost when many transactions add to counters, in one partition and over two.
func TestConcurrentIncrements(t *testing.T) {
	scripted(t, func(w *world) {
		o := coord.DefaultOptions()
		c := coord.New(w.n.Router(), o)
		defer c.Close()
		const clients, times = 4, 10
		one, two := w.keys[0], w.keys[1]
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for i := 0; i < times; {
					_, err := c.Transact(context.Background(), nil, func(tx coord.Doer) error {
						return add(tx, one, two)
					})
					if err == nil {
						_, err = c.Transact(context.Background(), nil, func(tx coord.Doer) error { return add(tx, one) })
					}
					if err != nil {
						w.t.Error(err)
						return
					}
					i++
				}
			})
		}
		all.Wait()
		w.want(w.values(one, two), strconv.Itoa(2*clients*times), strconv.Itoa(clients*times))
	})
}

// add reads counters and then writes them, as a script does.
func add(tx coord.Doer, keys ...string) error {
	for _, k := range keys {
		out := tx.Do(context.Background(), []op.Op{get(k)})[0]
		if out.Err != nil {
			return out.Err
		}
		n, _ := strconv.Atoi(string(out.Value))
		if out = tx.Do(context.Background(), []op.Op{set(k, strconv.Itoa(n+1))})[0]; out.Err != nil {
			return out.Err
		}
	}
	return nil
}

// A hash is written as it stands, in one entry and by two-phase commit alike, with its type, its expiry and its revisions.
func TestTransactOnHashes(t *testing.T) {
	scripted(t, func(w *world) {
		hset := func(key, field, value string) op.Op {
			return &op.HashSet{Key: []byte(key), Fields: []op.Field{{Name: []byte(field), Value: []byte(value)}}, MaxBytes: 1 << 20}
		}
		near, far := fmt.Sprintf("{%s}h", w.keys[0]), w.keys[1]
		for _, keys := range [][]string{{near}, {near, far}} {
			var ops []op.Op
			for _, key := range keys {
				w.must(&op.Delete{Key: []byte(key)}, hset(key, "a", "1"), &op.Expire{Key: []byte(key), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 600_000}})
				ops = append(ops, hset(key, "b", "2"), &op.HashDelete{Key: []byte(key), Fields: [][]byte{[]byte("a")}},
					&op.HashIncr{Key: []byte(key), Field: []byte("b"), Delta: 5, MaxBytes: 1 << 20})
			}
			if _, err := transact(w.c, ops...); err != nil {
				w.t.Fatal(err)
			}
			for _, key := range keys {
				out := w.must(&op.HashGet{Key: []byte(key), Fields: [][]byte{[]byte("a"), []byte("b")}, MaxBytes: 1 << 20}, get(key))
				if h := out[0]; h.Int != 1 || !h.Items[0].Deleted || string(h.Items[1].Value) != "7" || h.ExpireAt == 0 || out[1].Status != op.WrongType {
					w.t.Errorf("%d keys: %s is %+v, read as a string it is %+v", len(keys), key, h, out[1])
				}
			}
			if _, err := transact(w.c, &op.HashDelete{Key: []byte(keys[0]), Fields: [][]byte{[]byte("b")}}); err != nil {
				w.t.Fatal(err)
			}
			if out := w.must(&op.Look{Key: []byte(keys[0])}); out[0].Found {
				w.t.Errorf("%d keys: without a field the hash is still there: %+v", len(keys), out[0])
			}
		}
	})
}

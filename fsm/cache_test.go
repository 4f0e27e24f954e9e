package fsm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"kahuna/op"
	"kahuna/storage"
)

// The cache holds no more than it may, and what it has is what was put last, through all changes of its generations.
func TestCacheIsBoundedAndRight(t *testing.T) {
	c := newRecordCache()
	r := rand.New(rand.NewPCG(1, 2))
	last := map[string]uint64{}
	hits := 0
	for i := range uint64(40_000) {
		key := storage.AppendCurrent(nil, op.Key(binary.BigEndian.AppendUint32(nil, r.Uint32N(12_000))))
		if got, ok := c.peek(key); ok {
			hits++
			c.put(key, got)
			if binary.BigEndian.Uint64(got.value) != last[string(key)] {
				t.Fatalf("step %d: %d, want %d", i, binary.BigEndian.Uint64(got.value), last[string(key)])
			}
		}
		if r.IntN(2) == 0 {
			last[string(key)] = i
			c.put(key, cached{append(binary.BigEndian.AppendUint64(nil, i), make([]byte, 1000)...), true})
		}
		if i%1000 == 0 && held(c) > cacheBytes {
			t.Fatalf("step %d: %d bytes", i, held(c))
		}
	}
	if hits < 1000 || c.old == nil {
		t.Errorf("%d hits", hits)
	}
}

// A name that is written again and again takes no more room than once, so it drives nothing else out.
func TestOneNameDoesNotFillTheCache(t *testing.T) {
	c := newRecordCache()
	hot, cold := storage.AppendCurrent(nil, op.Key([]byte("hot"))), storage.AppendCurrent(nil, op.Key([]byte("cold")))
	c.put(cold, cached{[]byte("1"), true})
	for range 3 * cacheBytes / 1000 {
		c.put(hot, cached{make([]byte, 1000), true})
	}
	if _, ok := c.peek(cold); !ok {
		t.Error("another name was driven out")
	}
}

func held(c *recordCache) (n int) {
	for _, m := range []map[string]cached{c.young, c.old} {
		for k, v := range m {
			n += len(k) + len(v.value)
		}
	}
	return n
}

// A name that a snapshot has brought, or taken away, is not answered from what was known before.
func TestRestoreDropsTheCache(t *testing.T) {
	a, b := newReplica(t, op.Position{}, loadEnd), newReplica(t, op.Position{}, loadEnd)
	b.do(Unit{set("b", "1"), get("c"), set("bar", "9")})
	for range 3 {
		a.do(Unit{set("b", "5"), set("c", "7")})
	}
	if err := b.Restore(bytes.NewReader(a.snapshot())); err != nil {
		t.Fatal(err)
	}
	b.index, b.now = a.index, a.now
	incr := func(k string) *op.Incr { return &op.Incr{Key: []byte(k), Delta: 1} }
	for i, want := range []int64{6, 8, 1} {
		if got := b.one(incr([]string{"b", "c", "bar"}[i])); got.Int != want {
			t.Errorf("number %d is %d, want %d", i, got.Int, want)
		}
	}
}

// What a read found in a snapshot is not put over what a batch has written since, or is writing.
func TestCacheIsNotWarmedWithThePast(t *testing.T) {
	key := storage.AppendCurrent(nil, op.Key([]byte("k")))
	old, current := cached{[]byte("old"), true}, cached{[]byte("current"), true}
	for name, between := range map[string]func(c *recordCache){
		"a batch that has ended": func(c *recordCache) { c.turn(); c.wrote(key, current.value, true); c.turn() },
		"a batch that goes on":   func(c *recordCache) { c.turn(); c.wrote(key, current.value, true) },
		"a snapshot installed":   func(c *recordCache) { c.clear(); c.wrote(key, current.value, true) },
	} {
		c := newRecordCache()
		generation := c.at()
		between(c)
		c.warm(generation, key, old)
		if got, _ := c.peek(key); string(got.value) != "current" {
			t.Errorf("after %s the cache has %q", name, got.value)
		}
	}
	c := newRecordCache()
	if c.warm(c.at(), key, old); !bytes.Equal(c.young[string(key)].value, old.value) {
		t.Error("nothing happened in between, and the cache was not warmed")
	}
	c.turn()
	c.warm(c.at(), op.Key([]byte("other")).Key, old)
	if _, there := c.peek([]byte("other")); there {
		t.Error("the cache was warmed while a batch was under way")
	}
}

// Several reads are answered from the cache only when no batch has come between them: one of them would see it and the other not.
func TestReadsFromTheCacheSeeOneState(t *testing.T) {
	r := newReplica(t, op.Position{}, loadEnd)
	r.do(Unit{set("b", "1"), set("c", "2")})
	both := []op.Op{get("b"), get("c")}
	if got, ok := r.ReadCached(both); !ok || string(got[0].Value) != "1" || string(got[1].Value) != "2" {
		t.Fatalf("what was just written is not in the cache: %v", got)
	}
	r.cache.turn()
	if got, ok := r.ReadCached(both); ok {
		t.Errorf("in the middle of a batch two reads got %v", got)
	}
	if _, ok := r.ReadCached(both[:1]); !ok {
		t.Error("a single read does not need to wait for the end of a batch")
	}
	r.cache.turn()
}

package fsm

import (
	"testing"

	"kahuna/op"
)

func TestDocuments(t *testing.T) {
	r := newReplicaOf(t, Meta, op.Position{}, op.Position{})
	told := 0
	r.ObserveDocuments(func() { told++ })
	put := func(key, value string, version uint64) op.Result {
		return r.one(&op.MetaPut{Key: []byte(key), Value: []byte(value), IfVersion: version})
	}
	if got := put("a/1", "x", 0); !got.Done || got.Rev != 1 || told != 1 {
		t.Fatalf("the first: %+v, told %d", got, told)
	}
	if got := put("a/1", "y", 0); got.Done || !got.Found || string(got.Value) != "x" || got.Rev != 1 {
		t.Errorf("one that is there: %+v", got)
	}
	if got := put("a/1", "y", 1); !got.Done || got.Rev != 2 {
		t.Errorf("a change: %+v", got)
	}
	if got := r.one(&op.MetaPut{Key: []byte("a/1"), Delete: true, IfVersion: 1}); got.Done {
		t.Errorf("a deletion of an old version: %+v", got)
	}
	r.one(&op.MetaPut{Key: []byte("a/1"), Delete: true, IfVersion: 2})
	if got := put("a/1", "z", 0); got.Rev != 4 {
		t.Errorf("made again it has version %d, want one that never was", got.Rev)
	}
	if got := r.one(&op.MetaPut{Key: []byte("b"), Value: []byte("q"), Any: true}); !got.Done {
		t.Errorf("whatever the version: %+v", got)
	}
	if got := r.read(&op.MetaGet{Key: []byte("a/1")}); !got.Found || string(got.Value) != "z" || got.Rev != 4 {
		t.Errorf("read: %+v", got)
	}
	if got := r.read(&op.MetaGet{Key: []byte("a")}); got.Found {
		t.Errorf("one that is not there: %+v", got)
	}
}

func TestDocumentsAreListedByPages(t *testing.T) {
	r := newReplicaOf(t, Meta, op.Position{}, op.Position{})
	for _, key := range []string{"a", "u/1", "u/2", "u/2/x", "u/3", "v", "u\xff"} {
		r.one(&op.MetaPut{Key: []byte(key), Value: []byte(key), Any: true})
	}
	var got []string
	var after []byte
	for pages := 1; ; pages++ {
		res := r.read(&op.MetaList{Prefix: []byte("u/"), After: after, Limit: 2})
		for _, it := range res.Items {
			got = append(got, string(it.Key))
			after = it.Key
		}
		if res.Done {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if want := []string{"u/1", "u/2", "u/2/x", "u/3"}; len(got) != len(want) || got[0] != want[0] || got[3] != want[3] {
		t.Errorf("listed %q, want %q", got, want)
	}
}

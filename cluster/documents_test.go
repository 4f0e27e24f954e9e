package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/fsm"
)

func TestDocumentsOfTheCluster(t *testing.T) {
	onNode(t, 1, func(t *testing.T, n *cluster.Node) { documents(t, n) })
}

func documents(t *testing.T, n *cluster.Node) {
	d, ctx := n.Documents(), context.Background()
	changed := d.Changed()
	version, err := d.Put(ctx, "user/a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	<-changed
	if _, err := d.Put(ctx, "user/a", []byte("2"), 0); !errors.Is(err, cluster.ErrVersion) {
		t.Errorf("made twice: %v", err)
	}
	if err := d.Change(ctx, "user/a", func(v []byte) ([]byte, error) { return append(v, '+'), nil }); err != nil {
		t.Fatal(err)
	}
	doc, found, err := d.LocalGet("user/a")
	if err != nil || !found || string(doc.Value) != "1+" || doc.Version <= version {
		t.Errorf("the local one is %+v, %v, %v", doc, found, err)
	}
	if all, err := d.List(ctx, "user/"); err != nil || len(all) != 1 || all[0].Key != "user/a" {
		t.Errorf("listed %+v, %v", all, err)
	}
	if err := d.Delete(ctx, "user/a", doc.Version); err != nil {
		t.Error(err)
	}
	if all, err := d.Local("user/"); err != nil || len(all) != 0 {
		t.Errorf("after it was deleted: %+v, %v", all, err)
	}
}

// watched calls look before each read but the first.
type watched struct {
	r    io.Reader
	look func()
	read bool
}

func (w *watched) Read(p []byte) (int, error) {
	if w.read {
		w.look()
	}
	w.read = true
	return w.r.Read(p)
}

// While a snapshot replaces a node's copy, nothing is read of it: half of the users is none of the states that there were.
func TestDocumentsAreNotReadWhileTheyAreReplaced(t *testing.T) {
	inCluster(t, 1, 1, func(t *testing.T, c *clustertest.Cluster) {
		docs, machine := c.Nodes[0].Documents(), c.Nodes[0].Replica(fsm.Meta).Machine()
		for i := range 4 {
			if _, err := docs.Put(t.Context(), fmt.Sprint("doc/", i), make([]byte, 300_000), 0); err != nil {
				t.Fatal(err)
			}
		}
		var stream bytes.Buffer
		if _, err := machine.Snapshot(&stream); err != nil {
			t.Fatal(err)
		}
		refused := 0
		look := func() {
			list, err := docs.Local("doc/")
			if err == nil && len(list) != 4 {
				t.Errorf("%d documents in the middle", len(list))
			}
			if _, found, oneErr := docs.LocalGet("doc/3"); (err == nil) != (oneErr == nil) || oneErr == nil && !found {
				t.Errorf("one document in the middle: %v, %v", found, oneErr)
			}
			if err != nil {
				refused++
			}
		}
		if err := machine.Restore(&watched{r: &stream, look: look}); err != nil {
			t.Fatal(err)
		}
		if list, err := docs.Local("doc/"); err != nil || len(list) != 4 || refused == 0 {
			t.Errorf("after it: %d, %v; refused %d times", len(list), err, refused)
		}
	})
}

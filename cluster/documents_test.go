package cluster_test

import (
	"context"
	"errors"
	"testing"

	"kahuna/cluster"
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

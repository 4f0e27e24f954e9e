package cluster_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"kahuna/cluster"
)

func TestScriptsOfTheCluster(t *testing.T) {
	onNode(t, 1, func(t *testing.T, n *cluster.Node) { scriptsOfTheCluster(t, n) })
}

func scriptsOfTheCluster(t *testing.T, n *cluster.Node) {
	here, there, ctx := n.Scripts(), n.Scripts(), context.Background()
	name := func(body string) string {
		sum := sha1.Sum([]byte(body))
		return hex.EncodeToString(sum[:])
	}
	found := func(body string) bool {
		got, found, err := there.Load(ctx, name(body))
		if err != nil || found && got != body {
			t.Errorf("%.20q, %v", got, err)
		}
		return found
	}
	if err := here.Save(ctx, name("return 1"), "return 1"); err != nil || !found("return 1") || found("return 2") {
		t.Errorf("a script that was saved is found: %v, %v", found("return 1"), err)
	}
	before := there.Generation()
	if err := here.Flush(ctx); err != nil || found("return 1") || there.Generation() <= before {
		t.Errorf("after a flush: %v, %v, generation %d", found("return 1"), err, there.Generation())
	}
	if err := here.Save(ctx, name("return 1"), "return 1"); err != nil || !found("return 1") {
		t.Errorf("saved anew: %v", err)
	}
	if _, found, err := here.Load(ctx, "no name"); found || err != nil {
		t.Errorf("no name: %v, %v", found, err)
	}
}

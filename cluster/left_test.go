package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/op"
)

// A record that says aborted because there was none must outlive every prewrite that is still on its way: how old it is, the
// cluster's clock says, and not the wall clock, which may jump.
func TestLeftTransactionsIgnoreTheWallClock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg, c := clustertest.Config(dir, 2), clustertest.Clock()
		cfg.Clock = c
		n := clustertest.Open(t, cfg)
		defer clustertest.Close(t, n)
		id, err := n.Router().Now(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		do(t, n, &op.Settle{Txn: id, Home: op.Key([]byte("home"))})
		c.Set(clustertest.Epoch + 5*time.Hour)
		if left, err := n.LeftTransactions(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("after a jump of the wall clock: %v, %v", left, err)
		}
		time.Sleep(11 * time.Minute)
		if left, err := n.LeftTransactions(t.Context()); err != nil || len(left) != 1 || left[0].ID != id {
			t.Errorf("after 11 minutes: %v, %v", left, err)
		}
	})
}

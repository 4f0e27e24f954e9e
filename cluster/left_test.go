package cluster_test

import (
	"fmt"
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

// Transactions that can't be ended do not keep others from being found: each call goes on where the one before ended.
func TestLeftGoesRound(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 1))
		defer clustertest.Close(t, n)
		const all = 600
		for i := range all {
			id, err := n.Router().Now(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			name := op.Key(fmt.Appendf(nil, "home%d", i))
			do(t, n, &op.Prewrite{Txn: id, Home: name, AtHome: true, Deadline: id.Add(1000), Names: []op.Name{name},
				Writes: []op.Write{{Name: name, Type: 1, Value: []byte("v")}}})
		}
		time.Sleep(10 * time.Second)
		found := map[op.TxnID]bool{}
		for range 4 {
			left, err := n.LeftTransactions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range left {
				found[left[i].ID] = true
			}
		}
		if len(found) != all {
			t.Errorf("%d of %d were found", len(found), all)
		}
	})
}

// Names with intents, which can't be swept, do not keep others from it.
func TestSweepGoesRound(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 1))
		defer clustertest.Close(t, n)
		const blocked = 600
		expiring := func(key string, ms int64) op.Op {
			return &op.Set{Key: []byte(key), Value: []byte("v"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: ms}}
		}
		var all []op.Op
		o := &op.Prewrite{Home: op.Key([]byte("b0")), AtHome: true}
		for i := range blocked {
			key := fmt.Sprint("b", i)
			all = append(all, expiring(key, 1000))
			o.Names = append(o.Names, op.Key([]byte(key)))
			o.Writes = append(o.Writes, op.Write{Name: op.Key([]byte(key)), Type: 1, Value: []byte("w")})
		}
		do(t, n, all...)
		id, err := n.Router().Now(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		o.Txn, o.Deadline = id, id.Add(5*60*1000)
		do(t, n, o)
		do(t, n, expiring("free", 2000))
		time.Sleep(5 * time.Second)
		if found, err := n.Inspect(); err != nil || found.Due != blocked {
			t.Errorf("%d names are due, %d of them can't be swept: %v", found.Due, blocked, err)
		}
	})
}

package coord_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/op"
	"kahuna/txn/coord"
)

// Who finds an old intent of a transaction knows one name of it. When the record says that it is committed, the record may go
// only with the last of all its intents: a reader who meets one without a record takes the transaction for aborted.
func TestAnOldIntentIsNotTheWholeTransaction(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := clustertest.Open(t, clustertest.Config(dir, 4))
		defer clustertest.Close(t, n)
		w := newWorld(t, n)
		defer w.other.Close()
		defer w.c.Close()
		a, b, c := w.keys[0], w.keys[1], w.keys[2]
		w.must(set(a, "0"), set(b, "0"), set(c, "0"))

		var decided *op.Decide
		w.steps.set(func(step string, ops []op.Op) error {
			switch step {
			case "decide":
				decided = ops[0].(*op.Decide)
			case "resolve", "forget":
				return errDead
			}
			return nil
		}, nil)
		if _, err := transact(w.c, set(a, "1"), set(b, "1"), set(c, "1")); err != nil {
			t.Fatal(err)
		}

		told := false
		o := options()
		o.Left = func(context.Context) ([]cluster.Transaction, error) {
			if told {
				return nil, nil
			}
			told = true
			return []cluster.Transaction{{ID: decided.Txn, Home: decided.Home,
				State: op.TxnState{Names: []op.Name{op.Key([]byte(b))}}}}, nil
		}
		finisher := coord.New(n.Router(), o)
		defer finisher.Close()
		time.Sleep(6 * time.Second) // once round for the finisher, and before the record itself counts as left behind
		synctest.Wait()
		if !told {
			t.Fatal("nobody looked for what was left")
		}
		for i, out := range w.must(get(a), get(b), get(c)) {
			if string(out.Value) != "1" {
				t.Errorf("%s is %q after a committed transaction has written 1", w.keys[i], out.Value)
			}
		}
		clustertest.Settled(t, n)
	})
}

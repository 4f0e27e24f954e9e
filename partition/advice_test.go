package partition

import (
	"testing"
	"time"

	"kahuna/op"
)

func newAdvice() (*advice, *handClock) {
	c := &handClock{}
	a := &advice{clock: c}
	a.reset(true)
	return a, c
}

func ask(a *advice, id op.TxnID) (*adviceWaiter, op.Result) {
	w, res, _ := a.begin(&op.Advise{Txn: id, Names: []op.Name{op.Key([]byte("k"))}, TTLMilli: time.Hour.Milliseconds()})
	return w, res
}

func release(a *advice, id op.TxnID) { _, _, _ = a.begin(&op.Advise{Txn: id, Act: op.AdviseRelease}) }

// What a transaction has asked for before it ended, and what comes or is granted only after that, is nobody's: nobody would free it.
func TestNoLocksAfterRelease(t *testing.T) {
	t.Run("waiting", func(t *testing.T) {
		a, _ := newAdvice()
		ask(a, 1)
		w, _ := ask(a, 2)
		release(a, 2)
		if res := <-w.done; res.Status != op.Conflict {
			t.Errorf("who waited has %+v", res)
		}
		release(a, 1)
		if _, res := ask(a, 3); !res.Done {
			t.Errorf("the lock is not free: %+v", res)
		}
	})
	t.Run("late", func(t *testing.T) {
		a, c := newAdvice()
		release(a, 2)
		if _, res := ask(a, 2); res.Status != op.Conflict {
			t.Errorf("what came late has %+v", res)
		}
		if _, res := ask(a, 3); !res.Done {
			t.Errorf("the lock is not free: %+v", res)
		}
		release(a, 3)
		c.mono += time.Minute
		if a.held(); len(a.txns) > 0 {
			t.Errorf("%d transactions are remembered for ever", len(a.txns))
		}
	})
}

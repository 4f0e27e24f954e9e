package coord_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kahuna/txn/coord"
)

// What was told as aborted stays so: a COMMIT that comes at the last moment and is then held up can't be decided later than Status
// counts on.
func TestStatusIsFinal(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		elsewhere := coord.New(w.n.Router(), options())
		defer elsewhere.Close()
		x := w.begin(w.c, coord.BeginOptions{Pessimistic: true, Timeout: options().TimeoutMax})
		x.do(set(w.keys[0], "1"), set(w.keys[1], "1"))
		time.Sleep(options().TimeoutMax - time.Second)
		w.steps.once("confirm", func() error {
			time.Sleep(options().Deadline + 2*time.Second)
			if got := w.status(elsewhere, x.Start()); got != "aborted" {
				w.t.Errorf("when its time is over: %s", got)
			}
			return nil
		})
		if err := x.commit(); !errors.Is(err, coord.ErrConflict) {
			w.t.Errorf("commit: %v", err)
		}
		time.Sleep(time.Second)
		w.want(w.values(w.keys[0], w.keys[1]), "-", "-")
	})
}

// A node on which transactions may last for a shorter time does not take one of another node for aborted before its time is over.
func TestStatusOfALongerTransaction(t *testing.T) {
	scriptedOn(t, []int{4}, func(w *world) {
		short := options()
		short.TimeoutMax = 10 * time.Second
		elsewhere := coord.New(w.n.Router(), short)
		defer elsewhere.Close()
		x := w.begin(w.c, coord.BeginOptions{Timeout: options().TimeoutMax})
		x.do(set(w.keys[0], "1"), set(w.keys[1], "1"))
		time.Sleep(time.Minute)
		if got := w.status(elsewhere, x.Start()); got != "pending" {
			t.Errorf("while it is open: %s", got)
		}
		x.mustCommit()
		if got := w.status(elsewhere, x.Start()); got != "committed" {
			t.Errorf("after its COMMIT: %s", got)
		}
	})
}

// A COMMIT that is under way when the coordinator is closed is remembered as it ends.
func TestCloseDuringCommit(t *testing.T) {
	eachMode(t, func(w *world, o coord.BeginOptions) {
		x := w.begin(w.c, o)
		x.do(set(w.keys[0], "1"), set(w.keys[1], "1"))
		w.steps.once("decide", func() error {
			w.c.Close()
			return nil
		})
		at := x.mustCommit()
		s, err := w.c.Status(context.Background(), x.Start())
		if err != nil || w.status(w.c, x.Start()) != "committed" || s.At != at {
			w.t.Errorf("committed at %d, and the status is %+v, %v", at, s, err)
		}
		w.want(w.values(w.keys[0], w.keys[1]), "1", "1")
	})
}

package workload

import (
	"fmt"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

// client is a connection and the reply read last, which is kept here so that naming it in an error does not cost an
// allocation per operation.
type client struct {
	*resp.Conn
	reply resp.Reply
}

// step is one command and the check of its reply.
type step struct {
	command [][]byte
	right   func(r *resp.Reply) bool
}

func command(args ...string) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		out[i] = []byte(a)
	}
	return out
}

// stepWorker does its steps one after the other, each waiting for the reply of the one before; all of them are one
// operation, which is right when all replies are.
type stepWorker struct {
	client
	steps []step
}

func (w *stepWorker) Do(t *load.Tally) error {
	right := true
	for _, s := range w.steps {
		w.Append(s.command...)
		if err := w.Flush(); err != nil {
			return err
		}
		if err := w.Read(&w.reply); err != nil {
			return err
		}
		if right && !s.right(&w.reply) {
			right = false
			t.Wrong("%s answered %s", s.command[0], &w.reply)
		}
	}
	if right {
		t.Right()
	}
	return nil
}

// increasing accepts integers that are larger than all before.
func increasing() func(r *resp.Reply) bool {
	last := int64(-1 << 62)
	return func(r *resp.Reply) bool {
		if r.Kind != resp.Integer || r.Int <= last {
			return false
		}
		last = r.Int
		return true
	}
}

func isOne(r *resp.Reply) bool { return r.IsInt(1) }

// hotLock is the lock that all workers share.
const hotLock = "lock:hot"

func lockName(worker int) string  { return fmt.Sprintf("lock:%d", worker) }
func lockOwner(worker int) string { return fmt.Sprintf("owner:%d", worker) }
func casKey(worker int) string    { return fmt.Sprintf("cas:%08d", worker) }

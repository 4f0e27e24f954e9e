package workload

import (
	"fmt"
	"strconv"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

type kahunaDialect struct{}

var (
	wordKSet  = []byte("KSET")
	wordIfRev = []byte("IFREV")
)

func (kahunaDialect) cas(c *resp.Conn, worker int) (load.Worker, error) {
	key := []byte(casKey(worker))
	w := &kahunaCAS{client: client{Conn: c}, key: key, value: newValue(newRand(worker), key)}
	var r resp.Reply
	c.Append(wordKSet, key, w.value)
	if err := c.Flush(); err != nil {
		return nil, err
	}
	if err := c.Read(&r); err != nil {
		return nil, err
	}
	if r.Kind != resp.Integer {
		return nil, fmt.Errorf("KSET answered %s", &r)
	}
	w.revision = r.Int
	return w, nil
}

// kahunaCAS writes its key if the revision is still the one of its last write, and expects the next one.
type kahunaCAS struct {
	client
	key, value, digits []byte
	revision           int64
}

func (w *kahunaCAS) Do(t *load.Tally) error {
	w.digits = strconv.AppendInt(w.digits[:0], w.revision, 10)
	w.Append(wordKSet, w.key, w.value, wordIfRev, w.digits)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.Read(&w.reply); err != nil {
		return err
	}
	if !w.reply.IsInt(w.revision + 1) {
		t.Wrong("KSET IFREV %d answered %s", w.revision, &w.reply)
		return nil
	}
	w.revision++
	t.Right()
	return nil
}

func (kahunaDialect) lock(c *resp.Conn, worker int) (load.Worker, error) {
	name, owner := lockName(worker), lockOwner(worker)
	return &stepWorker{client: client{Conn: c}, steps: []step{
		{command: command("LOCK", name, owner, lockTTLMs), right: increasing()},
		{command: command("UNLOCK", name, owner), right: isOne},
	}}, nil
}

func (kahunaDialect) lockHot(c *resp.Conn, worker int) load.Worker {
	owner := lockOwner(worker)
	return &stepWorker{client: client{Conn: c}, steps: []step{
		{command: command("LOCK", hotLock, owner, lockTTLMs, "WAIT", lockTTLMs), right: increasing()},
		{command: command("UNLOCK", hotLock, owner), right: isOne},
	}}
}

func (kahunaDialect) sequence(c *resp.Conn) load.Worker {
	return &stepWorker{client: client{Conn: c}, steps: []step{{command: command("SEQNEXT", "sequence"), right: increasing()}}}
}

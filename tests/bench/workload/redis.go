package workload

import (
	"math/rand/v2"

	"fmt"
	"strconv"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

// redisDialect does with scripts what Redis has no command for, as applications do.
type redisDialect struct{}

const (
	scriptCAS    = `if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2]) return 1 end return 0`
	scriptUnlock = `if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0`
)

// loadScript returns the name that EVALSHA calls the script by.
func loadScript(c *resp.Conn, script string) (string, error) {
	var r resp.Reply
	if err := c.Call(&r, "SCRIPT", "LOAD", script); err != nil {
		return "", err
	}
	if r.Kind != resp.Bulk {
		return "", fmt.Errorf("SCRIPT LOAD answered %s", &r)
	}
	return string(r.Bytes), nil
}

func (redisDialect) cas(c *resp.Conn, worker int) (load.Worker, error) {
	sha, err := loadScript(c, scriptCAS)
	if err != nil {
		return nil, err
	}
	rng, key := newRand(worker), []byte(casKey(worker))
	w := &redisCAS{client: client{Conn: c}, key: key, sha: []byte(sha), old: newValue(rng, key), new: newValue(rng, key)}
	c.Append(wordSet, key, w.old)
	return w, flushOK(c, 1)
}

// redisCAS replaces the value by one with a counter in it, if it is still the one this worker wrote last.
type redisCAS struct {
	client
	key, sha, old, new []byte
	count              uint64
}

var (
	wordEvalSHA = []byte("EVALSHA")
	wordOne     = []byte("1")
)

func (w *redisCAS) Do(t *load.Tally) error {
	w.count++
	strconv.AppendUint(w.new[len(w.key):len(w.key)], w.count, 10)
	w.Append(wordEvalSHA, w.sha, wordOne, w.key, w.old, w.new)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.Read(&w.reply); err != nil {
		return err
	}
	if !isOne(&w.reply) {
		t.Wrong("compare-and-set answered %s", &w.reply)
		return nil
	}
	t.Right()
	w.old, w.new = w.new, w.old
	return nil
}

func (redisDialect) lock(c *resp.Conn, worker int) (load.Worker, error) {
	sha, err := loadScript(c, scriptUnlock)
	if err != nil {
		return nil, err
	}
	name, owner := lockName(worker), lockOwner(worker)
	return &stepWorker{client: client{Conn: c}, steps: []step{
		{command: command("SET", name, owner, "NX", "PX", lockTTLMs), right: (*resp.Reply).IsOK},
		{command: command("EVALSHA", sha, "1", name, owner), right: isOne},
	}}, nil
}

// lockHot is not there: Redis has no lock to wait for.
func (redisDialect) lockHot(*resp.Conn, int) load.Worker { return nil }

func (redisDialect) sequence(c *resp.Conn) load.Worker {
	return &stepWorker{client: client{Conn: c}, steps: []step{{command: command("INCR", "sequence"), right: increasing()}}}
}

// Redis has no order of keys and no past.
func (redisDialect) ordered() bool { return false }

func (redisDialect) snapshot(*resp.Conn, *rand.Rand, [][]byte) (load.Worker, error) { return nil, nil }
func (redisDialect) scan(*resp.Conn, *rand.Rand, [][]byte) load.Worker              { return nil }
func (redisDialect) scanAll(*resp.Conn) load.Worker                                 { return nil }

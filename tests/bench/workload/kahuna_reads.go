package workload

import (
	"math/rand/v2"
	"strconv"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

var (
	wordKGet    = []byte("KGET")
	wordAsOf    = []byte("ASOF")
	wordKPrefix = []byte("KPREFIX")
	wordKRange  = []byte("KRANGE")
	wordLimit   = []byte("LIMIT")
	wordAfter   = []byte("AFTER")
	scanLimit   = []byte(strconv.Itoa(ScanKeys))
	rangeEnd    = []byte("key:~")
	allPrefix   = []byte("key:")
	pageLimit   = []byte("1000")
)

func (kahunaDialect) ordered() bool { return true }

// snapshot reads as of the time at which the worker was made.
func (kahunaDialect) snapshot(c *resp.Conn, rng *rand.Rand, keys [][]byte) (load.Worker, error) {
	at, err := timestamp(c)
	return &snapshotWorker{client: client{Conn: c}, rng: rng, keys: keys, at: at}, err
}

// timestamp is a fresh one, in digits.
func timestamp(c *resp.Conn) ([]byte, error) {
	var r resp.Reply
	if err := c.Call(&r, "TIMESTAMP"); err != nil {
		return nil, err
	}
	return strconv.AppendInt(nil, r.Int, 10), nil
}

type snapshotWorker struct {
	client
	rng  *rand.Rand
	keys [][]byte
	at   []byte
}

func (w *snapshotWorker) Do(t *load.Tally) error {
	key := w.keys[w.rng.IntN(len(w.keys))]
	w.Append(wordKGet, key, wordAsOf, w.at)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.Read(&w.reply); err != nil {
		return err
	}
	if w.reply.Kind == resp.Bulk && rightValue(w.reply.Bytes, key) {
		t.Right()
	} else {
		t.Wrong("KGET %s ASOF %s answered %s", key, w.at, &w.reply)
	}
	return nil
}

// scan reads ScanKeys keys from one of the keys on.
func (kahunaDialect) scan(c *resp.Conn, rng *rand.Rand, keys [][]byte) load.Worker {
	return &scanWorker{client: client{Conn: c}, rng: rng, keys: keys[:len(keys)-ScanKeys]}
}

type scanWorker struct {
	client
	rng  *rand.Rand
	keys [][]byte
	next []byte
}

func (w *scanWorker) Do(t *load.Tally) error {
	w.Append(wordKRange, w.keys[w.rng.IntN(len(w.keys))], rangeEnd, wordLimit, scanLimit)
	n, err := w.page()
	switch {
	case err != nil:
		return err
	case n == ScanKeys:
		t.Right()
	default:
		t.Wrong("KRANGE answered %d keys: %s", n, &w.reply)
	}
	return nil
}

// page sends what is appended and reads a page of a scan: the number of keys, and the one to go on after in w.next, empty at the end.
func (w *scanWorker) page() (keys int, err error) {
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := w.Read(&w.reply); err != nil || w.reply.Kind != resp.Array || w.reply.Int != 2 {
		return 0, err
	}
	if err := w.Read(&w.reply); err != nil {
		return 0, err
	}
	w.next = w.next[:0]
	if w.reply.Kind == resp.Bulk {
		w.next = append(w.next, w.reply.Bytes...)
	}
	return w.items()
}

// items reads the keys of a page with their values and revisions, which may be nested.
func (w *scanWorker) items() (keys int, err error) {
	if err := w.Read(&w.reply); err != nil || w.reply.Kind != resp.Array {
		return 0, err
	}
	parts, left := 0, int(w.reply.Int)
	for ; left > 0; left-- {
		if err := w.Read(&w.reply); err != nil {
			return 0, err
		}
		if w.reply.Kind == resp.Array {
			left += int(w.reply.Int)
			continue
		}
		parts++
	}
	return parts / 3, nil
}

// scanAll goes through all keys at one timestamp, and begins again with a new one. It counts no operations.
func (kahunaDialect) scanAll(c *resp.Conn) load.Worker {
	return &scanAllWorker{scanWorker: scanWorker{client: client{Conn: c}}}
}

type scanAllWorker struct {
	scanWorker
	at   []byte
	seen int
}

func (w *scanAllWorker) Do(t *load.Tally) (err error) {
	if len(w.at) == 0 {
		if w.at, err = timestamp(w.Conn); err != nil {
			return err
		}
		w.Append(wordKPrefix, allPrefix, wordLimit, pageLimit, wordAsOf, w.at)
	} else {
		w.Append(wordKPrefix, allPrefix, wordAfter, w.next, wordLimit, pageLimit, wordAsOf, w.at)
	}
	n, err := w.page()
	if err != nil {
		return err
	}
	if w.seen += n; n == 0 || len(w.next) == 0 {
		if w.seen != Keys {
			t.Wrong("a scan of all keys found %d of %d: %s", w.seen, Keys, &w.reply)
		}
		w.at, w.seen = nil, 0
	}
	return nil
}

package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/resp"
)

const (
	setUpTimeout    = 10 * time.Second
	preparePipeline = 100
	lockTTLMs       = "30000"
)

// respDriver drives a server that speaks the Redis protocol. What Redis and Kahuna share is sent the same way to both.
type respDriver struct {
	addrs   []string
	dialect dialect
	keys    [][]byte
}

// dialect makes the workers for what the two servers offer in different commands.
type dialect interface {
	cas(c *resp.Conn, worker int) (load.Worker, error)
	lock(c *resp.Conn, worker int) (load.Worker, error)
	lockHot(c *resp.Conn, worker int) load.Worker // nil: there is none
	sequence(c *resp.Conn) load.Worker
	reader
}

// reader makes the workers that read ranges or the past; nil where there is no such thing.
type reader interface {
	snapshot(c *resp.Conn, rng *rand.Rand, keys [][]byte) (load.Worker, error)
	scan(c *resp.Conn, rng *rand.Rand, keys [][]byte) load.Worker
	scanAll(c *resp.Conn) load.Worker
	ordered() bool // whether there are any
}

func newRESPDriver(addrs []string, d dialect) *respDriver {
	return &respDriver{addrs: addrs, dialect: d, keys: dataKeys()}
}

// Supports is false for a lock that is waited for, and for ranges and the past, where there are none.
func (d *respDriver) Supports(w Workload) bool {
	switch w.Kind {
	case LockHot:
		return d.dialect.lockHot(nil, 0) != nil
	case Snapshot, Scan, SetAndScan:
		return d.dialect.ordered()
	}
	return true
}

func (d *respDriver) Close() error { return nil }

func (d *respDriver) Prepare(ctx context.Context) error {
	c, err := d.dial(0)
	if err != nil {
		return err
	}
	defer c.Close()
	rng := newRand(0)
	for at := 0; at < len(d.keys); at += preparePipeline {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch := d.keys[at:min(at+preparePipeline, len(d.keys))]
		for _, key := range batch {
			c.Append([]byte("SET"), key, newValue(rng, key))
		}
		if err := flushOK(c, len(batch)); err != nil {
			return err
		}
	}
	return nil
}

// flushOK sends what is appended and expects n times OK.
func flushOK(c *resp.Conn, n int) error {
	if err := c.Flush(); err != nil {
		return err
	}
	var r resp.Reply
	for range n {
		if err := c.Read(&r); err != nil {
			return err
		}
		if !r.IsOK() {
			return fmt.Errorf("SET answered %s", &r)
		}
	}
	return nil
}

// dial connects worker n, with a deadline that bounds the set-up.
func (d *respDriver) dial(n int) (*resp.Conn, error) {
	c, err := resp.Dial(d.addrs[n%len(d.addrs)])
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(setUpTimeout))
}

func (d *respDriver) Worker(_ context.Context, w Workload, n int) (load.Worker, error) {
	c, err := d.dial(n)
	if err != nil {
		return nil, err
	}
	worker, err := d.newWorker(c, w, n)
	if err == nil {
		err = c.SetDeadline(time.Time{}) // from here the run closes the connection when its time is over
	}
	if err != nil {
		_ = c.Close() // the first error says more
		return nil, err
	}
	return worker, nil
}

func (d *respDriver) newWorker(c *resp.Conn, w Workload, n int) (load.Worker, error) {
	rng := newRand(n)
	switch w.Kind {
	case SetAndScan:
		if n == 0 {
			return d.dialect.scanAll(c), nil
		}
		fallthrough
	case Set:
		return &setWorker{client: client{Conn: c}, rng: rng, keys: w.keysFor(d.keys), value: valueOf(rng, nil, w.valueBytes()), pipeline: w.Pipeline}, nil
	case Snapshot:
		return d.dialect.snapshot(c, rng, d.keys)
	case Scan:
		return d.dialect.scan(c, rng, d.keys), nil
	case Get:
		return &getWorker{client: client{Conn: c}, rng: rng, keys: d.keys, asked: make([][]byte, w.Pipeline)}, nil
	case CAS:
		return d.dialect.cas(c, n)
	case Lock:
		return d.dialect.lock(c, n)
	case LockHot:
		return d.dialect.lockHot(c, n), nil
	case Sequence:
		return d.dialect.sequence(c), nil
	case TxnOneSlot, TxnTwoSlots:
		return &txnWorker{client: client{Conn: c}, pairs: pairs(w.Kind, n), value: newValue(rng, nil)}, nil
	}
	return nil, fmt.Errorf("no such workload: %s", w.ID)
}

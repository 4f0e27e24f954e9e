package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var errLost = errors.New("the comparison failed, but nobody else writes this key")

func (d *etcdDriver) set(w *etcdWorker, rng *rand.Rand, wl Workload) func() error {
	value, keys := valueOf(rng, nil, wl.valueBytes()), d.keys
	if wl.Value > 0 {
		keys = texts(sizedKeys(wl.Value))
	}
	return func() error {
		key := keys[rng.IntN(len(keys))]
		copy(value, key)
		_, err := w.client.Put(w.ctx, key, string(value))
		return err
	}
}

func (d *etcdDriver) get(w *etcdWorker, rng *rand.Rand) func() error {
	return func() error {
		key := d.keys[rng.IntN(len(d.keys))]
		res, err := w.client.Get(w.ctx, key)
		if err != nil {
			return err
		}
		if len(res.Kvs) != 1 || !rightValue(res.Kvs[0].Value, []byte(key)) {
			return fmt.Errorf("a read of %s answered %v", key, res.Kvs)
		}
		return nil
	}
}

// cas writes the worker's key if its revision is still the one of the last write.
func (w *etcdWorker) cas(n int) (func() error, error) {
	key := casKey(n)
	value := string(newValue(newRand(n), []byte(key)))
	put, err := w.client.Put(w.ctx, key, value)
	if err != nil {
		return nil, err
	}
	revision := put.Header.Revision
	return func() error {
		res, err := w.client.Txn(w.ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, value)).Commit()
		if err != nil {
			return err
		}
		if !res.Succeeded {
			return errLost
		}
		revision = res.Header.Revision
		return nil
	}, nil
}

// sequence takes the next number by compare-and-set, again and again until nobody was faster: etcd has no counter.
func (w *etcdWorker) sequence() func() error {
	const key = "sequence"
	var revision, last int64
	return func() error {
		for {
			res, err := w.client.Txn(w.ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
				Then(clientv3.OpPut(key, strconv.FormatInt(last+1, 10))).Else(clientv3.OpGet(key)).Commit()
			if err != nil {
				return err
			}
			if res.Succeeded {
				revision, last = res.Header.Revision, last+1
				return nil
			}
			kvs := res.Responses[0].GetResponseRange().Kvs
			if len(kvs) != 1 {
				return errLost
			}
			now, err := strconv.ParseInt(string(kvs[0].Value), 10, 64)
			if err != nil || now <= last {
				return fmt.Errorf("the sequence stands at %q after %d", kvs[0].Value, last)
			}
			revision, last = kvs[0].ModRevision, now
		}
	}
}

// txn writes two keys of the worker in one transaction. etcd has no slots: both kinds are the same to it.
func (w *etcdWorker) txn(kind Kind, n int) func() error {
	value := string(newValue(newRand(n), nil))
	var ops [][]clientv3.Op
	for _, p := range pairs(kind, n) {
		ops = append(ops, []clientv3.Op{clientv3.OpPut(string(p[0]), value), clientv3.OpPut(string(p[1]), value)})
	}
	next := 0
	return func() error {
		next++
		res, err := w.client.Txn(w.ctx).Then(ops[next%len(ops)]...).Commit()
		if err == nil && !res.Succeeded {
			return errLost
		}
		return err
	}
}

// snapshot reads as of the revision at which the worker was made.
func (d *etcdDriver) snapshot(w *etcdWorker, rng *rand.Rand) (func() error, error) {
	now, err := w.client.Get(w.ctx, d.keys[0])
	if err != nil {
		return nil, err
	}
	return func() error {
		key := d.keys[rng.IntN(len(d.keys))]
		res, err := w.client.Get(w.ctx, key, clientv3.WithRev(now.Header.Revision))
		if err == nil && (len(res.Kvs) != 1 || !rightValue(res.Kvs[0].Value, []byte(key))) {
			return fmt.Errorf("a read of %s answered %v", key, res.Kvs)
		}
		return err
	}, nil
}

// scan reads ScanKeys keys from one of the keys on.
func (d *etcdDriver) scan(w *etcdWorker, rng *rand.Rand) func() error {
	keys := d.keys[:len(d.keys)-ScanKeys]
	return func() error {
		res, err := w.client.Get(w.ctx, keys[rng.IntN(len(keys))], clientv3.WithRange(string(rangeEnd)), clientv3.WithLimit(ScanKeys))
		if err == nil && len(res.Kvs) != ScanKeys {
			return fmt.Errorf("a scan answered %d keys", len(res.Kvs))
		}
		return err
	}
}

// errNotCounted is no failure: what was done is not what is counted.
var errNotCounted = errors.New("not counted")

// scanAll goes through all keys at one revision, page by page, and begins again.
func (d *etcdDriver) scanAll(w *etcdWorker) func() error {
	from, seen, revision := string(allPrefix), 0, int64(0)
	return func() error {
		res, err := w.client.Get(w.ctx, from, clientv3.WithRange(string(rangeEnd)), clientv3.WithLimit(1000), clientv3.WithRev(revision))
		if err != nil {
			return err
		}
		seen += len(res.Kvs)
		if res.More {
			if from = string(res.Kvs[len(res.Kvs)-1].Key) + "\x00"; revision == 0 {
				revision = res.Header.Revision
			}
			return errNotCounted
		}
		all := seen
		from, seen, revision = string(allPrefix), 0, 0
		if all != Keys {
			return fmt.Errorf("a scan of all keys found %d of %d", all, Keys)
		}
		return errNotCounted
	}
}

package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"kahuna/tests/bench/load"
)

const (
	// etcdConnections is how many gRPC connections the workers share: one per worker is slower, as is a single one.
	etcdConnections = 4
	etcdTxnOps      = 100 // below the server's limit of 128
	sessionTTLSec   = 60
)

// etcdDriver drives etcd through its own Go client, the way applications do.
type etcdDriver struct {
	clients []*clientv3.Client
	keys    []string
}

func newEtcdDriver(addrs []string) (Driver, error) {
	d := &etcdDriver{}
	for n := range max(etcdConnections, len(addrs)) {
		c, err := clientv3.New(clientv3.Config{Endpoints: addrs[n%len(addrs) : n%len(addrs)+1], DialTimeout: setUpTimeout, Logger: zap.NewNop()})
		if err != nil {
			_ = d.Close() // the first error says more
			return nil, err
		}
		d.clients = append(d.clients, c)
	}
	d.keys = texts(dataKeys())
	return d, nil
}

func texts(all [][]byte) (out []string) {
	for _, b := range all {
		out = append(out, string(b))
	}
	return out
}

func (d *etcdDriver) Close() error {
	var errs []error
	for _, c := range d.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Supports is false for pipelines, which the protocol does not have: it has more clients instead.
func (d *etcdDriver) Supports(w Workload) bool { return w.Pipeline == 1 }

func (d *etcdDriver) Prepare(ctx context.Context) error {
	rng := newRand(0)
	for at := 0; at < len(d.keys); at += etcdTxnOps {
		var ops []clientv3.Op
		for _, key := range d.keys[at:min(at+etcdTxnOps, len(d.keys))] {
			ops = append(ops, clientv3.OpPut(key, string(newValue(rng, []byte(key)))))
		}
		if _, err := d.clients[0].Txn(ctx).Then(ops...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (d *etcdDriver) Worker(ctx context.Context, w Workload, n int) (load.Worker, error) {
	client := d.clients[n%len(d.clients)]
	ctx, cancel := context.WithCancel(ctx)
	base := etcdWorker{client: client, ctx: ctx, cancel: cancel, closed: func() error { return nil }}
	op, err := d.operation(&base, w, n)
	if err != nil {
		cancel()
		return nil, err
	}
	base.op = op
	return &base, nil
}

// etcdWorker counts one call of op as one operation. A refusal that the client did not retry counts as a wrong reply.
type etcdWorker struct {
	client *clientv3.Client
	ctx    context.Context // ends with the worker
	cancel context.CancelFunc
	op     func() error
	closed func() error
}

func (w *etcdWorker) Do(t *load.Tally) error {
	err := w.op()
	switch {
	case err == nil:
		t.Right()
	case errors.Is(err, errNotCounted):
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	default:
		t.Wrong("%v", err)
	}
	return nil
}

func (w *etcdWorker) Close() error {
	err := w.closed()
	w.cancel()
	return err
}

func (d *etcdDriver) operation(w *etcdWorker, wl Workload, n int) (func() error, error) {
	rng := newRand(n)
	switch wl.Kind {
	case Set:
		return d.set(w, rng, wl), nil
	case SetAndScan:
		if n == 0 {
			return d.scanAll(w), nil
		}
		return d.set(w, rng, wl), nil
	case Snapshot:
		return d.snapshot(w, rng)
	case Scan:
		return d.scan(w, rng), nil
	case Get:
		return d.get(w, rng), nil
	case CAS:
		return w.cas(n)
	case Lock:
		return w.lock(lockName(n))
	case LockHot:
		return w.lock(hotLock)
	case Sequence:
		return w.sequence(), nil
	case TxnOneSlot, TxnTwoSlots:
		return w.txn(wl.Kind, n), nil
	}
	return nil, fmt.Errorf("no such workload: %s", wl.ID)
}

// lock is concurrency.Mutex with a session of the worker, which keeps its lease alive and revokes it at the end.
func (w *etcdWorker) lock(name string) (func() error, error) {
	session, err := concurrency.NewSession(w.client, concurrency.WithTTL(sessionTTLSec), concurrency.WithContext(w.ctx))
	if err != nil {
		return nil, err
	}
	w.closed = func() error {
		session.Orphan()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), time.Second)
		defer cancel()
		_, err := w.client.Revoke(ctx, session.Lease())
		return err
	}
	mutex := concurrency.NewMutex(session, name)
	return func() error {
		if err := mutex.Lock(w.ctx); err != nil {
			return err
		}
		return mutex.Unlock(w.ctx)
	}, nil
}

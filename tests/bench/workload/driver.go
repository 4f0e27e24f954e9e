package workload

import (
	"context"
	"fmt"

	"kahuna/tests/bench/load"
	"kahuna/tests/bench/system"
)

// Driver makes workers for one running system.
type Driver interface {
	// Prepare writes the keys that Get reads.
	Prepare(ctx context.Context) error
	// Supports tells whether the system can do the workload at all.
	Supports(w Workload) bool
	// Worker makes worker number n of w, connected and set up. The caller closes it.
	Worker(ctx context.Context, w Workload, n int) (load.Worker, error)
	// Close releases what the workers share.
	Close() error
}

// NewDriver returns the driver for a system whose nodes answer at addrs. Workers are spread over them.
func NewDriver(name string, addrs []string) (Driver, error) {
	switch name {
	case system.Kahuna:
		return newRESPDriver(addrs, kahunaDialect{}), nil
	case system.Redis:
		return newRESPDriver(addrs, redisDialect{}), nil
	case system.Etcd:
		return newEtcdDriver(addrs)
	}
	return nil, fmt.Errorf("no driver for %q", name)
}

// Workers makes all workers of w; on an error those already made are closed.
func Workers(ctx context.Context, d Driver, w Workload) ([]load.Worker, error) {
	workers := make([]load.Worker, 0, w.Clients)
	for n := range w.Clients {
		one, err := d.Worker(ctx, w, n)
		if err != nil {
			for _, made := range workers {
				_ = made.Close() // the first error says more
			}
			return nil, fmt.Errorf("set up worker %d of %s: %w", n, w.ID, err)
		}
		workers = append(workers, one)
	}
	return workers, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kahuna/admin"
	"kahuna/config"
	"kahuna/server"
	"kahuna/version"
)

// readyPoll is how often a node that has just started is asked whether it is ready, to log when it is.
const readyPoll = 10 * time.Millisecond

// run is a server's life: take the data directory, open all ports, open the node, serve until ctx ends or something fails,
// drain, close. What was begun is undone when a later step fails. It returns nil when ctx ended it and all went well.
func run(ctx context.Context, cfg *config.Config, log zerolog.Logger, open opener) (err error) {
	started := time.Now()
	dir, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	ports, err := bind(ctx, cfg)
	if err != nil {
		return err
	}
	defer ports.close()
	if err := ports.secure(cfg, log); err != nil {
		return &failure{exitSetting, err}
	}

	r := &running{cfg: cfg, ports: ports, log: log, registry: admin.NewRegistry(), ended: make(chan error, listeners)}
	stopAdmin := r.startAdmin()
	defer func() { err = errors.Join(err, stopAdmin()) }()
	n, err := open(ctx, cfg, ports, log)
	if err != nil {
		return openError(ctx, err)
	}
	defer func() { err = errors.Join(err, r.closeNode(n)) }()
	if err := register(r.registry, n.Collectors()); err != nil {
		return err
	}
	r.node.Store(&n)
	stopClients := r.startClients(n.Clients())
	defer stopClients()
	return r.untilStopped(ctx, n, started)
}

// openError is nil when the node was not opened only because the server was told to stop.
func openError(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("the node can't be opened: %w", err)
}

// listeners is how many this program serves by itself: for clients, for cluster-aware clients, for operators.
const listeners = 3

// running is a server that runs: what its listeners and its end share.
type running struct {
	cfg      *config.Config
	ports    *ports
	log      zerolog.Logger
	registry *prometheus.Registry
	node     atomic.Pointer[node] // nil: not open yet
	draining atomic.Bool
	ended    chan error // a listener that failed; with room for each of them
}

// ready is what /readyz shows.
func (r *running) ready() error {
	if r.draining.Load() {
		return errors.New("the server is stopping")
	}
	n := r.node.Load()
	if n == nil {
		return errors.New("the server is starting")
	}
	return (*n).Ready()
}

// adminPatience is how long requests of operators may hold up the end of a server.
const adminPatience = time.Second

// startAdmin serves operators. It goes first and ends last, so that they can watch the rest.
func (r *running) startAdmin() (stop func() error) {
	s := admin.New(admin.Options{Ready: r.ready, Metrics: r.registry, PprofRemote: r.cfg.PprofRemote, Log: r.log})
	var serving sync.WaitGroup
	r.start(&serving, func() error { return s.Serve(r.ports.admin) })
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), adminPatience)
		defer cancel()
		err := s.Shutdown(ctx)
		serving.Wait()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil // a profile that was being taken, say: it is cut off
		}
		return err
	}
}

// startClients serves both listeners for clients.
func (r *running) startClients(c clients) (stop func()) {
	var serving sync.WaitGroup
	r.start(&serving, func() error { return serve(c, r.ports.client, server.PortMain) })
	r.start(&serving, func() error { return serve(c, r.ports.cluster, server.PortCluster) })
	return func() {
		r.drain(c)
		serving.Wait()
	}
}

func serve(c clients, l net.Listener, port server.PortKind) error {
	if err := c.Serve(l, port); err != nil && !errors.Is(err, server.ErrClosed) {
		return fmt.Errorf("the listener on %v: %w", l.Addr(), err)
	}
	return nil
}

// start runs serve in a goroutine of the group. Its error ends the server.
func (r *running) start(group *sync.WaitGroup, serve func() error) {
	group.Go(func() {
		if err := serve(); err != nil {
			r.ended <- err
		}
	})
}

// drain lets commands that run end, within the time that the setting gives them.
func (r *running) drain(c clients) {
	r.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.ShutdownTimeout)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		r.log.Warn().Err(err).Msg("commands were cut off")
	}
}

func (r *running) closeNode(n node) error {
	r.draining.Store(true)
	if err := n.Close(); err != nil {
		return fmt.Errorf("closing the node: %w", err)
	}
	return nil
}

// untilStopped waits for ctx to end, which is no error, or for a fault. On the way it says once that the node is ready.
func (r *running) untilStopped(ctx context.Context, n node, started time.Time) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.Failed():
			return fmt.Errorf("the node stopped: %w", err)
		case err := <-r.ended:
			return err
		case <-poll.C:
			if n.Ready() == nil {
				poll.Stop()
				r.sayReady(time.Since(started))
			}
		}
	}
}

func (r *running) sayReady(took time.Duration) {
	r.log.Info().
		Stringer("listen", r.ports.client.Addr()).
		Stringer("cluster-listen", r.ports.cluster.Addr()).
		Stringer("peer-listen", r.ports.peer.Addr()).
		Stringer("admin-listen", r.ports.admin.Addr()).
		Str("data-dir", r.cfg.DataDir).
		Str("version", version.Get().Version).
		Int64("took-ms", took.Milliseconds()).
		Msg("ready")
}

func register(registry *prometheus.Registry, all []prometheus.Collector) error {
	for _, c := range all {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("a metric can't be registered: %w", err)
		}
	}
	return nil
}

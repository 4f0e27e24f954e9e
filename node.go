package main

import (
	"context"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kahuna/config"
	"kahuna/server"
)

// clients serves the connections of clients, on both ports together. *server.Server is one.
type clients interface {
	// Serve answers on l, which it owns, until Shutdown, and then gives server.ErrClosed; at once when Shutdown came first.
	Serve(l net.Listener, port server.PortKind) error
	// Shutdown stops accepting at once, lets running commands end, but not longer than ctx, and closes all connections.
	Shutdown(ctx context.Context) error
}

// node is what the program needs of the node that it runs.
type node interface {
	// Ready tells why commands can't be served, nil when they can. Joined errors are separate reasons. It never waits.
	Ready() error
	// Failed gets the fault that ended the node, if one does. It is never closed.
	Failed() <-chan error
	Collectors() []prometheus.Collector
	Clients() clients
	// Close stops and joins everything and makes the store durable. The clients were shut down before.
	Close() error
}

// opener opens the node of cfg.DataDir, which is locked for this process. The node owns ports.peer; the other listeners it
// may ask for their addresses only. When ctx ends it gives up. After an error nothing of it runs.
type opener func(ctx context.Context, cfg *config.Config, ports *ports, log zerolog.Logger) (node, error)

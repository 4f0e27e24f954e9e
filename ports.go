package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"kahuna/config"
)

// ports are the program's listeners.
type ports struct {
	client, cluster, peer, admin net.Listener
}

// bind opens all listeners, or none: a port that is taken shows before anything else has begun.
func bind(ctx context.Context, cfg *config.Config) (*ports, error) {
	p := new(ports)
	for _, l := range []struct {
		to           *net.Listener
		key, address string
	}{
		{&p.client, "listen", cfg.Listen},
		{&p.cluster, "cluster-listen", cfg.ClusterListen},
		{&p.peer, "peer-listen", cfg.PeerListen},
		{&p.admin, "admin-listen", cfg.AdminListen},
	} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			p.close()
			return nil, bindError(l.key, l.address, err)
		}
		*l.to = listener
	}
	return p, nil
}

func bindError(key, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &failure{exitBusy, fmt.Errorf("%s = %q: the port is in use by another program; stop that one, or choose "+
			"another with --%s", key, address, key)}
	}
	return &failure{exitSetting, fmt.Errorf("%s = %q: %w", key, address, err)}
}

// close closes what is open. Listeners that others have closed by now are closed once more, which does nothing.
func (p *ports) close() {
	for _, l := range []net.Listener{p.client, p.cluster, p.peer, p.admin} {
		if l != nil {
			l.Close()
		}
	}
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/rs/zerolog"

	"kahuna/certs"
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

// secure makes those listeners for clients speak TLS that are to.
func (p *ports) secure(cfg *config.Config, log zerolog.Logger) error {
	if !cfg.ListenTLS && !cfg.ClusterTLS {
		return nil
	}
	files := certs.Files{Cert: cfg.TLSCertFile, Key: cfg.TLSKeyFile, CA: cfg.TLSCACertFile, Clients: clientCertificates[cfg.TLSAuthClients]}
	source, err := certs.Load(files, func(err error) { log.Error().Err(err).Msg("TLS") })
	if err != nil {
		return fmt.Errorf("the files for TLS can't be read: %w", err)
	}
	if cfg.ListenTLS {
		p.client = tls.NewListener(p.client, source.Config())
	}
	if cfg.ClusterTLS {
		p.cluster = tls.NewListener(p.cluster, source.Config())
	}
	return nil
}

// clientCertificates are the values of tls-auth-clients.
var clientCertificates = map[string]tls.ClientAuthType{
	config.TLSClientsNo: tls.NoClientCert, config.TLSClientsOptional: tls.VerifyClientCertIfGiven, config.TLSClientsYes: tls.RequireAndVerifyClientCert,
}

// close closes what is open. Listeners that others have closed by now are closed once more, which does nothing.
func (p *ports) close() {
	for _, l := range []net.Listener{p.client, p.cluster, p.peer, p.admin} {
		if l != nil {
			l.Close()
		}
	}
}

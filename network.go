package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/rs/zerolog"

	"kahuna/cluster"
	"kahuna/config"
	"kahuna/peer"
)

// openNetwork makes the network between nodes on the listener for it, which it owns from now on.
func openNetwork(cfg *config.Config, ports *ports, identity *cluster.Identity, log zerolog.Logger) (*peer.Network, error) {
	secret, err := clusterSecret(cfg)
	if set := cfg.PeerTLSCertFile != ""; set != (cfg.PeerTLSKeyFile != "") || set != (cfg.PeerTLSCAFile != "") {
		err = errors.Join(err, errors.New("peer-tls-cert-file, peer-tls-key-file and peer-tls-ca-file: set all three, or none"))
	}
	if err != nil {
		return nil, &failure{exitSetting, errors.Join(err, ports.peer.Close())}
	}
	settings := peer.Config{Listener: ports.peer, Advertise: advertised(cfg, ports.peer), Secret: secret, ClusterID: identity.Cluster,
		NodeID: identity.Node(), Logger: log}
	if cfg.PeerTLSCertFile != "" {
		settings.TLS = func() (*tls.Config, error) { return peerTLS(cfg) }
	} else if secret == nil && !loopback(ports.peer.Addr().String()) {
		return nil, &failure{exitSetting, errors.Join(fmt.Errorf("peer-listen = %q can be reached from other machines: set cluster-secret-file, "+
			"or peer-tls-cert-file, peer-tls-key-file and peer-tls-ca-file, so that strangers can't join", cfg.PeerListen), ports.peer.Close())}
	}
	if settings.Advertise == "" {
		return nil, &failure{exitSetting, errors.Join(fmt.Errorf("peer-listen = %q stands for all addresses of this machine: set advertise-host to "+
			"the one that other nodes reach it by", cfg.PeerListen), ports.peer.Close())}
	}
	network, err := peer.New(settings)
	if err != nil {
		return nil, &failure{exitSetting, err}
	}
	return network, nil
}

// advertised is the address that others are told of a listener; empty when none can be told.
func advertised(cfg *config.Config, l net.Listener) string {
	addr, ok := l.Addr().(*net.TCPAddr)
	switch {
	case ok && cfg.AdvertiseHost != "":
		return net.JoinHostPort(cfg.AdvertiseHost, strconv.Itoa(addr.Port))
	case ok && addr.IP.IsUnspecified():
		return ""
	}
	return l.Addr().String()
}

// clusterSecret reads the secret that the nodes share; nil when there is none.
func clusterSecret(cfg *config.Config) ([]byte, error) {
	if cfg.ClusterSecretFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(cfg.ClusterSecretFile)
	if err != nil {
		return nil, fmt.Errorf("cluster-secret-file: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) < 16 {
		return nil, fmt.Errorf("cluster-secret-file = %q has %d bytes, at least 16 are needed (openssl rand -hex 32 makes a good one)", cfg.ClusterSecretFile, len(b))
	}
	return b, nil
}

// peerTLS reads the certificates for connections between nodes.
func peerTLS(cfg *config.Config) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(cfg.PeerTLSCertFile, cfg.PeerTLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("peer-tls-cert-file, peer-tls-key-file: %w", err)
	}
	pem, err := os.ReadFile(cfg.PeerTLSCAFile)
	if err != nil {
		return nil, fmt.Errorf("peer-tls-ca-file: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("peer-tls-ca-file = %q has no certificate", cfg.PeerTLSCAFile)
	}
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: authorities, ClientCAs: authorities}, nil
}

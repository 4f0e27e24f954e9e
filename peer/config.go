package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"
)

// Config is what a node's network is made of. Listener and NodeID are required. TLS, or else Secret, is required unless the
// listener is on loopback.
type Config struct {
	// Listener takes what other nodes dial. New owns it, also when it fails.
	Listener net.Listener
	// Advertise is the address by which others call this node; by default the listener's, unless that stands for all addresses.
	Advertise string
	// Dial connects to another node; by default over TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// TLS returns the settings for new connections, of both directions; it is asked for each, so what it returns may change. They
	// need a certificate, RootCAs and ClientCAs. The other side's certificate must fit the address dialed, or ServerName if set.
	TLS func() (*tls.Config, error)
	// Secret is shared by all nodes of the cluster, at least 16 bytes. Not used with TLS.
	Secret []byte
	// ClusterID is asked for each connection. Empty: this node has not joined a cluster yet. Nil: always empty.
	ClusterID func() string
	NodeID    string
	Logger    zerolog.Logger
	Limits    Limits
}

// Limits bound what a node's network takes. Zero fields have defaults. Nodes of one cluster should have the same.
type Limits struct {
	FrameBytesMax       int           // of one message with its frame; 16 MiB
	CallsInFlightMax    int           // calls to one node, and again from one node, of Raft and of the others each; 4096
	WaitsInFlightMax    int           // the same, of the calls that wait long; 16384
	HandledBytesMax     int           // of the requests of one node that are being handled; 256 MiB
	WriteBufferBytesMax int           // that wait to be written to one connection; 64 MiB
	StreamsMax          int           // at a time, of each direction; 64
	ConnectionsMax      int           // that others have opened; 1024
	UnauthenticatedMax  int           // of these, not proved yet; 64, a quarter of them from one host
	PeersMax            int           // addresses called; 1024
	DialTimeout         time.Duration // 2 s
	HandshakeTimeout    time.Duration // 5 s
	WriteTimeout        time.Duration // without the other side taking a piece of calls or answers; 5 s
	UnackedTimeout      time.Duration // in which the other side's machine confirms bytes of calls, before the connection is given up; 2 s
	StreamStallTimeout  time.Duration // without progress of a stream; 30 s
}

const (
	frameBytesMin  = 1 << 10 // the least that FrameBytesMax may be
	frameBytesTop  = 1 << 30 // and the most
	secretBytesMin = 16
	nameBytesMax   = 255 // of cluster id, node id and address
)

func (l Limits) withDefaults() Limits {
	setDefault(&l.FrameBytesMax, 16<<20)
	setDefault(&l.CallsInFlightMax, 4096)
	setDefault(&l.WaitsInFlightMax, 16384)
	setDefault(&l.HandledBytesMax, 256<<20)
	setDefault(&l.WriteBufferBytesMax, 64<<20)
	setDefault(&l.StreamsMax, 64)
	setDefault(&l.ConnectionsMax, 1024)
	setDefault(&l.UnauthenticatedMax, 64)
	setDefault(&l.PeersMax, 1024)
	setDefault(&l.DialTimeout, 2*time.Second)
	setDefault(&l.HandshakeTimeout, 5*time.Second)
	setDefault(&l.WriteTimeout, 5*time.Second)
	setDefault(&l.UnackedTimeout, 2*time.Second)
	setDefault(&l.StreamStallTimeout, 30*time.Second)
	return l
}

// inFlight is how many calls of a class there may be.
func (l Limits) inFlight(class int) int {
	if class == classWait {
		return l.WaitsInFlightMax
	}
	return l.CallsInFlightMax
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Advertise == "" && !isUnspecified(c.Listener.Addr()) {
		c.Advertise = c.Listener.Addr().String()
	}
	if c.ClusterID == nil {
		c.ClusterID = func() string { return "" }
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", addr)
		}
	}
	return c
}

// check refuses settings that can't work, or that would let strangers in.
func (c Config) check() error {
	switch {
	case c.NodeID == "" || len(c.NodeID) > nameBytesMax:
		return fmt.Errorf("peer: the node id has %d bytes, wanted are 1 to %d", len(c.NodeID), nameBytesMax)
	case c.Advertise == "" || len(c.Advertise) > nameBytesMax:
		return fmt.Errorf("peer: the advertised address has %d bytes, wanted are 1 to %d; none can be made of %s",
			len(c.Advertise), nameBytesMax, c.Listener.Addr())
	case len(c.ClusterID()) > nameBytesMax:
		return fmt.Errorf("peer: the cluster id has %d bytes, limit %d", len(c.ClusterID()), nameBytesMax)
	case c.Limits.FrameBytesMax < frameBytesMin || c.Limits.FrameBytesMax > frameBytesTop:
		return fmt.Errorf("peer: frames of %d bytes, wanted are %d to %d", c.Limits.FrameBytesMax, frameBytesMin, frameBytesTop)
	}
	switch c.mode() {
	case modeTLS:
		_, err := c.tlsConfig()
		return err
	case modeSecret:
		if len(c.Secret) < secretBytesMin {
			return fmt.Errorf("peer: the cluster secret has %d bytes, at least %d are needed", len(c.Secret), secretBytesMin)
		}
	default:
		if !isLoopback(c.Listener.Addr()) {
			return fmt.Errorf("peer: %s is not loopback: TLS or a cluster secret is needed", c.Listener.Addr())
		}
	}
	return nil
}

func (c Config) mode() mode {
	switch {
	case c.TLS != nil:
		return modeTLS
	case len(c.Secret) > 0:
		return modeSecret
	default:
		return modeOpen
	}
}

// tlsConfig asks for the current settings and refuses those that would trust strangers: with no roots of its own, a node would
// take any certificate that the machine's roots vouch for.
func (c Config) tlsConfig() (*tls.Config, error) {
	given, err := c.TLS()
	switch {
	case err != nil:
		return nil, fmt.Errorf("peer: TLS settings: %w", err)
	case given == nil:
		return nil, errors.New("peer: there are no TLS settings")
	case given.RootCAs == nil || given.ClientCAs == nil:
		return nil, errors.New("peer: TLS needs RootCAs and ClientCAs")
	case given.InsecureSkipVerify:
		return nil, errors.New("peer: TLS must verify certificates")
	case len(given.Certificates) == 0 && (given.GetCertificate == nil || given.GetClientCertificate == nil):
		return nil, errors.New("peer: TLS needs a certificate")
	}
	own := given.Clone()
	own.ClientAuth = tls.RequireAndVerifyClientCert
	own.MinVersion = tls.VersionTLS13
	own.SessionTicketsDisabled = true // each connection proves itself by today's settings
	own.ClientSessionCache = nil
	return own, nil
}

// isUnspecified is whether an address stands for all of the machine.
func isUnspecified(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsUnspecified()
}

// isLoopback is whether an address can only be reached from this machine.
func isLoopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return a.Network() == "pipe" // within this process
	}
}

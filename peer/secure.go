package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Bytes that a connection may send before it is authenticated.
const (
	unprovedBytesMax    = 4 << 10
	unprovedTLSBytesMax = 64 << 10 // chains of certificates
)

var errUnprovedBytes = errors.New("peer: too many bytes before the handshake's end")

// meteredConn ends a connection that sends too much before it is authenticated.
type meteredConn struct {
	net.Conn
	left   atomic.Int64
	opened atomic.Bool // authenticated: no limit any more
}

func (m *meteredConn) Read(p []byte) (int, error) {
	if m.opened.Load() {
		return m.Conn.Read(p)
	}
	left := m.left.Load()
	if left <= 0 {
		return 0, errUnprovedBytes
	}
	n, err := m.Conn.Read(p[:min(int64(len(p)), left)])
	m.left.Add(-int64(n))
	return n, err
}

// secured is a connection behind its handshake. Frames go over conn, raw is what gets closed: closing TLS may wait.
type secured struct {
	conn, raw net.Conn
	who       identity
	purpose   byte
}

// secureDialed makes the handshake on a connection that this node has opened to addr. It ends when raw is closed, and after
// HandshakeTimeout. It does not close raw.
func (n *Network) secureDialed(ctx context.Context, raw net.Conn, addr string, purpose byte) (s secured, err error) {
	metered, err := n.meter(raw)
	if err != nil {
		return s, err
	}
	conn := net.Conn(metered)
	if n.mode == modeTLS {
		settings, err := n.cfg.tlsConfig()
		if err != nil {
			return s, err
		}
		if settings.ServerName == "" {
			settings.ServerName, _, err = net.SplitHostPort(addr)
			if err != nil {
				return s, err
			}
		}
		client := tls.Client(conn, settings)
		if err := client.HandshakeContext(ctx); err != nil {
			return s, err
		}
		conn = client
	}
	who, err := n.self().greet(conn, purpose)
	if err != nil {
		return s, tlsRefusal(err)
	}
	return n.opened(secured{conn: conn, raw: raw, who: who, purpose: purpose}, metered)
}

// tlsRefusal makes an alert of the other side what it is: with TLS 1.3 a dialer hears after its own handshake that its certificate
// is not accepted.
func tlsRefusal(err error) error {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return ErrRefused{Reason: alert.Err.Error()}
	}
	return err
}

// secureAccepted is secureDialed for a connection that another node has opened.
func (n *Network) secureAccepted(ctx context.Context, raw net.Conn) (s secured, err error) {
	metered, err := n.meter(raw)
	if err != nil {
		return s, err
	}
	conn := net.Conn(metered)
	if n.mode == modeTLS {
		settings, err := n.cfg.tlsConfig()
		if err != nil {
			return s, err
		}
		server := tls.Server(conn, settings)
		if err := server.HandshakeContext(ctx); err != nil {
			return s, err
		}
		conn = server
	}
	h, err := n.self().receive(conn)
	if err != nil {
		return s, err
	}
	return n.opened(secured{conn: conn, raw: raw, who: h.who, purpose: h.purpose}, metered)
}

// meter begins a handshake: its bytes and its time are bounded.
func (n *Network) meter(raw net.Conn) (*meteredConn, error) {
	if n.mode == modeOpen && !isLoopback(raw.RemoteAddr()) {
		return nil, fmt.Errorf("peer: %s is not loopback, and there is neither TLS nor a cluster secret", raw.RemoteAddr())
	}
	m := &meteredConn{Conn: raw}
	m.left.Store(unprovedBytesMax)
	if n.mode == modeTLS {
		m.left.Store(unprovedTLSBytesMax)
	}
	return m, raw.SetDeadline(time.Now().Add(n.cfg.Limits.HandshakeTimeout))
}

// opened ends the handshake.
func (n *Network) opened(s secured, m *meteredConn) (secured, error) {
	m.opened.Store(true)
	return s, s.raw.SetDeadline(time.Time{})
}

package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs certificates of test nodes.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a node's settings: a certificate that is good until notAfter, and trust in a.
func (a *authority) issue(t testing.TB, notAfter time.Time) *tls.Config {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: a.pool, ClientCAs: a.pool}
}

func withTLS(settings *tls.Config) func(*Config) {
	return func(c *Config) { c.TLS = func() (*tls.Config, error) { return settings, nil } }
}

var soon = time.Now().Add(30 * time.Minute)

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	a, b, h := pair(t, withTLS(ca.issue(t, soon)))
	mustCall(t, a, b.LocalAddr(), otherKind+"echo in", "in")
	mustCall(t, b, a.LocalAddr(), otherKind+"echo in", "in")
	h.stream = summing
	if got, err := a.Stream(t.Context(), b.LocalAddr(), []byte("s"), strings.NewReader(strings.Repeat("x", 1<<20))); err != nil || !strings.HasPrefix(string(got), "s 1048576 ") {
		t.Fatalf("%q %v", got, err)
	}
}

func TestTLSRefuses(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	b := node(t, "b", newHandler(), withTLS(ca.issue(t, soon)))
	stranger := other.issue(t, soon)
	stranger.RootCAs = ca.pool // it believes b, but b does not believe it
	expired := ca.issue(t, time.Now().Add(-time.Hour))
	bare := ca.issue(t, soon) // offers no certificate, though it has settings that look so
	bare.Certificates = nil
	bare.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }
	bare.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	for name, settings := range map[string]*tls.Config{"stranger": stranger, "expired": expired, "bare": bare} {
		if err := refusal(t, b, withTLS(settings)); !errors.As(err, new(ErrRefused)) {
			t.Error(name, err)
		}
	}
	if err := refusal(t, b, withTLS(other.issue(t, soon))); !strings.Contains(err.Error(), "unknown authority") {
		t.Error("a false listener was believed:", err)
	}
	// Without TLS there is no way in, and none out.
	refusal(t, b)
	plain := node(t, "plain", newHandler())
	refusal(t, plain, withTLS(ca.issue(t, soon)))
	if err := refusal(t, b, withTLS(ca.issue(t, soon)), id("b")); !strings.Contains(err.Error(), "same id") {
		t.Fatal(err)
	}
}

func TestTLSIsReloaded(t *testing.T) {
	ca, next := newAuthority(t), newAuthority(t)
	var current atomic.Pointer[tls.Config]
	current.Store(ca.issue(t, soon))
	reloading := func(c *Config) { c.TLS = func() (*tls.Config, error) { return current.Load(), nil } }
	a, b, _ := pair(t, reloading)
	mustCall(t, a, b.LocalAddr(), otherKind+"echo in", "in")
	old := node(t, "old", newHandler(), withTLS(current.Load()))
	current.Store(next.issue(t, soon))
	c := node(t, "c", newHandler(), reloading)
	mustCall(t, c, b.LocalAddr(), otherKind+"echo in", "in")
	if _, err := old.Call(t.Context(), b.LocalAddr(), []byte(otherKind+"echo")); err == nil {
		t.Fatal("the old authority still counts")
	}
	mustCall(t, a, b.LocalAddr(), otherKind+"echo in", "in") // open connections stay
}

func TestTLSSettingsThatTrustStrangers(t *testing.T) {
	ca := newAuthority(t)
	for name, change := range map[string]func(*tls.Config){
		"no roots":       func(c *tls.Config) { c.RootCAs = nil },
		"no client CAs":  func(c *tls.Config) { c.ClientCAs = nil },
		"no verifying":   func(c *tls.Config) { c.InsecureSkipVerify = true },
		"no certificate": func(c *tls.Config) { c.Certificates = nil },
	} {
		settings := ca.issue(t, soon)
		change(settings)
		if _, err := New(Config{NodeID: "x", Listener: listen(t, "127.0.0.1:0"), TLS: func() (*tls.Config, error) { return settings, nil }}); err == nil {
			t.Error(name)
		}
	}
	if _, err := New(Config{NodeID: "x", Listener: listen(t, "127.0.0.1:0"), TLS: func() (*tls.Config, error) { return nil, nil }}); err == nil {
		t.Error("nil")
	}
}

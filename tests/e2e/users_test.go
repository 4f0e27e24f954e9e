package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"kahuna/tests/e2e/rig"
)

// TestUsers: a password, a user with few rights, and both again after a kill. No password is in the log.
func TestUsers(t *testing.T) {
	const password, other = "pass-of-default", "pass-of-app"
	o := rig.Options{Dir: t.TempDir(), Env: []string{"KAHUNA_REQUIREPASS=" + password}}
	s := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	client := func(user, pass string) *redis.Client {
		c := redis.NewClient(&redis.Options{Addr: s.Listen, Username: user, Password: pass, MaxRetries: -1, ReadTimeout: patience})
		t.Cleanup(func() { c.Close() })
		return c
	}
	denied(t, client("", "").Ping(ctx).Err(), "NOAUTH")
	denied(t, client("", "wrong").Ping(ctx).Err(), "WRONGPASS")
	root := client("", password)
	rules := []any{"ACL", "SETUSER", "app", "on", ">" + other, "+@all", "-@admin", "~app:*", "%R~shared:*"}
	if err := root.Do(ctx, rules...).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s = start(t, o)

	app := client("app", other)
	if err := app.Set(ctx, "app:k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
	if err := app.Do(ctx, "LOCK", "app:l", "me", 1000).Err(); err != nil {
		t.Error(err)
	}
	denied(t, app.Set(ctx, "shared:k", "v", 0).Err(), "NOPERM")
	denied(t, app.Do(ctx, "LOCK", "other", "me", 1000).Err(), "NOPERM")
	denied(t, app.Do(ctx, "KPREFIX", "a").Err(), "NOPERM")
	denied(t, app.ConfigGet(ctx, "*").Err(), "NOPERM")
	if _, err := app.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "shared:k"); return p.Set(ctx, "x", "v", 0).Err() }); err == nil {
		t.Error("a transaction with a forbidden command was executed")
	}
	root = client("", password)
	if got, err := root.ConfigGet(ctx, "requirepass").Result(); err != nil || strings.Contains(got["requirepass"], password) {
		t.Errorf("CONFIG GET requirepass gives %v, %v", got, err)
	}
	held := app.Conn()
	defer held.Close()
	if err := held.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := root.Do(ctx, "ACL", "DELUSER", "app").Int(); n != 1 || err != nil {
		t.Errorf("DELUSER gives %d, %v", n, err)
	}
	if err := held.Ping(ctx).Err(); err == nil || strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("the connection of a deleted user goes on: %v", err)
	}
	denied(t, client("app", other).Ping(ctx).Err(), "WRONGPASS")
	if log := s.Log(); strings.Contains(log, password) || strings.Contains(log, other) {
		t.Error("a password is in the log")
	}
}

func denied(t *testing.T, err error, prefix string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), prefix) {
		t.Errorf("got %v, want %s", err, prefix)
	}
}

// TestTLS: one listener speaks TLS and the other does not; then clients must have certificates, and the server's is changed while
// it runs.
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key, issuer := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	ca.write(t, cert, key, 10)
	if err := os.WriteFile(issuer, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	ask := func(addr string, config *tls.Config) error {
		c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: config, MaxRetries: -1, DialerRetries: 1, ReadTimeout: patience})
		defer c.Close()
		return c.Set(ctx, "k", "v", 0).Err()
	}
	files := []string{"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", issuer}
	s := start(t, rig.Options{Dir: t.TempDir(), Args: append([]string{"--listen-tls"}, files...)})
	plain := &tls.Config{RootCAs: ca.pool}
	if err := errors.Join(ask(s.Listen, plain), ask(s.ClusterListen, nil)); err != nil {
		t.Error(err)
	}
	if ask(s.Listen, nil) == nil || ask(s.Listen, &tls.Config{}) == nil {
		t.Error("a client was served without TLS, or trusts anybody")
	}
	s.Kill()

	s = start(t, rig.Options{Dir: t.TempDir(), Args: append([]string{"--listen-tls", "--cluster-listen-tls", "--tls-auth-clients", "yes"}, files...)})
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var seen int64
	mutual := &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{own}, VerifyConnection: func(c tls.ConnectionState) error {
		seen = c.PeerCertificates[0].SerialNumber.Int64()
		return nil
	}}
	if err := errors.Join(ask(s.Listen, mutual), ask(s.ClusterListen, mutual)); err != nil || seen != 10 {
		t.Errorf("certificate %d: %v", seen, err)
	}
	if ask(s.Listen, plain) == nil {
		t.Error("a client without a certificate was served")
	}
	ca.write(t, cert, key, 11)
	if err := ask(s.Listen, mutual); err != nil || seen != 11 {
		t.Errorf("after a new certificate came the one seen is %d: %v", seen, err)
	}
}

// authority issues certificates for loopback.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool(), pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	a.pool.AddCert(cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write issues a certificate, for servers and clients.
func (a *authority) write(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"kahuna/resp"
)

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Over TLS, commands that block for a moment must leave the stream whole, and an error must be readable.
func TestTLS(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := make(chan bool, 10)
	h := &funcHandler{open: func(s *funcSession) { secure <- s.info.TLS != nil }}
	h.serve = func(s *funcSession, ctx context.Context, cmds []Command, w *resp.Writer) bool {
		rest := slices.Clone(cmds)
		s.resume = func(ctx context.Context, w *resp.Writer) bool {
			keep := basic(s, ctx, rest[:1], w)
			if rest = rest[1:]; len(rest) > 0 {
				go s.info.Suspend(func(error) {})()
			}
			return keep
		}
		go s.info.Suspend(func(error) {})()
		return true
	}
	ln := tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
	r := start(Config{}, h, ln)
	defer r.stop(t)
	dial := func() *client {
		c, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		return newClient(c)
	}
	c := dial()
	defer c.Close()
	in, out := pipeline(300)
	go c.Write([]byte(in))
	c.expect(t, out)
	if !<-secure {
		t.Error("the session was not told of TLS")
	}
	go c.Write([]byte("*x\r\n" + strings.Repeat("z", 100_000)))
	c.expect(t, "-ERR Protocol error: invalid multibulk length\r\n")
	c.expectClosed(t)
	c.Close()

	plain, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	plain.Write([]byte("PING\r\n"))
	for r.Stats().Connections > 0 { // a failed handshake opens no session
		newClient(plain).r.ReadByte()
	}
	if len(secure) != 0 {
		t.Error("a session without a handshake")
	}
	silent, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // Shutdown does not wait for its handshake
}

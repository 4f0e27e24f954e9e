package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes one that nobody vouches for, for no name, and gives the files that it is in.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// ping in the environment of a server that speaks TLS finds that server, and takes no other for it.
func TestPingFindsItsServerByTLS(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, len("*1\r\n$4\r\nPING\r\n"))); err == nil {
				io.WriteString(c, "+PONG\r\n")
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	env := func(cert, key string) []string {
		return []string{"KAHUNA_LISTEN=" + l.Addr().String(), "KAHUNA_LISTEN_TLS=true", "KAHUNA_TLS_CERT_FILE=" + cert, "KAHUNA_TLS_KEY_FILE=" + key}
	}
	if code, out, log := command(env(cert, key), "ping"); code != 0 || out != "PONG\n" {
		t.Errorf("exit %d, printed %q, logged %q", code, out, log)
	}
	other, otherKey := certificate(t)
	if code, _, log := command(env(other, otherKey), "ping"); code != exitUnavailable || !strings.Contains(log, "another certificate") {
		t.Errorf("another server: exit %d, logged %q", code, log)
	}
	if code, _, log := command(env("/nonexistent", key), "ping"); code != exitUsage || !strings.Contains(log, "KAHUNA_TLS_CERT_FILE") {
		t.Errorf("no certificate: exit %d, logged %q", code, log)
	}
	if code, _, log := command(nil, "ping", "--addr", l.Addr().String()); code != exitUnavailable || !strings.Contains(log, "use --tls") {
		t.Errorf("without TLS: exit %d, logged %q", code, log)
	}
}

// A read without an answer has changed nothing, whatever it ended by; what a server said before counts.
func TestReadWithoutAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				io.ReadFull(c, make([]byte, len("*3\r\n$4\r\nKGET\r\n$1\r\nk\r\n$4\r\nMETA\r\n")))
				io.WriteString(c, "-CLUSTERDOWN no quorum\r\n")
			}
			io.Copy(io.Discard, c) // until the client goes
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	if code, _, log := command(nil, "kv", "get", "k", "--addr", l.Addr().String(), "--timeout", "3s"); code != exitUnavailable || !strings.Contains(log, "CLUSTERDOWN") {
		t.Errorf("exit %d, logged %q", code, log)
	}
	if code, _, log := command(nil, "kv", "get", "k", "--addr", l.Addr().String(), "--timeout", "100ms"); code != exitUnavailable {
		t.Errorf("exit %d, logged %q", code, log)
	}
	if code, _, log := command(nil, "kv", "get", "k", "--addr", "localhost"); code != exitUsage || !strings.Contains(log, "HOST:PORT") {
		t.Errorf("exit %d, logged %q", code, log)
	}
}

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// write makes a certificate with a number and puts it and its key where Files names them.
func write(t *testing.T, f Files, serial int64) {
	t.Helper()
	cert, key := pair(t, serial)
	save(t, f.Key, key)
	save(t, f.Cert, cert)
}

func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func save(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T) Files {
	dir := t.TempDir()
	return Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
}

func serial(t *testing.T, s *Source) int64 {
	t.Helper()
	c, err := s.Config().GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

// TestNewFiles: a changed pair counts at once; a broken one never, and is told once.
func TestNewFiles(t *testing.T) {
	f := files(t)
	write(t, f, 1)
	var told []error
	s, err := Load(f, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	first, _ := s.Config().GetConfigForClient(nil)
	if again, _ := s.Config().GetConfigForClient(nil); again != first {
		t.Error("the configuration changes without reason, and with it the keys of session tickets")
	}
	write(t, f, 2)
	if n := serial(t, s); n != 2 || len(told) != 0 {
		t.Errorf("the certificate is number %d, told %v", n, told)
	}
	cert, key := pair(t, 3)
	save(t, f.Cert, cert)
	for range 3 {
		if n := serial(t, s); n != 2 {
			t.Errorf("with half a pair the certificate is number %d", n)
		}
	}
	if len(told) != 1 {
		t.Errorf("told %v", told)
	}
	save(t, f.Key, key)
	if n := serial(t, s); n != 3 || len(told) != 1 {
		t.Errorf("the certificate is number %d, told %v", n, told)
	}
	os.Remove(f.Key)
	for range 3 {
		if n := serial(t, s); n != 3 {
			t.Errorf("without a key the certificate is number %d", n)
		}
	}
	if len(told) != 2 {
		t.Errorf("told %v", told)
	}
}

func TestLoadRefuses(t *testing.T) {
	f := files(t)
	if _, err := Load(f, nil); !os.IsNotExist(err) {
		t.Errorf("without files: %v", err)
	}
	write(t, f, 1)
	f.CA = f.Key
	if _, err := Load(f, nil); err == nil {
		t.Error("a CA file without a certificate was taken")
	}
	f.CA, f.Clients = f.Cert, tls.RequireAndVerifyClientCert
	s, err := Load(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := s.Config().GetConfigForClient(nil); c.ClientAuth != tls.RequireAndVerifyClientCert || c.ClientCAs == nil || c.MinVersion < tls.VersionTLS12 {
		t.Error("clients are not asked for certificates")
	}
}

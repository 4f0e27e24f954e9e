package client

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
)

// The server's certificate is checked, against the host of the address.
func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate, which is for 127.0.0.1
	defer certified.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certified.TLS.Certificates})
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
			answers("+PONG\r\n")(c)
			c.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	for name, x := range map[string]struct {
		config *tls.Config
		says   string
	}{
		"trusted":      {&tls.Config{RootCAs: trusted}, ""},
		"not trusted":  {&tls.Config{}, "certificate"},
		"another host": {&tls.Config{RootCAs: trusted, ServerName: "kahuna.invalid"}, "certificate"},
	} {
		c := New(Options{Addrs: []string{l.Addr().String()}, TLS: x.config})
		r, err := c.Do(seconds(t, 20), "PING")
		if x.says == "" && (err != nil || r.Text != "PONG") || x.says != "" && (!Unchanged(err) || !strings.Contains(err.Error(), x.says)) {
			t.Errorf("%s: %q, %v", name, r.Text, err)
		}
		c.Close()
	}
}

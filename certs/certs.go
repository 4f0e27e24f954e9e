// Package certs keeps the certificate that clients see, and takes a new one from its files without a restart.
//
// The files are looked at in each handshake, which costs far more than that: there is nothing to signal and nothing runs in the
// background. While new files are no whole (a certificate without its key yet, say), the old ones go on, and that is told once.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// Files are the names of PEM files, and what is asked of clients.
type Files struct {
	Cert string // certificate, with those that lead to its issuer behind it
	Key  string
	CA   string // issuers of the certificates of clients; empty: none are asked for
	// Clients is tls.NoClientCert, tls.VerifyClientCertIfGiven or tls.RequireAndVerifyClientCert; without CA it must be the first.
	Clients tls.ClientAuthType
}

// Source gives the present certificate. Load makes one.
type Source struct {
	files   Files
	tell    func(error)
	current atomic.Pointer[state]
	looking sync.Mutex // held by the one that looks; the others go on with what there is
}

// state is a configuration with what its files were like when they were read.
type state struct {
	config *tls.Config
	seen   []os.FileInfo
	failed []os.FileInfo // files that could not be taken, so that this is told once
}

// Load reads the files. tell is called later, from any goroutine, when files that changed can't be taken.
func Load(files Files, tell func(error)) (*Source, error) {
	s := &Source{files: files, tell: tell}
	seen, err := files.look()
	if err != nil {
		return nil, err
	}
	config, err := files.read()
	if err != nil {
		return nil, err
	}
	s.current.Store(&state{config: config, seen: seen})
	return s, nil
}

// Config is for a listener. Its handshakes use the files as they are then.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.present(), nil },
	}
}

// present is the configuration of the files as they are now.
func (s *Source) present() *tls.Config {
	if s.looking.TryLock() {
		defer s.looking.Unlock()
		s.refresh()
	}
	return s.current.Load().config
}

// refresh takes new files, if they are.
func (s *Source) refresh() {
	old := s.current.Load()
	seen, err := s.files.look()
	if err == nil && (same(seen, old.seen) || same(seen, old.failed)) {
		return
	}
	var config *tls.Config
	if err == nil {
		config, err = s.files.read()
	}
	if err == nil {
		s.current.Store(&state{config: config, seen: seen})
		return
	}
	if old.failed == nil || seen != nil {
		if seen == nil {
			seen = []os.FileInfo{}
		}
		s.current.Store(&state{config: old.config, seen: old.seen, failed: seen})
		s.tell(fmt.Errorf("the new files for TLS can't be taken, the old ones go on: %w", err))
	}
}

func (f *Files) names() []string {
	if f.CA == "" {
		return []string{f.Cert, f.Key}
	}
	return []string{f.Cert, f.Key, f.CA}
}

// look tells what the files are like.
func (f *Files) look() ([]os.FileInfo, error) {
	var all []os.FileInfo
	for _, name := range f.names() {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		all = append(all, info)
	}
	return all, nil
}

func same(a, b []os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// read makes the configuration of the files.
func (f *Files) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", f.Cert, f.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: f.Clients}
	if f.CA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %w", f.CA, errNoCertificate)
	}
	return c, nil
}

var errNoCertificate = errors.New("there is no certificate in it")

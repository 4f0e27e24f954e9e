package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// start serves o on a free loopback port, pretending that it listens on seen if that is not nil, and gives the base URL.
func start(t *testing.T, o Options, seen net.Addr) (string, *Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if seen != nil {
		l = elsewhere{l, seen}
	}
	if o.Metrics == nil {
		o.Metrics = NewRegistry()
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	s := New(o)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return url, s
}

// elsewhere is a listener that says it listens on another address.
type elsewhere struct {
	net.Listener
	addr net.Addr
}

func (e elsewhere) Addr() net.Addr { return e.addr }

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func expect(t *testing.T, url string, status int, part string) {
	t.Helper()
	gotStatus, got := get(t, url)
	if gotStatus != status || !strings.Contains(got, part) {
		t.Errorf("GET %s: %d %q, want %d with %q", url, gotStatus, got, status, part)
	}
}

func TestReadiness(t *testing.T) {
	var reason atomic.Pointer[error]
	set := func(err error) { reason.Store(&err) }
	set(errors.Join(errors.New("partition 3 has no leader"), errors.New("the disk is full")))
	url, _ := start(t, Options{Ready: func() error { return *reason.Load() }}, nil)
	expect(t, url+"/readyz", 503, "partition 3 has no leader\nthe disk is full\n")
	expect(t, url+"/livez", 200, "live\n")
	set(nil)
	expect(t, url+"/readyz", 200, "ready\n")
	set(errors.New(strings.Repeat("x", 10*readyReasonsBytesMax)))
	if _, body := get(t, url+"/readyz"); len(body) > readyReasonsBytesMax+10 {
		t.Errorf("%d bytes of reasons", len(body))
	}
}

func TestMetrics(t *testing.T) {
	r := NewRegistry()
	url, _ := start(t, Options{Metrics: r}, nil)
	expect(t, url+"/metrics", 200, "go_goroutines ")
	expect(t, url+"/metrics", 200, "process_resident_memory_bytes ")
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kahuna_late"}, func() float64 { return 7 }))
	expect(t, url+"/metrics", 200, "kahuna_late 7\n")
}

func TestProfilesOnLoopbackOnly(t *testing.T) {
	outside := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6382}
	everywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: 6382}
	paths := []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/cmdline", "/debug/pprof/symbol"}
	tests := []struct {
		name   string
		seen   net.Addr
		remote bool
		want   int
	}{
		{"loopback", nil, false, 200},
		{"one interface", outside, false, 403},
		{"all interfaces", everywhere, false, 403},
		{"allowed", everywhere, true, 200},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url, _ := start(t, Options{PprofRemote: test.remote}, test.seen)
			for _, path := range paths {
				expect(t, url+path, test.want, "")
			}
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	url, _ := start(t, Options{}, nil)
	expect(t, url+"/", 404, "")
	expect(t, url+"/livez/x", 404, "")
	r, err := http.Post(url+"/readyz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", r.StatusCode)
	}
}

// A handler that panics is told in the log and ends no process.
func TestPanicIsLogged(t *testing.T) {
	var log syncBuffer
	url, s := start(t, Options{Ready: func() error { panic("no reason") }, Log: zerolog.New(&log)}, nil)
	if r, err := http.Get(url + "/readyz"); err == nil {
		r.Body.Close()
		t.Errorf("answered %d", r.StatusCode)
	}
	expect(t, url+"/livez", 200, "live")
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "no reason") || !strings.Contains(got, `"level":"warn"`) {
		t.Errorf("logged %q", got)
	}
}

// Shutdown lets a request that runs end, and cuts it off when it may wait no longer.
func TestShutdown(t *testing.T) {
	for _, patient := range []bool{true, false} {
		entered, leave := make(chan struct{}), make(chan struct{})
		url, s := start(t, Options{Ready: func() error { close(entered); <-leave; return nil }}, nil)
		answered := make(chan error, 1)
		go func() {
			r, err := http.Get(url + "/readyz")
			if err == nil {
				r.Body.Close()
			}
			answered <- err
		}()
		<-entered
		ctx, cancel := context.WithCancel(context.Background())
		if patient {
			down := make(chan error, 1)
			go func() { down <- s.Shutdown(ctx) }()
			close(leave)
			if err := <-answered; err != nil {
				t.Errorf("the request that ran was cut off: %v", err)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
		} else {
			cancel()
			if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("shutdown gave %v", err)
			}
			if err := <-answered; err == nil {
				t.Error("the request was answered")
			}
			close(leave)
		}
		cancel()
		if r, err := http.Get(url + "/livez"); err == nil {
			r.Body.Close()
			t.Error("still listening")
		}
	}
}

// syncBuffer is a bytes.Buffer for many goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

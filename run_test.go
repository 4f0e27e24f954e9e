package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kahuna/config"
	"kahuna/server"
)

// anyPorts is a configuration with free ports and its data in a temporary directory.
func anyPorts(t *testing.T) *config.Config {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	for _, addr := range []*string{&cfg.Listen, &cfg.ClusterListen, &cfg.PeerListen, &cfg.AdminListen} {
		*addr = "127.0.0.1:0"
	}
	return cfg
}

// life is a run with a fake node in this process.
type life struct {
	t     *testing.T
	node  *fakeNode
	ports *ports
	stop  context.CancelFunc
	ended chan error
}

// begin starts a run. It returns when the node is being opened; that goes on when open is closed.
func begin(t *testing.T, cfg *config.Config, n *fakeNode, open <-chan struct{}) *life {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{t: t, node: n, stop: cancel, ended: make(chan error, 1)}
	opening := make(chan *ports, 1)
	go func() {
		l.ended <- run(ctx, cfg, zerolog.Nop(), func(ctx context.Context, _ *config.Config, p *ports, _ zerolog.Logger) (node, error) {
			opening <- p
			select {
			case <-open:
				return n, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
	}()
	t.Cleanup(cancel)
	select {
	case l.ports = <-opening:
		return l
	case err := <-l.ended:
		l.ended <- err
	}
	select {
	case l.ports = <-opening: // and ended at once
	default:
		t.Fatalf("ended before the node was opened: %v", <-l.ended)
	}
	return l
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// awaitReadyz asks /readyz until it answers so.
func (l *life) awaitReadyz(status int, part string) {
	l.t.Helper()
	var got string
	for until := time.Now().Add(patience); time.Now().Before(until); {
		code, body, err := fetch("http://" + l.ports.admin.Addr().String() + "/readyz")
		if err == nil && code == status && strings.Contains(body, part) {
			return
		}
		got = body
	}
	l.t.Fatalf("/readyz does not answer %d with %q, but %q", status, part, got)
}

func fetch(url string) (int, string, error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return r.StatusCode, string(body), err
}

// /readyz follows the server through its life, and the node is closed only when its clients have been let go.
func TestLifeOfAServer(t *testing.T) {
	open := make(chan struct{})
	n := newFakeNode()
	n.set(errors.Join(errors.New("no leader of 1"), errors.New("no leader of 2")))
	n.clients.hold = make(chan struct{})
	n.collectors = []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kahuna_fake"}, func() float64 { return 1 })}
	l := begin(t, anyPorts(t), n, open)
	l.awaitReadyz(503, "the server is starting")
	close(open)
	l.awaitReadyz(503, "no leader of 1\nno leader of 2")
	n.set(nil)
	l.awaitReadyz(200, "ready")
	if _, metrics, err := fetch("http://" + l.ports.admin.Addr().String() + "/metrics"); err != nil || !strings.Contains(metrics, "kahuna_fake 1") {
		t.Errorf("the node's metrics are not shown (%v): %s", err, metrics)
	}
	l.stop()
	l.awaitReadyz(503, "the server is stopping")
	<-n.clients.down
	if n.isClosed() {
		t.Error("the node was closed while a command ran")
	}
	close(n.clients.hold)
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
	if !n.isClosed() {
		t.Error("the node was not closed")
	}
}

// A command that does not end holds the server up for as long as the setting says, no longer.
func TestShutdownTimeout(t *testing.T) {
	cfg := anyPorts(t)
	cfg.ShutdownTimeout = time.Millisecond
	n := newFakeNode()
	n.clients.hold = make(chan struct{})
	l := begin(t, cfg, n, closedChannel())
	l.awaitReadyz(200, "ready")
	l.stop()
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
}

// What goes wrong ends the server with that error, and everything is given free: the same ports and directory serve again.
func TestFaults(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]func(*fakeNode){
		"the node fails":        func(n *fakeNode) { n.failed <- boom },
		"a listener fails":      func(n *fakeNode) { n.clients.broken[server.PortMain] = boom },
		"the other one fails":   func(n *fakeNode) { n.clients.broken[server.PortCluster] = boom },
		"a metric is no metric": func(n *fakeNode) { n.collectors = []prometheus.Collector{badCollector{boom}} },
	}
	for name, breakIt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := anyPorts(t)
			n := newFakeNode()
			breakIt(n)
			l := begin(t, cfg, n, closedChannel())
			if err := <-l.ended; !errors.Is(err, boom) && !strings.Contains(err.Error(), "boom") || exitCode(err) != exitFault {
				t.Errorf("ended with %v", err)
			}
			if !n.isClosed() {
				t.Error("the node was not closed")
			}
			cfg.Listen, cfg.AdminListen = l.ports.client.Addr().String(), l.ports.admin.Addr().String()
			cfg.ClusterListen, cfg.PeerListen = l.ports.cluster.Addr().String(), l.ports.peer.Addr().String()
			if err := once(cfg); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

// once runs a server that stops as soon as it is up. A port of its that is taken is asked for until patience ends: another process
// of this machine may have got it for a connection of its own.
func once(cfg *config.Config) error {
	for until := time.Now().Add(patience); ; {
		ctx, stop := context.WithCancel(context.Background())
		err := run(ctx, cfg, zerolog.Nop(), func(context.Context, *config.Config, *ports, zerolog.Logger) (node, error) {
			stop()
			return newFakeNode(), nil
		})
		stop()
		if exitCode(err) != exitBusy || time.Now().After(until) {
			return err
		}
	}
}

type badCollector struct{ err error }

func (b badCollector) Describe(c chan<- *prometheus.Desc) { c <- prometheus.NewInvalidDesc(b.err) }
func (b badCollector) Collect(chan<- prometheus.Metric)   {}

func TestOpenFails(t *testing.T) {
	cfg := anyPorts(t)
	boom := errors.New("boom")
	err := run(context.Background(), cfg, zerolog.Nop(), func(context.Context, *config.Config, *ports, zerolog.Logger) (node, error) {
		return nil, boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("ended with %v", err)
	}
	stopped := begin(t, cfg, newFakeNode(), nil) // never opens
	stopped.stop()
	if err := <-stopped.ended; err != nil {
		t.Errorf("told to stop while the node was being opened: %v", err)
	}
}

func TestCloseFails(t *testing.T) {
	n := newFakeNode()
	n.closeError = errors.New("the disk is gone")
	l := begin(t, anyPorts(t), n, closedChannel())
	l.awaitReadyz(200, "ready")
	l.stop()
	if err := <-l.ended; !errors.Is(err, n.closeError) || exitCode(err) != exitFault {
		t.Errorf("ended with %v", err)
	}
}

// A port that is taken is an error that names the setting, comes before the node is opened, and leaves nothing behind.
func TestBusyPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for key, field := range map[string]func(*config.Config) *string{
		"listen":         func(c *config.Config) *string { return &c.Listen },
		"cluster-listen": func(c *config.Config) *string { return &c.ClusterListen },
		"peer-listen":    func(c *config.Config) *string { return &c.PeerListen },
		"admin-listen":   func(c *config.Config) *string { return &c.AdminListen },
	} {
		cfg := anyPorts(t)
		*field(cfg) = taken.Addr().String()
		never := func(context.Context, *config.Config, *ports, zerolog.Logger) (node, error) {
			t.Error("the node was opened")
			return nil, errors.New("opened")
		}
		err := run(context.Background(), cfg, zerolog.Nop(), never)
		if exitCode(err) != exitBusy || !strings.HasPrefix(err.Error(), key+" = ") || !strings.Contains(err.Error(), "--"+key) {
			t.Errorf("%s: %v", key, err)
		}
		*field(cfg) = "127.0.0.1:0"
		l := begin(t, cfg, newFakeNode(), closedChannel())
		l.stop()
		if err := <-l.ended; err != nil {
			t.Errorf("%s: after the refusal: %v", key, err)
		}
	}
	cfg := anyPorts(t)
	cfg.PeerListen = "192.0.2.1:1"
	if err := run(context.Background(), cfg, zerolog.Nop(), openFake); exitCode(err) != exitSetting || !strings.HasPrefix(err.Error(), "peer-listen = ") {
		t.Errorf("an address of another machine: %v", err)
	}
}

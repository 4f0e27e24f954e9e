// Package system starts the servers that are compared, each as processes of its own on free loopback ports in a data
// directory of its own, reads what they use from /proc, and ends them by their process ids.
package system

import (
	"context"
	"os/exec"
	"strings"
)

// Names of the systems, as in --systems and in the report.
const (
	Kahuna = "kahuna"
	Redis  = "redis"
	Etcd   = "etcd"
)

// System says how to run one server. A system of several nodes starts several processes; all are of one node today.
type System struct {
	Name    string
	Program string // path of the executable

	ports   int // how many it listens on; the first is for clients
	metrics int // index of the port that serves /metrics over HTTP, or -1
	version []string
	args    func(dir string, addrs []string) []string
	probe   func(ctx context.Context, addr string) error
}

// NewKahuna is the server of this repository.
func NewKahuna(program string) System {
	return System{Name: Kahuna, Program: program, ports: 4, metrics: 3, version: []string{"version"}, probe: probeRESP,
		args: func(dir string, a []string) []string {
			return []string{"server", "--data-dir", dir, "--listen", a[0], "--cluster-listen", a[1], "--peer-listen", a[2],
				"--admin-listen", a[3]}
		}}
}

// NewRedis is a redis-server that syncs its log before each reply.
func NewRedis(program string) System {
	return System{Name: Redis, Program: program, ports: 1, metrics: -1, version: []string{"--version"}, probe: probeRESP,
		args: func(dir string, a []string) []string {
			host, port, _ := strings.Cut(a[0], ":")
			return []string{"--bind", host, "--port", port, "--dir", dir, "--daemonize", "no", "--appendonly", "yes",
				"--appendfsync", "always", "--save", ""}
		}}
}

// NewEtcd is an etcd of one node. It syncs its log before each reply by default.
func NewEtcd(program string) System {
	return System{Name: Etcd, Program: program, ports: 2, metrics: 0, version: []string{"--version"}, probe: probeEtcd,
		args: func(dir string, a []string) []string {
			client, peer := "http://"+a[0], "http://"+a[1]
			return []string{"--name", "n1", "--data-dir", dir, "--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "n1=" + peer,
				"--quota-backend-bytes", "8589934592", "--log-level", "error", "--logger", "zap"}
		}}
}

// Version is the first line that the program prints about itself, or why it does not.
func (s System) Version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, s.Program, s.version...).Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

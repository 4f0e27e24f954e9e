// Package system starts the servers that are compared, each as processes of its own on free loopback ports in a data
// directory of its own, reads what they use from /proc, and ends them by their process ids.
package system

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Names of the systems, as in --systems and in the report.
const (
	Kahuna = "kahuna"
	Redis  = "redis"
	Etcd   = "etcd"
)

// System says how to run one server, of one process for each of its nodes.
type System struct {
	Name    string
	Program string // path of the executable
	Nodes   int    // 0 and 1: one

	ports   int // how many a node listens on; the first is for clients
	metrics int // index of the port that serves /metrics over HTTP, or -1
	version []string
	args    func(dir string, nodes [][]string, n int) []string // of node n; nodes are the addresses of each
	joins   bool                                               // a node is started when the one before it answers
	probe   func(ctx context.Context, addr string) error
}

// NewKahuna is the server of this repository.
func NewKahuna(program string) System {
	return System{Name: Kahuna, Program: program, ports: 4, metrics: 3, version: []string{"version"}, probe: probeRESP,
		joins: true,
		args: func(dir string, nodes [][]string, n int) []string {
			a := nodes[n]
			args := []string{"server", "--data-dir", dir, "--listen", a[0], "--cluster-listen", a[1], "--peer-listen", a[2],
				"--admin-listen", a[3]}
			if n > 0 {
				args = append(args, "--join", nodes[0][2])
			}
			return args
		}}
}

// NewRedis is a redis-server that syncs its log before each reply.
func NewRedis(program string) System {
	return System{Name: Redis, Program: program, ports: 1, metrics: -1, version: []string{"--version"}, probe: probeRESP,
		args: func(dir string, nodes [][]string, n int) []string {
			host, port, _ := strings.Cut(nodes[n][0], ":")
			return []string{"--bind", host, "--port", port, "--dir", dir, "--daemonize", "no", "--appendonly", "yes",
				"--appendfsync", "always", "--save", ""}
		}}
}

// NewEtcd is an etcd. It syncs its log before each reply by default.
func NewEtcd(program string) System {
	return System{Name: Etcd, Program: program, ports: 2, metrics: 0, version: []string{"--version"}, probe: probeEtcd,
		args: func(dir string, nodes [][]string, n int) []string {
			var members []string
			for i, a := range nodes {
				members = append(members, fmt.Sprintf("n%d=http://%s", i, a[1]))
			}
			client, peer := "http://"+nodes[n][0], "http://"+nodes[n][1]
			return []string{"--name", fmt.Sprint("n", n), "--data-dir", dir, "--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(members, ","),
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

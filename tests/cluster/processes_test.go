package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kahuna/tests/cluster/netns"
	"kahuna/tests/e2e/rig"
	"kahuna/tests/e2e/wire"
)

// Ports are the same in each namespace.
const (
	clientPort, clusterPort, peerPort, adminPort = 6379, 6380, 6381, 6382
)

// processes are the nodes of a cluster. It belongs to one goroutine.
type processes struct {
	t       *testing.T
	net     *netns.Net
	dir     string
	args    []string
	nodes   []*process
	watched map[string]int // who led a partition last
	changes int            // of leaders
}

// process is one node, again and again.
type process struct {
	cmd     *exec.Cmd // nil: it does not run
	ended   chan struct{}
	stopped bool // by SIGSTOP
	starts  int
}

// launch makes a network and a cluster of n nodes in it, and waits until all replicas are where they are to be.
func launch(t *testing.T, n int, args ...string) *processes {
	t.Helper()
	if err := depend(); err != nil {
		t.Fatal(err)
	}
	net, err := netns.New(n)
	if errors.Is(err, netns.ErrNone) && !rig.Required() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	p := &processes{t: t, net: net, dir: diskRoot(t), args: args, watched: map[string]int{}}
	t.Cleanup(p.end)
	if err := os.WriteFile(p.secret(), []byte("a secret that only tests know\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		p.nodes = append(p.nodes, &process{})
		p.start(i)
	}
	if err := p.await(placeMax, p.placed); err != nil {
		t.Fatalf("%v\n%s", err, p.logs())
	}
	return p
}

// placeMax is how long a new cluster may take until all replicas are where they are to be; many partitions take their time.
const placeMax = 5 * time.Minute

// diskRoot is a directory in memory where there is one: what is tested is not the disk.
func diskRoot(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "kahuna-cluster-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (p *processes) secret() string              { return filepath.Join(p.dir, "secret") }
func (p *processes) log(i int) string            { return filepath.Join(p.dir, fmt.Sprintf("n%d.log", i)) }
func (p *processes) addr(i int, port int) string { return fmt.Sprintf("%s:%d", p.net.IP(i), port) }

// start starts a node, if it does not run.
func (p *processes) start(i int) {
	p.t.Helper()
	n := p.nodes[i]
	if n.cmd != nil {
		return
	}
	args := []string{"server", "--data-dir", filepath.Join(p.dir, fmt.Sprint("n", i)), "--node-name", fmt.Sprint("n", i), "--log-format", "json",
		"--listen", p.addr(i, clientPort), "--cluster-listen", p.addr(i, clusterPort), "--peer-listen", p.addr(i, peerPort),
		"--admin-listen", p.addr(i, adminPort), "--protected-mode=false", "--cluster-secret-file", p.secret()}
	if i > 0 {
		args = append(args, "--join", p.addr(0, peerPort))
	}
	log, err := os.OpenFile(p.log(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := p.net.Command(i, program, append(args, p.args...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // the state tells
		close(ended)
	}()
	n.cmd, n.ended, n.stopped = cmd, ended, false
	n.starts++
}

func (p *processes) signal(i int, s syscall.Signal) {
	n := p.nodes[i]
	if n.cmd == nil {
		return
	}
	if err := n.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("node %d: %v: %v", i, s, err)
	}
	n.stopped = s == syscall.SIGSTOP
}

// kill ends nodes as kill -9 does, at one moment, and waits until they have gone.
func (p *processes) kill(nodes ...int) {
	for _, i := range nodes {
		if p.nodes[i].cmd != nil {
			p.nodes[i].cmd.Process.Kill() // an error: it has gone already
		}
	}
	for _, i := range nodes {
		if p.nodes[i].cmd != nil {
			<-p.nodes[i].ended
			p.nodes[i].cmd = nil
		}
	}
}

// stop ends a node in order.
func (p *processes) stop(i int) {
	n := p.nodes[i]
	if n.cmd == nil {
		return
	}
	p.signal(i, syscall.SIGTERM)
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-n.ended:
		if code := n.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("node %d ended with exit code %d after SIGTERM:\n%s", i, code, p.logs())
		}
	case <-limit.C:
		p.t.Errorf("node %d does not end", i)
		p.kill(i)
	}
	n.cmd = nil
}

// end kills all that is left.
func (p *processes) end() {
	for i := range p.nodes {
		p.kill(i)
	}
}

// died tells which node ended by itself.
func (p *processes) died() error {
	for i, n := range p.nodes {
		if n.cmd == nil {
			continue
		}
		select {
		case <-n.ended:
			return fmt.Errorf("node %d ended by itself: %v", i, n.cmd.ProcessState)
		default:
		}
	}
	return nil
}

// info asks a node about itself.
func (p *processes) info(i int) (map[string]string, error) {
	c, err := wire.Dial(p.addr(i, clientPort), 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r, err := c.Do("INFO", "cluster")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(r.Text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// placed tells what is still to be done until all nodes have their replicas.
func (p *processes) placed() error {
	for i := range p.nodes {
		f, err := p.info(i)
		switch {
		case err != nil:
			return err
		case f["nodes"] != fmt.Sprint(len(p.nodes)) || f["placement"] != "complete":
			return fmt.Errorf("node %d: %s nodes, %s", i, f["nodes"], f["placement"])
		}
	}
	return nil
}

// await asks until nothing is missing.
func (p *processes) await(limit time.Duration, missing func() error) error {
	over, again := time.NewTimer(limit), time.NewTicker(50*time.Millisecond)
	defer over.Stop()
	defer again.Stop()
	for {
		err := missing()
		if err == nil {
			return p.died()
		}
		if err := p.died(); err != nil {
			return err
		}
		select {
		case <-over.C:
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-again.C:
		}
	}
}

// leads gives the nodes that say that they lead a partition, and notes changes.
func (p *processes) leads() map[string]int {
	now := map[string]int{}
	for i, n := range p.nodes {
		if n.cmd == nil || n.stopped {
			continue
		}
		f, err := p.info(i)
		if err != nil || f["leads"] == "" {
			continue
		}
		for id := range strings.SplitSeq(f["leads"], ",") {
			now[id] = i
		}
	}
	for id, i := range now {
		if before, known := p.watched[id]; known && before != i {
			p.changes++
		}
		p.watched[id] = i
	}
	return now
}

// logs are the ends of the nodes' logs.
func (p *processes) logs() string {
	var b strings.Builder
	for i := range p.nodes {
		text, _ := os.ReadFile(p.log(i))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "node %d:\n%s\n", i, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return b.String()
}

// others are all nodes but some.
func (p *processes) others(but ...int) (all []int) {
	for i := range p.nodes {
		if !slices.Contains(but, i) {
			all = append(all, i)
		}
	}
	return all
}

package system

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	readyTimeout = 30 * time.Second
	readyPoll    = 2 * time.Millisecond
	stopTimeout  = 10 * time.Second // after SIGTERM, before SIGKILL
	logTailBytes = 2000
)

// Instance is a running system.
type Instance struct {
	System System
	Addrs  []string      // for clients, of each node
	Listen [][]string    // all addresses of each node, in the order of the system's ports; the first is that for clients
	Ready  time.Duration // from the start of the first process to the first success of a write on each node (etcd: of a linearizable read)

	metricsURL string // of the first node; empty when the system has none
	dir        string // data and log of this instance; Stop removes it
	processes  []*process
}

// process is one child with its exit observed.
type process struct {
	cmd     *exec.Cmd
	exited  chan struct{} // closed after Wait returned
	exitErr error         // valid once exited is closed
}

// settleTime is given to the nodes of a system of several to share the work among them.
const settleTime = 5 * time.Second

// Start runs the system below parent and waits until it answers. On an error everything started is stopped again.
func Start(ctx context.Context, s System, parent string) (*Instance, error) {
	s.Nodes = max(1, s.Nodes)
	addrs, err := freeAddrs(s.ports * s.Nodes)
	if err != nil {
		return nil, err
	}
	inst := &Instance{System: s, dir: filepath.Join(parent, s.Name)}
	var nodes [][]string
	for n := range s.Nodes {
		nodes = append(nodes, addrs[n*s.ports:(n+1)*s.ports])
		inst.Addrs = append(inst.Addrs, nodes[n][0])
	}
	inst.Listen = nodes
	if s.metrics >= 0 {
		inst.metricsURL = "http://" + nodes[0][s.metrics] + "/metrics"
	}
	began := time.Now()
	if err := inst.startNodes(ctx, nodes); err != nil {
		_ = inst.Stop() // the first error says more
		return nil, err
	}
	inst.Ready = time.Since(began)
	if s.Nodes > 1 {
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
		}
	}
	return inst, nil
}

// startNodes starts the nodes and waits until each answers.
func (i *Instance) startNodes(ctx context.Context, nodes [][]string) error {
	for n := range nodes {
		data := filepath.Join(i.dir, fmt.Sprint("data", n))
		if err := os.MkdirAll(data, 0o700); err != nil {
			return err
		}
		p, err := spawn(i.System.Program, i.System.args(data, nodes, n), i.logPath(n))
		if err != nil {
			return err
		}
		i.processes = append(i.processes, p)
		if i.System.joins {
			if err := i.awaitNode(ctx, n); err != nil {
				return err
			}
		}
	}
	for n := range nodes {
		if err := i.awaitNode(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (i *Instance) awaitNode(ctx context.Context, n int) error {
	if err := i.awaitReady(ctx, i.Addrs[n], i.processes[n]); err != nil {
		return fmt.Errorf("%s is not ready: %w; its log ends: %s", i.System.Name, err, tail(i.logPath(n)))
	}
	return nil
}

func (i *Instance) logPath(n int) string { return filepath.Join(i.dir, fmt.Sprint("log", n)) }

func spawn(program string, args []string, logPath string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own descriptor
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.exitErr = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// awaitReady probes until the server answers, exits, or readyTimeout has passed.
func (i *Instance) awaitReady(ctx context.Context, addr string, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := i.System.probe(ctx, addr)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the process ended: %v", p.exitErr)
		case <-ctx.Done():
			return fmt.Errorf("%w; last attempt: %v", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// PIDs are the ids of its processes.
func (i *Instance) PIDs() []int {
	ids := make([]int, len(i.processes))
	for n, p := range i.processes {
		ids[n] = p.cmd.Process.Pid
	}
	return ids
}

// Exited tells whether a process of the instance has ended by itself, and how.
func (i *Instance) Exited() error {
	for n, p := range i.processes {
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended: %v; its log ends: %s", i.System.Name, p.exitErr, tail(i.logPath(n)))
		default:
		}
	}
	return nil
}

// Stop ends the processes, with SIGKILL when SIGTERM does not do within stopTimeout, and removes the directory.
func (i *Instance) Stop() error {
	var all sync.WaitGroup
	for _, p := range i.processes {
		all.Go(p.stop)
	}
	all.Wait()
	return os.RemoveAll(i.dir)
}

// stop returns when the process is gone. Signals to one that is already gone fail, which is as good.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", b[max(0, len(b)-logTailBytes):])
}

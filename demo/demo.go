// Package demo runs a whole cluster on one machine: each node is a process of the same program, on ports of its own on loopback,
// with its data and its log in a directory of its own. A node that dies is started again, so that a user may kill some and watch.
// When it ends, the processes that it started are ended, by their ids, and a directory that it made is removed.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Options say what to run.
type Options struct {
	Binary   string   // the program; it is run as `Binary server ...`
	Environ  []string // of the nodes
	Nodes    int      // 1 to NodesMax
	Dir      string   // of the cluster; empty: one that is removed in the end
	Port     int      // the first of 4 ports for each node; 0: free ones are found
	Settings []string // more flags of each node
	Out      io.Writer
	Notices  io.Writer // one line when a node dies or is started again
}

// Limits and patience.
const (
	NodesMax      = 9
	portsOfNode   = 4
	startPatience = 2 * time.Minute       // until all nodes are ready and placed
	poll          = 50 * time.Millisecond // between looks at nodes that are starting
	restartAfter  = 3 * time.Second       // so that a user sees what the others do without it
	stopPatience  = 20 * time.Second      // after SIGTERM, before SIGKILL
)

// ErrOptions wraps what is wrong with the options.
var ErrOptions = errors.New("this can't be started")

// Run runs a cluster until ctx ends, which is no error.
func Run(ctx context.Context, o Options) (err error) {
	runtime.LockOSThread() // nodes end with the thread that started them (Pdeathsig)
	defer runtime.UnlockOSThread()
	c, err := open(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	c.tell(o.Out)
	c.watch(ctx)
	return nil
}

// cluster is the nodes and where they live. It belongs to one goroutine.
type cluster struct {
	o       Options
	dir     string
	made    bool // the directory is removed in the end
	nodes   []*node
	died    chan *node // a process that has gone
	leaving chan struct{}
}

func open(o Options) (*cluster, error) {
	if o.Nodes < 1 || o.Nodes > NodesMax {
		return nil, fmt.Errorf("%w: %d nodes; 1 to %d can be", ErrOptions, o.Nodes, NodesMax)
	}
	c := &cluster{o: o, dir: o.Dir, died: make(chan *node), leaving: make(chan struct{})}
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "kahuna-demo-")
		if err != nil {
			return nil, err
		}
		c.dir, c.made = dir, true
	} else if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	all, err := c.ports()
	if err != nil {
		return nil, errors.Join(err, c.remove())
	}
	for i := range o.Nodes {
		c.nodes = append(c.nodes, &node{number: i + 1, dir: filepath.Join(c.dir, fmt.Sprintf("node%d", i+1)), ports: all[i]})
	}
	return c, nil
}

// start starts all nodes, of which the others join the first, and waits until all of them serve and have their replicas.
func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("the cluster is not ready after %v; the nodes' logs are in %s", startPatience, c.dir))
	defer cancel()
	for _, n := range c.nodes {
		if err := c.launch(n); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := c.await(ctx, n.ready); err != nil {
			return err
		}
	}
	return c.await(ctx, c.placed)
}

// await asks until the answer is yes. A node that dies meanwhile ends it.
func (c *cluster) await(ctx context.Context, ask func(context.Context) bool) error {
	again := time.NewTicker(poll)
	defer again.Stop()
	for !ask(ctx) {
		select {
		case <-again.C:
		case n := <-c.died:
			n.running = nil
			return fmt.Errorf("node %d ended: %s", n.number, n.lastWords())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (c *cluster) placed(ctx context.Context) bool {
	for _, n := range c.nodes {
		if !n.placed(ctx, len(c.nodes)) {
			return false
		}
	}
	return true
}

// watch starts nodes again that die, until ctx ends.
func (c *cluster) watch(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-c.died:
			n.running = nil
			n.restart = time.Now().Add(restartAfter)
			fmt.Fprintf(c.o.Notices, "node %d (process %d) ended: %s; it is started again in %v\n", n.number, n.pid, n.end, restartAfter)
			again.Reset(restartAfter)
		case <-again.C:
			if next := c.restart(); next > 0 {
				again.Reset(next)
			}
		}
	}
}

// restart starts the nodes again whose time has come, and tells how long the next one has to wait; 0: there is none.
func (c *cluster) restart() (next time.Duration) {
	for _, n := range c.nodes {
		if n.running != nil {
			continue
		}
		wait := time.Until(n.restart)
		if wait <= 0 {
			if err := c.launch(n); err != nil {
				fmt.Fprintf(c.o.Notices, "node %d: %v\n", n.number, err)
				wait, n.restart = restartAfter, time.Now().Add(restartAfter)
			} else {
				fmt.Fprintf(c.o.Notices, "node %d is started again as process %d\n", n.number, n.pid)
				continue
			}
		}
		if next == 0 || wait < next {
			next = wait
		}
	}
	return next
}

// close ends all nodes and waits for them; then it removes the directory, if it made it.
func (c *cluster) close() error {
	close(c.leaving)
	for _, n := range c.nodes {
		n.terminate()
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	for _, n := range c.nodes {
		n.join(patience.C, c.nodes)
	}
	return c.remove()
}

func (c *cluster) remove() error {
	if !c.made {
		return nil
	}
	return os.RemoveAll(c.dir)
}

package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kahuna/client"
)

// node is one process, again and again.
type node struct {
	number  int // from 1
	dir     string
	ports   nodePorts
	running *exec.Cmd // nil: it is not
	ended   chan struct{}
	pid     int
	end     string    // how it ended last
	restart time.Time // when it is to be started again
}

func (n *node) log() string { return n.dir + ".log" }

// launch starts a node's process.
func (c *cluster) launch(n *node) error {
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	args := []string{"server", "--data-dir", n.dir, "--node-name", fmt.Sprint("node", n.number), "--listen", n.ports.address(0),
		"--cluster-listen", n.ports.address(1), "--peer-listen", n.ports.address(2), "--admin-listen", n.ports.address(3)}
	for _, other := range c.nodes {
		if other != n && n != c.nodes[0] {
			args = append(args, "--join", other.ports.address(2))
		}
	}
	cmd := exec.Command(c.o.Binary, append(args, c.o.Settings...)...)
	cmd.Env, cmd.Stderr, cmd.SysProcAttr = c.o.Environ, log, ownGroup()
	if err := cmd.Start(); err != nil {
		return err
	}
	n.running, n.pid, n.ended = cmd, cmd.Process.Pid, make(chan struct{})
	go c.wait(n, cmd, n.ended)
	return nil
}

// wait notes the end of a process. close joins it.
func (c *cluster) wait(n *node, cmd *exec.Cmd, ended chan struct{}) {
	cmd.Wait() // the state tells
	n.end = cmd.ProcessState.String()
	close(ended)
	select {
	case c.died <- n:
	case <-c.leaving:
	}
}

// terminate asks the process to end.
func (n *node) terminate() {
	if n.running != nil {
		n.running.Process.Signal(syscall.SIGTERM) // an error: it has gone already
	}
}

// join waits until the process has gone. When patience is over, all processes are killed.
func (n *node) join(patience <-chan time.Time, all []*node) {
	if n.running == nil {
		return
	}
	select {
	case <-n.ended:
		return
	case <-patience:
	}
	for _, other := range all {
		if other.running != nil {
			other.running.Process.Kill() // an error: it has gone already
		}
	}
	<-n.ended
}

// askPatience is how long one question to a node may take.
const askPatience = 2 * time.Second

// ready asks a node whether it serves.
func (n *node) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ports.address(3)+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// placed asks a node whether it knows that so many nodes are there, and of nothing that is yet to be done to place replicas.
func (n *node) placed(ctx context.Context, nodes int) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	cl := client.New(client.Options{Addrs: []string{n.ports.address(0)}})
	defer cl.Close()
	info, err := cl.Do(ctx, "INFO", "cluster")
	if refusal := (*client.ServerError)(nil); errors.As(err, &refusal) {
		return true // it wants a password: who set one knows how to look
	}
	return err == nil && strings.Contains(info.Text, fmt.Sprintf("\nnodes:%d\r\n", nodes)) && strings.Contains(info.Text, "\nplacement:complete\r\n")
}

// lastWords is the end of the node's log.
func (n *node) lastWords() string {
	b, err := os.ReadFile(n.log())
	if err != nil {
		return n.end
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return fmt.Sprintf("%s (%s: %.300s)", n.end, filepath.Base(n.log()), lines[len(lines)-1])
}

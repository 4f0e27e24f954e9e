package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// nodePorts are those of one node: for clients, for cluster-aware clients, for the other nodes, for operators.
type nodePorts [portsOfNode]int

func (p nodePorts) address(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p[i])) }

// portsName is the file that keeps the ports in a directory that stays: the nodes of a cluster know each other by their ports.
const portsName = "ports.json"

// ports are those that were kept, else those that are asked for, else free ones.
func (c *cluster) ports() ([]nodePorts, error) {
	path := filepath.Join(c.dir, portsName)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		all, err := c.newPorts()
		if err != nil {
			return nil, err
		}
		if b, err = json.Marshal(all); err != nil {
			return nil, err
		}
		return all, os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return nil, err
	}
	var kept []nodePorts
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrOptions, path, err)
	}
	if len(kept) != c.o.Nodes || c.o.Port != 0 && kept[0][0] != c.o.Port {
		return nil, fmt.Errorf("%w: %s has a cluster of %d nodes from port %d on: ask for the same, or choose another directory", ErrOptions, c.dir, len(kept), kept[0][0])
	}
	return kept, nil
}

func (c *cluster) newPorts() (all []nodePorts, err error) {
	if c.o.Port == 0 {
		return freePorts(c.o.Nodes)
	}
	if last := c.o.Port + portsOfNode*c.o.Nodes - 1; c.o.Port < 1 || last > 65535 {
		return nil, fmt.Errorf("%w: %d nodes need the ports %d to %d", ErrOptions, c.o.Nodes, c.o.Port, last)
	}
	for i := range c.o.Nodes {
		var p nodePorts
		for k := range p {
			p[k] = c.o.Port + portsOfNode*i + k
		}
		all = append(all, p)
	}
	return all, nil
}

// freePorts finds ports that nobody uses at this moment.
func freePorts(nodes int) (all []nodePorts, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range slices.Backward(held) {
			l.Close()
		}
	}()
	for range nodes {
		var p nodePorts
		for k := range p {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			held = append(held, l)
			p[k] = l.Addr().(*net.TCPAddr).Port
		}
		all = append(all, p)
	}
	return all, nil
}

package demo

import (
	"fmt"
	"io"
	"strings"
)

// tell prints how to talk to the cluster.
func (c *cluster) tell(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "A cluster of %d nodes is ready. Any node takes any command:\n\n", len(c.nodes))
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "    redis-cli -p %d    # node %d, process %d\n", n.ports[0], n.number, n.pid)
	}
	first := c.nodes[0].ports
	fmt.Fprintf(&b, "\nFor cluster-aware clients:  redis-cli -c -p %d\n", first[1])
	fmt.Fprintf(&b, "From a shell:               kahuna kv set color green --addr %s\n", c.addresses())
	fmt.Fprintf(&b, "Metrics:                    curl http://%s/metrics\n", c.nodes[0].ports.address(3))
	fmt.Fprintf(&b, "Lose a node:                kill -9 %d    # the others go on; it is started again after %v\n", c.nodes[0].pid, restartAfter)
	stays := "is removed in the end"
	if !c.made {
		stays = "stays"
	}
	fmt.Fprintf(&b, "\nData and logs: %s (%s). Ctrl-C ends it.\n", c.dir, stays)
	io.WriteString(w, b.String())
}

func (c *cluster) addresses() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.ports.address(0))
	}
	return strings.Join(all, ",")
}

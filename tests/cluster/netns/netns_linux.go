// Package netns makes a network of namespaces for processes: each node has a namespace with an address of its own, all are on one
// bridge, and so is the machine itself. What a node receives from others can be cut or lost, at the receiver's input, where the
// sender can't notice it; what clients on the machine send and receive is left alone. It needs root and the commands ip and nft.
package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// ErrNone says that this machine can't make such a network, or this user may not.
var ErrNone = errors.New("no network namespaces")

// Net is a network. It belongs to one goroutine.
type Net struct {
	prefix  string // of all names
	subnet  string // its first three numbers, with a dot
	nodes   int
	dropped []int // by rules that are gone, by node
}

const namePrefix = "kh" // of namespaces and interfaces, with this process's id behind it

// New makes a network of n nodes. The error wraps ErrNone when the machine or the user can't.
func New(n int) (*Net, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrNone)
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNone, err)
		}
	}
	clearLeft()
	pid := os.Getpid()
	net := &Net{prefix: fmt.Sprintf("%s%d", namePrefix, pid), subnet: fmt.Sprintf("10.%d.%d.", 64+pid/256%64, pid%256), nodes: n, dropped: make([]int, n)}
	if err := net.make(); err != nil {
		net.Close()
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	return net, nil
}

// make builds the bridge, in a namespace of its own, and joins the nodes and the machine to it.
func (n *Net) make() error {
	bridge := n.prefix + "sw"
	steps := [][]string{
		{"netns", "add", bridge}, {"-n", bridge, "link", "add", "br0", "type", "bridge"}, {"-n", bridge, "link", "set", "br0", "up"},
		{"link", "add", n.prefix, "type", "veth", "peer", "name", "host", "netns", bridge}, {"-n", bridge, "link", "set", "host", "master", "br0", "up"},
		{"addr", "add", n.subnet + "254/24", "dev", n.prefix}, {"link", "set", n.prefix, "up"},
	}
	for i := range n.nodes {
		space, port := n.Space(i), fmt.Sprint("v", i)
		steps = append(steps, []string{"netns", "add", space}, []string{"-n", space, "link", "set", "lo", "up"},
			[]string{"-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space},
			[]string{"-n", bridge, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", space, "addr", "add", n.IP(i) + "/24", "dev", "eth0"}, []string{"-n", space, "link", "set", "eth0", "up"})
	}
	for _, args := range steps {
		if err := run(nil, "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// Space is the name of a node's namespace.
func (n *Net) Space(i int) string { return fmt.Sprintf("%sn%d", n.prefix, i) }

// IP is a node's address.
func (n *Net) IP(i int) string { return n.subnet + strconv.Itoa(i+1) }

// Command makes a command that runs in a node's namespace. The command itself becomes the process: its id is its own.
func (n *Net) Command(i int, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Space(i), name}, args...)...)
}

// Way is what one node sends to another.
type Way struct{ From, To int }

// Cut loses everything on these ways, and percent of 100 packets on all others between nodes. It replaces what was cut before.
func (n *Net) Cut(ways []Way, percent int) error {
	for to := range n.nodes {
		if err := n.rules(to, ways, percent); err != nil {
			return err
		}
	}
	return nil
}

// Heal mends everything.
func (n *Net) Heal() error { return n.Cut(nil, 0) }

func (n *Net) rules(to int, ways []Way, percent int) error {
	n.dropped[to] += n.counted(to)
	var b strings.Builder
	b.WriteString("table inet chaos {}\ndelete table inet chaos\ntable inet chaos {\nchain in {\ntype filter hook input priority 0;\n")
	for _, w := range ways {
		if w.To == to {
			fmt.Fprintf(&b, "ip saddr %s counter drop\n", n.IP(w.From))
		}
	}
	if percent > 0 {
		fmt.Fprintf(&b, "ip saddr { %s1-%s%d } numgen random mod 100 < %d counter drop\n", n.subnet, n.subnet, n.nodes, percent)
	}
	b.WriteString("}\n}\n")
	return run([]byte(b.String()), "ip", "netns", "exec", n.Space(to), "nft", "-f", "-")
}

var packets = regexp.MustCompile(`counter packets (\d+)`)

// counted is how many packets a node's present rules have dropped.
func (n *Net) counted(i int) (sum int) {
	out, err := exec.Command("ip", "netns", "exec", n.Space(i), "nft", "list", "ruleset").Output()
	if err != nil {
		return 0
	}
	for _, m := range packets.FindAllSubmatch(out, -1) {
		k, _ := strconv.Atoi(string(m[1]))
		sum += k
	}
	return sum
}

// Dropped is how many packets were dropped since New.
func (n *Net) Dropped() (sum int) {
	for i := range n.nodes {
		sum += n.dropped[i] + n.counted(i)
	}
	return sum
}

// Slow makes what a node sends slow: with netem by a delay of milliseconds, and where the kernel has none the error wraps ErrNone.
func (n *Net) Slow(i, milli int) error {
	err := run(nil, "ip", "netns", "exec", n.Space(i), "tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", fmt.Sprint(milli, "ms"), fmt.Sprint(milli/4, "ms"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return nil
}

// Narrow lets a node send only so much.
func (n *Net) Narrow(i, kbit int) error {
	err := run(nil, "ip", "netns", "exec", n.Space(i), "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", fmt.Sprint(kbit, "kbit"), "burst", "4kb", "latency", "300ms")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return nil
}

// Widen ends Slow and Narrow.
func (n *Net) Widen(i int) {
	_ = run(nil, "ip", "netns", "exec", n.Space(i), "tc", "qdisc", "del", "dev", "eth0", "root") // an error: there was none
}

// Close removes the network. No process may use it any more.
func (n *Net) Close() { clearAll(n.prefix) }

func clearAll(prefix string) {
	_ = run(nil, "ip", "link", "del", prefix) // an error: it was not there
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		if name := strings.Fields(line); len(name) > 0 && (name[0] == prefix+"sw" || strings.HasPrefix(name[0], prefix+"n")) {
			killIn(name[0])
			_ = run(nil, "ip", "netns", "del", name[0])
		}
	}
}

// killIn ends what still runs in a namespace: processes of a test that was killed itself.
func killIn(space string) {
	out, _ := exec.Command("ip", "netns", "pids", space).Output()
	for id := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(id); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // an error: it has gone already
		}
	}
}

var leftName = regexp.MustCompile(`(?m)^(` + namePrefix + `(\d+))sw\b`)

// clearLeft removes networks of test processes that were killed.
func clearLeft() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for _, m := range leftName.FindAllSubmatch(out, -1) {
		if pid, err := strconv.Atoi(string(m[2])); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			clearAll(string(m[1]))
		}
	}
}

func run(stdin []byte, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

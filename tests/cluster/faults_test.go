package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"kahuna/tests/cluster/load"
	"kahuna/tests/cluster/netns"
)

// nemesis brings faults over a cluster.
type nemesis struct {
	*processes
	rng  *rand.Rand
	load *load.World
}

// fault begins something bad. working are nodes that are a connected majority meanwhile, and must go on; nil: nobody has to.
type fault struct {
	name  string
	begin func(n *nemesis) (working []int, err error)
}

var faults = []fault{
	{"the leader alone", func(n *nemesis) ([]int, error) {
		l := n.leader()
		return n.others(l), n.net.Cut(n.between([]int{l}, n.others(l)), 0)
	}},
	{"a leader stands still", func(n *nemesis) ([]int, error) {
		l := n.leader()
		n.signal(l, syscall.SIGSTOP)
		return n.others(l), nil
	}},
	{"a leader killed", func(n *nemesis) ([]int, error) {
		l := n.leader()
		n.kill(l)
		return n.others(l), nil
	}},
	{"all killed", func(n *nemesis) ([]int, error) { n.kill(n.others()...); return nil, nil }},
	{"halves", func(n *nemesis) ([]int, error) {
		nodes := n.rng.Perm(len(n.nodes))
		few, many := nodes[:(len(nodes)-1)/2], nodes[(len(nodes)-1)/2:]
		return many, n.net.Cut(n.between(few, many), 0)
	}},
	{"a ring in which each sees a majority", func(n *nemesis) ([]int, error) { return nil, n.net.Cut(n.ring(), 0) }},
	{"one-way cuts", func(n *nemesis) ([]int, error) {
		l, to := n.leader(), n.rng.IntN(len(n.nodes)-1)
		other := n.others(l)[to]
		return nil, n.net.Cut([]netns.Way{{From: l, To: other}}, 0)
	}},
	{"the leader hears nobody", func(n *nemesis) ([]int, error) {
		l := n.leader()
		var ways []netns.Way
		for _, o := range n.others(l) {
			ways = append(ways, netns.Way{From: o, To: l})
		}
		return n.others(l), n.net.Cut(ways, 0)
	}},
	{"loss", func(n *nemesis) ([]int, error) { return nil, n.net.Cut(nil, 10+n.rng.IntN(20)) }},
	{"a narrow link", func(n *nemesis) ([]int, error) { return nil, n.ifThere(n.net.Narrow(n.leader(), 256)) }},
	{"a slow link", func(n *nemesis) ([]int, error) { return nil, n.ifThere(n.net.Slow(n.leader(), 100)) }},
	{"a node killed", func(n *nemesis) ([]int, error) { i := n.any(); n.kill(i); return n.others(i), nil }},
	{"the majority killed", func(n *nemesis) ([]int, error) {
		n.kill(n.rng.Perm(len(n.nodes))[:len(n.nodes)/2+1]...)
		return nil, nil
	}},
	{"a restart", func(n *nemesis) ([]int, error) { i := n.leader(); n.stop(i); return n.others(i), nil }},
	{"a cut and a kill", func(n *nemesis) ([]int, error) {
		l := n.leader()
		err := n.net.Cut(n.between([]int{l}, n.others(l)), 0)
		n.pause(300, 700)
		n.kill(n.others(l)[0])
		return nil, err
	}},
}

// basic is how many of the first faults every run has.
const basic = 4

func (n *nemesis) any() int { return n.rng.IntN(len(n.nodes)) }

// leader is a node that leads something, more often the clock than not.
func (n *nemesis) leader() int {
	now := n.leads()
	if i, ok := now["0"]; ok && n.rng.IntN(2) == 0 {
		return i
	}
	for _, id := range n.rng.Perm(8) {
		if i, ok := now[fmt.Sprint(id)]; ok {
			return i
		}
	}
	return n.any()
}

func (n *nemesis) between(a, b []int) (ways []netns.Way) {
	for _, i := range a {
		for _, k := range b {
			ways = append(ways, netns.Way{From: i, To: k}, netns.Way{From: k, To: i})
		}
	}
	return ways
}

// ring leaves each node those beside it, as many as make a majority with itself.
func (n *nemesis) ring() (ways []netns.Way) {
	nodes, size := n.rng.Perm(len(n.nodes)), len(n.nodes)
	reach := max(1, size/4)
	for a := range size {
		for b := range a {
			if apart := min(a-b, size-a+b); apart > reach || size == 3 && a-b == 2 {
				ways = append(ways, n.between([]int{nodes[a]}, []int{nodes[b]})...)
			}
		}
	}
	return ways
}

// ifThere passes by what this kernel does not have.
func (n *nemesis) ifThere(err error) error {
	if errors.Is(err, netns.ErrNone) {
		n.load.Count("not on this machine", 1)
		return nil
	}
	return err
}

// pause waits for a random time, in milliseconds.
func (n *nemesis) pause(least, more int) {
	<-time.After(time.Duration(least+n.rng.IntN(more)) * time.Millisecond)
}

// recoverMax is how long the cluster may take until nodes that can work answer.
const recoverMax = 30 * time.Second

// bring has one fault come and go, and sees that nodes that can work do so before, during and after it.
func (n *nemesis) bring(f fault) error {
	if err := n.answer("before "+f.name, n.others()); err != nil {
		return err
	}
	n.leads()
	working, err := f.begin(n)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	n.load.Count("fault: "+f.name, 1)
	n.pause(500, 1500)
	if err := n.answer("during "+f.name, working); err != nil {
		return err
	}
	n.leads()
	if err := n.heal(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	defer n.leads()
	return n.answer("after "+f.name, n.others())
}

// heal ends all faults.
func (n *nemesis) heal() error {
	for i := range n.nodes {
		n.net.Widen(i)
		if n.nodes[i].stopped {
			n.signal(i, syscall.SIGCONT)
		}
		n.start(i)
	}
	return n.net.Heal()
}

// answer waits until each of some nodes has answered a client who asks now.
func (n *nemesis) answer(when string, nodes []int) error {
	before := map[int]int{}
	for _, i := range nodes {
		before[i] = n.load.Answered(nodeName(i))
	}
	if err := n.await(recoverMax, func() error {
		for _, i := range nodes {
			if n.load.Answered(nodeName(i)) == before[i] {
				return fmt.Errorf("%s node %d answers nothing", when, i)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	n.load.Count("answered around faults", len(nodes))
	return nil
}

func nodeName(i int) string { return fmt.Sprint("n", i) }

// plan are the faults of one round: the basic ones, a few others for a short run, all of them for a long one.
func (n *nemesis) plan(all bool) []fault {
	rest := slices.Clone(faults[basic:])
	n.rng.Shuffle(len(rest), func(i, k int) { rest[i], rest[k] = rest[k], rest[i] })
	if !all {
		rest = rest[:2]
	}
	plan := append(slices.Clone(faults[:basic]), rest...)
	n.rng.Shuffle(len(plan), func(i, k int) { plan[i], plan[k] = plan[k], plan[i] })
	return plan
}

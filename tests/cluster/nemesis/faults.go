package nemesis

import (
	"errors"
	"syscall"
	"time"

	"kahuna/tests/cluster/netns"
)

// Basic are faults of which every run has all.
var Basic = []Fault{
	{Name: "the leader alone", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		return []int{l}, false, n.Net.Cut(between([]int{l}, n.Others(l)), 0)
	}},
	{Name: "a leader stands still", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		return []int{l}, false, n.Signal(l, syscall.SIGSTOP)
	}},
	{Name: "a leader killed", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		n.Kill(l)
		return []int{l}, false, nil
	}},
	{Name: "all killed", Begin: func(n *Nemesis) ([]int, bool, error) { n.Kill(n.Members()...); return nil, true, nil }},
}

// More are the others that need nothing but processes and a network.
var More = []Fault{
	{Name: "halves", Begin: func(n *Nemesis) ([]int, bool, error) {
		nodes := n.mixed()
		few, many := nodes[:(len(nodes)-1)/2], nodes[(len(nodes)-1)/2:]
		return few, false, n.Net.Cut(between(few, many), 0)
	}},
	{Name: "a ring in which each sees a majority", Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.Net.Cut(ring(n.mixed()), 0) }},
	{Name: "a bridge", Begin: func(n *Nemesis) ([]int, bool, error) {
		nodes := n.mixed()
		half := (len(nodes) - 1) / 2
		return nil, true, n.Net.Cut(between(nodes[:half], nodes[half+1:]), 0)
	}},
	{Name: "one-way cuts", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		others := n.Others(l)
		return nil, true, n.Net.Cut([]netns.Way{{From: l, To: others[n.Rng.IntN(len(others))]}}, 0)
	}},
	{Name: "the leader hears nobody", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		var ways []netns.Way
		for _, o := range n.Others(l) {
			ways = append(ways, netns.Way{From: o, To: l})
		}
		return []int{l}, false, n.Net.Cut(ways, 0)
	}},
	{Name: "a link that comes and goes", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		for range 3 {
			if err := n.Net.Cut(between([]int{l}, n.Others(l)), 0); err != nil {
				return nil, true, err
			}
			n.Pause(300, 1500)
			if err := n.Net.Heal(); err != nil {
				return nil, true, err
			}
			n.Pause(100, 600)
		}
		return []int{l}, false, nil
	}},
	{Name: "loss", Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.Net.Cut(nil, 10+n.Rng.IntN(20)) }},
	{Name: "a narrow link", Lacks: lacksQueues, Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.Net.Narrow(n.leader(), 256) }},
	{Name: "a slow link", Lacks: lacksNetem, Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.Net.Slow(n.leader(), 100) }},
	{Name: "a node killed", Begin: func(n *Nemesis) ([]int, bool, error) { i := n.any(); n.Kill(i); return []int{i}, false, nil }},
	{Name: "the majority killed", Begin: func(n *Nemesis) ([]int, bool, error) { n.Kill(n.some(n.majority())...); return nil, true, nil }},
	{Name: "the majority stands still", Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.still(n.some(n.majority())) }},
	{Name: "all stand still", Begin: func(n *Nemesis) ([]int, bool, error) { return nil, true, n.still(n.Members()) }},
	{Name: "a leader stutters", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		for range 10 {
			if err := n.still([]int{l}); err != nil {
				return nil, true, err
			}
			n.Pause(50, 300)
			if err := n.Signal(l, syscall.SIGCONT); err != nil {
				return nil, true, err
			}
			n.Pause(20, 100)
		}
		return []int{l}, false, nil
	}},
	{Name: "a restart", Begin: func(n *Nemesis) ([]int, bool, error) { l := n.leader(); return []int{l}, false, n.Stop(l) }},
	{Name: "a restart of all", Begin: func(n *Nemesis) ([]int, bool, error) {
		var errs []error
		for _, i := range n.mixed() {
			errs = append(errs, n.Stop(i))
		}
		return nil, true, errors.Join(errs...)
	}},
	{Name: "a node restarts often", Begin: func(n *Nemesis) ([]int, bool, error) {
		i := n.any()
		for range 4 {
			n.Kill(i)
			n.Pause(10, 400)
			if err := n.Start(i); err != nil {
				return nil, true, err
			}
			n.Pause(10, 1000)
		}
		return []int{i}, false, nil
	}},
	{Name: "a cut and a kill", Begin: func(n *Nemesis) ([]int, bool, error) {
		l := n.leader()
		err := n.Net.Cut(between([]int{l}, n.Others(l)), 0)
		n.Pause(300, 700)
		n.Kill(n.Others(l)[0])
		return nil, true, err
	}},
}

func (n *Nemesis) still(nodes []int) (err error) {
	for _, i := range nodes {
		err = errors.Join(err, n.Signal(i, syscall.SIGSTOP))
	}
	return err
}

// ring leaves each node those beside it, as many as make a majority with itself.
func ring(nodes []int) (ways []netns.Way) {
	size := len(nodes)
	reach := max(1, size/4)
	for a := range size {
		for b := range a {
			if apart := min(a-b, size-a+b); apart > reach || size == 3 && a-b == 2 {
				ways = append(ways, between([]int{nodes[a]}, []int{nodes[b]})...)
			}
		}
	}
	return ways
}

// lacksQueues and lacksNetem try whether the kernel has what they need.
func lacksQueues(n *Nemesis) string { return lacks(n, n.Net.Narrow(0, 10_000)) }
func lacksNetem(n *Nemesis) string  { return lacks(n, n.Net.Slow(0, 1)) }

func lacks(n *Nemesis, err error) string {
	n.Net.Widen(0)
	if errors.Is(err, netns.ErrNone) {
		return "the kernel has no such queue"
	}
	return ""
}

// Clocks are faults of wall clocks.
var Clocks = []Fault{
	{Name: "a clock jumps", Lacks: lacksClocks, Begin: func(n *Nemesis) ([]int, bool, error) {
		return nil, false, n.jump(n.leader(), n.off(2*time.Hour))
	}},
	{Name: "all clocks jump", Lacks: lacksClocks, Begin: func(n *Nemesis) ([]int, bool, error) {
		var errs []error
		for _, i := range n.Members() {
			errs = append(errs, n.jump(i, n.off(time.Hour)))
		}
		return nil, false, errors.Join(errs...)
	}},
	{Name: "clocks go to and fro", Lacks: lacksClocks, Begin: func(n *Nemesis) ([]int, bool, error) {
		for range 20 {
			if err := n.jump(n.any(), n.off(5*time.Second)); err != nil {
				return nil, true, err
			}
			n.Pause(30, 200)
		}
		return nil, false, nil
	}},
}

func lacksClocks(n *Nemesis) string {
	if !n.HasClocks() {
		return "the program's clock can't be set"
	}
	return ""
}

// off is up to that much, either way.
func (n *Nemesis) off(most time.Duration) time.Duration {
	return time.Duration(n.Rng.Int64N(2*int64(most))) - most
}

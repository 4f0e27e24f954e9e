// Package nemesis brings faults over a fleet of processes while clients work, alone and several at a time, and sees that nodes that
// can work do so before, during and after each.
package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"kahuna/tests/cluster/fleet"
	"kahuna/tests/cluster/netns"
)

// Watch is what clients see meanwhile.
type Watch interface {
	// Answered is how many calls a node has answered.
	Answered(node string) int
	// Count counts something that was done.
	Count(what string, n int)
}

// Nemesis brings faults. It belongs to one goroutine.
type Nemesis struct {
	*fleet.Fleet
	Rng         *rand.Rand
	Watch       Watch
	Replication int       // of each partition
	Builds      [2]string // binaries to go from and to; empty: no upgrades
}

// Fault is something bad.
type Fault struct {
	Name string
	// Lacks tells why the fault can't be brought here; empty: it can.
	Lacks func(n *Nemesis) string
	// Begin brings it, and names the nodes that can't be expected to work meanwhile; hard: nobody can.
	Begin func(n *Nemesis) (away []int, hard bool, err error)
	// End, if any, does what Heal does not.
	End func(n *Nemesis) error
	// Alone says that it is not to be combined with others.
	Alone bool
}

// RecoverMax is how long the cluster may take until nodes that can work answer.
const RecoverMax = 60 * time.Second

// Bring has faults come, one shortly after the other, and go together.
func (n *Nemesis) Bring(faults ...Fault) (err error) {
	var names []string
	for _, f := range faults {
		names = append(names, f.Name)
	}
	name := strings.Join(names, " + ")
	if err := n.answer("before "+name, n.Members()); err != nil {
		return err
	}
	n.Leads()
	away, hard := map[int]bool{}, false
	for i, f := range faults {
		if i > 0 {
			n.Pause(200, 800)
		}
		these, nobody, err := f.Begin(n)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		for _, a := range these {
			away[a] = true
		}
		hard = hard || nobody
		n.Watch.Count("fault: "+f.Name, 1)
	}
	if len(faults) > 1 {
		n.Watch.Count("combined faults", 1)
	}
	n.Pause(500, 1500)
	if err := n.answer("during "+name, n.working(away, hard)); err != nil {
		return err
	}
	n.Leads()
	if err := n.end(faults); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer n.Leads()
	return n.answer("after "+name, n.Members())
}

func (n *Nemesis) end(faults []Fault) error {
	err := n.Heal()
	for _, f := range faults {
		if f.End != nil && err == nil {
			err = f.End(n)
		}
	}
	return err
}

// working are the nodes that must go on: all that are not away, if every partition still has a majority among them.
func (n *Nemesis) working(away map[int]bool, hard bool) []int {
	if hard || len(away) > (min(n.Replication, len(n.Members()))-1)/2 {
		return nil
	}
	var gone []int
	for i := range away {
		gone = append(gone, i)
	}
	return n.Others(gone...)
}

// Heal ends all faults, and starts the members that don't run.
func (n *Nemesis) Heal() error {
	var errs []error
	for i := range n.Size() {
		n.Net.Widen(i)
		errs = append(errs, n.Thaw(i), n.Empty(i), n.SetClock(i, 0))
		if n.Stopped(i) {
			errs = append(errs, n.Signal(i, syscall.SIGCONT))
		}
	}
	errs = append(errs, n.Net.Heal())
	for _, i := range n.Members() {
		errs = append(errs, n.revive(i))
	}
	return errors.Join(errs...)
}

// revive starts a node if it does not run. One that may end by itself is ended first: what was wrong with it is mended.
func (n *Nemesis) revive(i int) error {
	if n.IsFragile(i) {
		n.Kill(i)
		n.Fragile(i, false)
	}
	return n.Start(i)
}

// answer waits until each of some nodes has answered a client who asks now.
func (n *Nemesis) answer(when string, nodes []int) error {
	before := map[int]int{}
	for _, i := range nodes {
		before[i] = n.Watch.Answered(fleet.Name(i))
	}
	if err := n.Await(RecoverMax, func() error {
		for _, i := range nodes {
			if n.Watch.Answered(fleet.Name(i)) == before[i] {
				return fmt.Errorf("%s node %d answers nothing", when, i)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	n.Watch.Count("answered around faults", len(nodes))
	return nil
}

// Pause waits for a random time, in milliseconds, or until the fleet is to end.
func (n *Nemesis) Pause(least, more int) {
	select {
	case <-time.After(time.Duration(least+n.Rng.IntN(more)) * time.Millisecond):
	case <-n.Stopping():
	}
}

// any is some member.
func (n *Nemesis) any() int { m := n.Members(); return m[n.Rng.IntN(len(m))] }

// leader is a node that leads something, more often the clock than not.
func (n *Nemesis) leader() int {
	now := n.Leads()
	if i, ok := now["0"]; ok && n.Rng.IntN(2) == 0 {
		return i
	}
	for _, id := range n.Rng.Perm(8) {
		if i, ok := now[fmt.Sprint(id)]; ok {
			return i
		}
	}
	return n.any()
}

// some are random members.
func (n *Nemesis) some(count int) []int { return n.mixed()[:count] }

func (n *Nemesis) mixed() []int {
	m := n.Members()
	n.Rng.Shuffle(len(m), func(i, k int) { m[i], m[k] = m[k], m[i] })
	return m
}

// majority is how many members are more than the others.
func (n *Nemesis) majority() int { return len(n.Members())/2 + 1 }

func between(a, b []int) (ways []netns.Way) {
	for _, i := range a {
		for _, k := range b {
			ways = append(ways, netns.Way{From: i, To: k}, netns.Way{From: k, To: i})
		}
	}
	return ways
}

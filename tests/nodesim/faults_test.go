package nodesim

import (
	"errors"
	"time"

	"kahuna/cluster/clustertest"
	"kahuna/raftgroup/simnet"
)

// fault does something bad. Cuts and faults of the network end with Heal; nodes that do not run are started then.
type fault struct {
	name string
	do   func(w *world)
}

var faults = append(splitFaults, []fault{
	{"leader cut off", func(w *world) { w.Net.Isolate(clustertest.Address(w.someLeader())) }},
	{"node cut off", func(w *world) { w.Net.Isolate(clustertest.Address(w.rng.IntN(nodes))) }},
	{"one-way cuts", func(w *world) {
		a := w.rng.IntN(nodes)
		w.Net.Cut(clustertest.Address(a), clustertest.Address((a+1)%nodes))
		w.Net.Cut(clustertest.Address(w.rng.IntN(nodes)), clustertest.Address((a+2)%nodes))
	}},
	{"chain: each sees a majority", func(w *world) {
		leader := w.someLeader()
		w.Net.CutBoth(clustertest.Address(leader), clustertest.Address((leader+1+w.rng.IntN(nodes-1))%nodes))
	}},
	{"loss", func(w *world) { w.Net.SetFaults(simnet.Faults{Loss: 0.2, DelayMax: 5 * time.Millisecond}) }},
	{"answers lost", func(w *world) { w.Net.SetFaults(simnet.Faults{AnswerLoss: 0.2, DelayMax: 5 * time.Millisecond}) }},
	{"duplicates and delays", func(w *world) { w.Net.SetFaults(simnet.Faults{Duplicate: 0.5, DelayMax: 40 * time.Millisecond}) }},
	{"node stopped", func(w *world) { w.stop(w.rng.IntN(nodes)) }},
	{"leader killed", func(w *world) { w.kill(w.someLeader()) }},
	{"majority killed", func(w *world) {
		spared := w.rng.IntN(nodes)
		w.kill((spared + 1) % nodes)
		w.kill((spared + 2) % nodes)
	}},
	{"all killed", func(w *world) {
		for i := range nodes {
			w.kill(i)
		}
	}},
	{"clocks jump", func(w *world) {
		for _, c := range w.clocks {
			c.Set(clustertest.Epoch + time.Duration(w.rng.Int64N(int64(20*time.Hour))) - 10*time.Hour)
		}
		w.kill(w.someLeader()) // who leads next believes another clock
	}},
}...)

// someLeader is the node that leads some partition.
func (w *world) someLeader() int {
	if i := w.Leader(uint32(w.rng.IntN(partitions + 1))); i >= 0 {
		return i
	}
	return w.rng.IntN(nodes)
}

// torment brings each fault once, faultsMax of them at most, in an order that the seed decides.
func (w *world) torment(faultsMax int) error {
	for _, k := range w.rng.Perm(len(faults))[:faultsMax] {
		before := w.total()
		w.noteLeaders()
		w.load.Count("fault: "+faults[k].name, 1)
		faults[k].do(w)
		time.Sleep(time.Duration(600+w.rng.IntN(1500)) * time.Millisecond)
		w.noteLeaders()
		if err := w.heal(); err != nil {
			return errors.Join(errors.New("after "+faults[k].name), err)
		}
		if w.total() == before {
			return errors.New("nothing was answered around " + faults[k].name)
		}
	}
	return nil
}

func (w *world) total() (n int) {
	for i := range nodes {
		n += w.load.Answered((&target{w, i}).Name())
	}
	return n
}

// heal ends all faults and waits until every node answers again.
func (w *world) heal() error {
	w.Net.Heal()
	w.Net.SetFaults(simnet.Faults{DelayMax: time.Millisecond, Duplicate: 0.01})
	for i := range nodes {
		w.start(i)
	}
	before := make([]int, nodes)
	for i := range nodes {
		before[i] = w.load.Answered((&target{w, i}).Name())
	}
	for limit := time.Now().Add(recoverMax); ; time.Sleep(50 * time.Millisecond) {
		w.noteLeaders()
		answers := 0
		for i := range nodes {
			if w.load.Answered((&target{w, i}).Name()) > before[i] && w.Nodes[i].Ready() == nil {
				answers++
			}
		}
		if answers == nodes {
			return nil
		}
		if time.Now().After(limit) {
			why := []error{errors.New("the cluster does not recover")}
			for i := range nodes {
				why = append(why, w.Nodes[i].Ready())
			}
			return errors.Join(why...)
		}
	}
}

// recoverMax is how long a healed cluster may take until all nodes answer.
const recoverMax = 30 * time.Second

package nodesim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"kahuna/cluster"
	"kahuna/cluster/clustertest"
	"kahuna/fsm"
	"kahuna/op"
	"kahuna/placement"
)

// anyone is a node that runs; nil: none does.
func (w *world) anyone() *instance {
	for _, i := range w.rng.Perm(nodes) {
		if in := w.instance(i); in != nil {
			return in
		}
	}
	return nil
}

// aRange is some partition of the map.
func (w *world) aRange() (r placement.Range, ok bool) {
	in := w.anyone()
	if in == nil {
		return r, false
	}
	all := in.node.Router().State().Ranges
	return all[w.rng.IntN(len(all))], true
}

// split asks a node to split a partition, at a slot or within one. It goes on beside the faults; what comes of it is seen in the end.
func (w *world) split(r placement.Range) {
	in := w.anyone()
	if in == nil || !in.enter() {
		return
	}
	var at *op.Position
	if w.rng.IntN(2) == 0 { // at a name that clients use, or near one
		key := fmt.Appendf(nil, "%c%d", 'a'+w.rng.IntN(26), w.rng.IntN(10))
		at = &op.Position{Slot: op.Slot(key), Name: key}
		if fsm.Compare(*at, r.From) <= 0 || !fsm.IsEnd(r.To) && fsm.Compare(*at, r.To) >= 0 {
			at = nil
		}
	}
	w.dying.Go(func() {
		defer in.calls.Done()
		ctx, cancel := context.WithTimeout(in.ctx, 10*time.Second)
		defer cancel()
		_, err := in.node.Split(ctx, r.ID, at)
		for _, known := range []error{nil, cluster.ErrTryAgain, cluster.ErrClusterDown, cluster.ErrUncertain, cluster.ErrRefused} {
			if errors.Is(err, known) {
				return
			}
		}
		if !in.dead.Load() && in.ctx.Err() == nil {
			w.load.Fail("splitting partition %d: %v", r.ID, err)
		}
	})
}

// splitAmid splits a partition and does something else in the middle of it.
func (w *world) splitAmid(do func(r *placement.Range)) {
	r, ok := w.aRange()
	if !ok {
		return
	}
	w.split(r)
	time.Sleep(time.Duration(w.rng.IntN(60)) * time.Millisecond)
	if do != nil {
		do(&r)
	}
}

// same waits until no split is on its way and all replicas of a partition have the same, byte for byte, where the map says.
func (w *world) same() error {
	var err error
	for limit := time.Now().Add(2 * recoverMax); time.Now().Before(limit); time.Sleep(200 * time.Millisecond) {
		if err = w.compare(); err == nil {
			w.load.Count("splits", len(w.Nodes[0].Router().State().Ranges)-partitions)
			return nil
		}
	}
	return err
}

func (w *world) compare() error {
	s := w.Nodes[0].Router().State()
	if err := s.Check(); err != nil || len(s.Changes) > 0 {
		return fmt.Errorf("changes on their way: %+v, %v", s.Changes, err)
	}
	for _, r := range s.Ranges {
		var first []byte
		for i, n := range w.Nodes {
			replica := n.Replica(r.ID)
			if replica == nil {
				return fmt.Errorf("node %d has no replica of partition %d", i, r.ID)
			}
			is := replica.Machine().State()
			if fsm.Compare(is.From, r.From) != 0 || fsm.Compare(is.To, r.To) != 0 || is.Uncounted {
				return fmt.Errorf("partition %d on node %d is %v to %v, and %v to %v in the map", r.ID, i, is.From, is.To, r.From, r.To)
			}
			var b bytes.Buffer
			if _, err := replica.Machine().Snapshot(&b); err != nil {
				return err
			}
			if first == nil {
				first = b.Bytes()
			} else if !bytes.Equal(first, b.Bytes()) {
				return fmt.Errorf("partition %d is another one on node %d", r.ID, i)
			}
		}
	}
	for i, n := range w.Nodes {
		if got, want := len(n.Replicas()), len(s.Ranges)+1; got != want {
			return fmt.Errorf("node %d has %d replicas of %d partitions", i, got, want)
		}
	}
	return nil
}

var splitFaults = []fault{
	{"split", func(w *world) { w.splitAmid(nil) }},
	{"split, and its leader killed", func(w *world) {
		w.splitAmid(func(r *placement.Range) {
			if i := w.Leader(r.ID); i >= 0 {
				w.kill(i)
			}
		})
	}},
	{"split without a node", func(w *world) {
		w.Net.Isolate(clustertest.Address(w.rng.IntN(nodes)))
		w.splitAmid(nil)
	}},
	{"split, and a power cut", func(w *world) {
		w.splitAmid(func(*placement.Range) {
			time.Sleep(time.Duration(w.rng.IntN(100)) * time.Millisecond)
			for i := range nodes {
				w.boots[i]++ // the store is cut back to what it has made durable
				w.kill(i)
			}
		})
	}},
	{"split, and all killed", func(w *world) {
		w.splitAmid(func(*placement.Range) {
			for i := range nodes {
				w.kill(i)
			}
		})
	}},
}

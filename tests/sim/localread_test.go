package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/raftgroup"
	"kahuna/tests/sim/check"
	"kahuna/tests/sim/history"
)

// reader is a way to read at a node.
type reader func(n *node, key []byte) (op.Result, error)

// readProven is the way that the product reads.
func readProven(n *node, key []byte) (op.Result, error) {
	return n.read(partitionOf(key), mvcc.Latest, &op.Get{Key: key})
}

// readLocally is the seeded bug: it trusts that a replica that believes to lead does lead.
func readLocally(n *node, key []byte) (op.Result, error) {
	i := n.enter()
	if i == nil {
		return op.Result{}, errDown
	}
	defer i.calls.Done()
	r := i.replicas[partitionOf(key)]
	if !r.Leads() {
		return op.Result{}, errors.New("sim: not the leader")
	}
	snap := i.store.Snapshot()
	defer snap.Close()
	return r.Machine().Read(snap, mvcc.Latest, &op.Get{Key: key})
}

// deposed plays the schedule that a read on local leadership does not survive. The leader is made deaf, and hands the leadership over
// at the same moment: a transfer passes over what else keeps followers from electing anew, and the old leader hears of nothing until
// its lease has run out. Meanwhile a client writes at the new leader, and another one reads at the old one.
func deposed(t *testing.T, seed uint64, dir string, read reader) (events []*history.Event, stale int, err error) {
	synctest.Test(t, func(*testing.T) {
		slow := raftgroup.Timing{HeartbeatTimeout: time.Second, ElectionTimeout: time.Second, LeaseTimeout: time.Second, CommitTimeout: 50 * time.Millisecond}
		w, startErr := newWorld(seed, dir, 3, slow)
		defer w.close()
		if err = startErr; err == nil {
			stale, err = w.depose(registers[0], read)
		}
		err = errors.Join(err, w.failure())
		events = w.history.Events()
	})
	return events, stale, err
}

// depose returns how often the deposed leader answered a read after the new one had acknowledged a write.
func (w *world) depose(key []byte, read reader) (answers int, err error) {
	id := partitionOf(key)
	if err := w.until(recoverMax, "a leader", func() bool { return w.leader(id) != nil && w.write(w.leader(id), key, "old") == nil }); err != nil {
		return 0, err
	}
	if err := w.settle(recoverMax); err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond) // the leader must know that the others have everything
	old := w.leader(id)
	others := w.others(old)
	for _, n := range others {
		w.net.Cut(n.id, old.id)
	}
	handing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = old.running().replicas[id].Group().TransferLeadership(handing, others[0].id) // can't be confirmed to the deaf
	}()
	defer func() { cancel(); <-done }()
	err = w.until(2*time.Second, "a new leader", func() bool {
		return others[0].running().replicas[id].Leads() && w.write(others[0], key, "new") == nil
	})
	if err != nil {
		return 0, err
	}
	for range 5 {
		if w.look(old, key, read) {
			answers++
		}
	}
	w.heal()
	return answers, w.until(recoverMax, "a read after healing", func() bool { return w.look(others[0], key, readProven) })
}

func (w *world) others(but *node) (others []*node) {
	for _, n := range w.nodes {
		if n != but {
			others = append(others, n)
		}
	}
	return others
}

func (w *world) write(n *node, key []byte, value string) error {
	i := n.enter()
	if i == nil {
		return errDown
	}
	defer i.calls.Done()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	e := &history.Event{Client: 1, Node: n.id, Op: &op.Set{Key: key, Value: []byte(value)}, Call: time.Since(w.began), Return: history.Never}
	results, err := i.replicas[partitionOf(key)].Write(ctx, []op.Op{e.Op})
	if judge(err) == refused {
		return err
	}
	if err == nil {
		e.Return, e.Result = time.Since(w.began), results[0]
	}
	w.history.Add(e)
	return err
}

// look reads at a node and tells whether it answered.
func (w *world) look(n *node, key []byte, read reader) bool {
	time.Sleep(time.Millisecond)
	e := &history.Event{Client: 2, Node: n.id, Op: &op.Get{Key: key}, Call: time.Since(w.began)}
	res, err := read(n, key)
	if err != nil {
		return false
	}
	e.Return, e.Result = time.Since(w.began), res
	w.history.Add(e)
	return true
}

// A read that is answered on local leadership is caught by the checker, and the same schedule is no trouble for the product's reads.
func TestCatchesLocalReads(t *testing.T) {
	const seeds = 5
	for seed := uint64(1); seed <= seeds; seed++ {
		events, answers, err := deposed(t, seed, diskRoot(t), readLocally)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if found := check.Registers(events, check.SearchMax, ""); answers == 0 || len(found) == 0 || !strings.Contains(found[0].Reason, "not linearizable") {
			t.Errorf("seed %d: %d local reads on a deposed leader went unnoticed: %v%s", seed, answers, found, lines(events))
		}
		events, answers, err = deposed(t, seed, diskRoot(t), readProven)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if found := check.Registers(events, check.SearchMax, ""); answers > 0 || len(found) > 0 {
			t.Errorf("seed %d: a deposed leader answered %d reads: %v%s", seed, answers, found, lines(events))
		}
	}
}

func lines(events []*history.Event) (text string) {
	for _, e := range events {
		text += fmt.Sprintf("\n    %v", e)
	}
	return text
}

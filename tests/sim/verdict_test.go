package sim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/check"
	"kahuna/tests/sim/history"
)

// final is what the cluster says when all is healed.
type final struct {
	versions map[string][]op.Item // of registers
	counters map[string]int64
	seqs     map[string]int64
}

// recoverMax is how long a healed cluster may take until it answers.
const recoverMax = 20 * time.Second

// catchUpMax is how long a replica may take until it has what the others have: the stream of a snapshot that was lost on its way is
// given up after half a minute, and may be lost again by the same fault.
const catchUpMax = 90 * time.Second

// leaseMax is the longest lease that clients ask for; after a change of leader it begins anew.
const leaseMax = 4 * time.Second

// finish asks the healed cluster for everything, when all leases have run out, and compares the replicas.
func (w *world) finish() (f final, err error) {
	if err := w.expired(); err != nil {
		return f, err
	}
	f = final{versions: map[string][]op.Item{}, counters: map[string]int64{}, seqs: map[string]int64{}}
	for _, key := range registers {
		res, err := w.ask(recoverMax, &op.History{Key: key, Limit: 1 << 30})
		if err != nil {
			return f, err
		}
		f.versions[string(key)] = res.Items
		if err := w.noteFinalRead(key); err != nil {
			return f, err
		}
	}
	for _, key := range counters {
		if f.counters[string(key)], err = w.counter(key); err != nil {
			return f, err
		}
	}
	for _, name := range sequences {
		res, err := w.ask(recoverMax, &op.SeqGet{Name: name})
		if err != nil {
			return f, err
		}
		if res.Found {
			f.seqs[string(name)] = res.Seq.Last
		}
	}
	return f, w.settle(catchUpMax)
}

// expired sees that no lock is held for ever by owners that are gone.
func (w *world) expired() error {
	for _, name := range locks {
		err := w.until(recoverMax+leaseMax, fmt.Sprintf("lock %s free", name), func() bool {
			res, err := w.ask(recoverMax, &op.LockInfo{Name: name})
			return err == nil && !res.Found
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// noteFinalRead adds what a key has in the end to the history, as one more client's read.
func (w *world) noteFinalRead(key []byte) error {
	e := &history.Event{Client: -1, Node: "leader", Op: &op.Get{Key: key}, Call: time.Since(w.began)}
	res, err := w.ask(recoverMax, e.Op)
	e.Return, e.Result = time.Since(w.began), res
	w.history.Add(e)
	return err
}

func (w *world) counter(key []byte) (int64, error) {
	res, err := w.ask(recoverMax, &op.Get{Key: key})
	if err != nil || !res.Found {
		return 0, err
	}
	return strconv.ParseInt(string(res.Value), 10, 64)
}

// verdict judges what the clients saw. Pictures go to dir.
func verdict(events []*history.Event, f final, dir string) error {
	found := check.All(events, f.versions, f.seqs, f.counters, dir)
	var errs []error
	for _, v := range found[:min(len(found), 10)] {
		errs = append(errs, errors.New(v.String()))
	}
	if len(found) > len(errs) {
		errs = append(errs, fmt.Errorf("and %d more violations", len(found)-len(errs)))
	}
	return errors.Join(errs...)
}

package load

import (
	"fmt"
	"time"

	"kahuna/op"
	"kahuna/tests/sim/check"
	"kahuna/tests/sim/history"
)

// Final is what the cluster says when all is healed and nobody writes any more.
type Final struct {
	versions map[string][]op.Item // of registers
	counters map[string]int64
	seqs     map[string]int64
}

// Ask has one operation done, for as long as it takes within some limit.
type Ask func(o op.Op) (op.Result, error)

// Finish asks for everything, when all leases have run out.
func (w *World) Finish(ask Ask) (f Final, err error) {
	f = Final{versions: map[string][]op.Item{}, counters: map[string]int64{}, seqs: map[string]int64{}}
	for _, key := range w.registers() {
		e := &history.Event{Client: -1, Node: "final", Op: &op.Get{Key: key}, Call: time.Since(w.Began)}
		res, err := ask(e.Op)
		if err != nil {
			return f, err
		}
		w.note(e, res, Answered)
		if res, err = ask(&op.History{Key: key, Limit: versionsMax}); err != nil {
			return f, err
		}
		f.versions[string(key)] = res.Items
	}
	for _, key := range append(w.counters(), w.transferCount()) {
		res, err := ask(&op.Get{Key: key})
		if err != nil {
			return f, err
		}
		f.counters[string(key)] = (&client{w: w}).number(res)
	}
	for _, name := range w.sequences() {
		res, err := ask(&op.SeqGet{Name: name})
		if err != nil {
			return f, err
		}
		if res.Found {
			f.seqs[string(name)] = res.Seq.Last
		}
	}
	return f, w.lastLook(ask, &f)
}

// versionsMax is the most that a server tells of one key.
const versionsMax = 10_000

// lastLook adds what the accounts have in the end to what clients saw.
func (w *World) lastLook(ask Ask, f *Final) error {
	t := Transfer{Call: time.Since(w.Began), From: -1, Number: f.counters[string(w.transferCount())], Balances: map[int]int64{}}
	for i, key := range w.accounts() {
		res, err := ask(&op.Get{Key: key})
		if err != nil {
			return err
		}
		t.Balances[i] = (&client{w: w}).number(res)
	}
	t.Return = time.Since(w.Began)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.transfers = append(w.transfers, t)
	return nil
}

// Free tells which lock is still held; empty: none. Leases run out by themselves.
func (w *World) Free(ask Ask) (held string, err error) {
	for _, name := range w.locks() {
		if res, err := ask(&op.LockInfo{Name: name}); err != nil || res.Found {
			return string(name), err
		}
	}
	return "", nil
}

// Verdict judges all that clients saw; nothing found means that every promise was kept. Pictures go to dir. It is to be called outside
// of a bubble of synctest.
func (w *World) Verdict(f Final, dir string) (found []string) {
	events := w.history.Events()
	all := check.All(events, f.versions, f.seqs, f.counters, dir)
	for _, v := range all {
		found = append(found, v.String())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	found = append(found, Stamps(w.stamps)...)
	found = append(found, Transfers(w.transfers, accountsInUse)...)
	found = append(found, Denials(w.denied, events, f.versions)...)
	return append(found, w.wrong...)
}

// Save writes what clients did to a file, a line each.
func (w *World) Save(path string) error { return history.Save(path, w.history.Events()) }

// Checked is how many operations were judged.
func (w *World) Checked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.history.Events()) + len(w.stamps) + len(w.transfers)
}

// Floors tells which counts are below what a run must have seen.
func Floors(counts, floors map[string]int) error {
	for what, floor := range floors {
		if counts[what] < floor {
			return fmt.Errorf("vacuous: %s %d of %d; %s", what, counts[what], floor, Text(counts))
		}
	}
	return nil
}

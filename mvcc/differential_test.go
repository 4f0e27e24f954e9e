package mvcc_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// TestWorkingAgainstView runs the same random operations on a Working over a store and on viewtest.View, which the rules of keys,
// locks and sequences are tested with: the answers and what is there afterwards have to be the same, or those tests say nothing
// about the real thing.
func TestWorkingAgainstView(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := &pair{t: t, r: rand.New(rand.NewPCG(seed, 5)), view: viewtest.New(), run: newRun(t, seed)}
			for range 250 {
				d.step()
			}
			if d.refused == 0 || d.kept == 0 {
				t.Errorf("%d operations kept, %d refused", d.kept, d.refused)
			}
		})
	}
}

type pair struct {
	t             *testing.T
	r             *rand.Rand
	view          *viewtest.View
	run           *run
	now           op.Timestamp
	kept, refused int
}

// pairNames are many, so that Working looks them up in both of its ways.
var pairNames = func() (all []op.Name) {
	for i := range 24 {
		all = append(all, op.Name{Space: op.Space(1 + i%3), Key: fmt.Appendf(nil, "%d", i)})
	}
	return all
}()

func (d *pair) step() {
	if d.r.IntN(8) == 0 {
		d.intent()
		return
	}
	now := d.now + op.Timestamp(d.r.IntN(5)) // now and then not above the last one
	d.view.Begin(now)
	keep := d.r.IntN(8) > 0
	names := pairNames
	if d.r.IntN(2) == 0 {
		names = names[:3]
	}
	calls := 1 + d.r.IntN(1<<d.r.IntN(7))
	err := d.run.batch(func(w mvcc.Writer) error {
		var work mvcc.Working
		work.Reset(w.Batch, now)
		for range calls {
			if err := d.call(&work, names[d.r.IntN(len(names))]); err != nil {
				return err
			}
		}
		if !keep {
			return errDropped
		}
		return work.Flush(w)
	})
	if err != nil {
		d.view.Undo()
		d.refused++
	} else {
		d.kept++
	}
	d.now = max(d.now, now)
	d.compare()
}

var errDropped = errors.New("dropped")

// call makes the same call on both. It returns how it ended.
func (d *pair) call(work *mvcc.Working, n op.Name) error {
	_, live, err := d.view.Get(n)
	var got, want string
	switch k := d.r.IntN(6); {
	case err != nil || k < 2:
		var a, b mvcc.Record
		var la, lb bool
		var erra error
		a, la, erra = work.Get(n)
		b, lb, err = d.view.Get(n)
		got, want = outcome(recordText(a, la), erra), outcome(recordText(b, lb), err)
	case k == 2 && live:
		reva, erra := work.Delete(n)
		revb, errb := d.view.Delete(n)
		got, want, err = outcome(fmt.Sprint(reva), erra), outcome(fmt.Sprint(revb), errb), errb
	case k == 3 && live:
		at := d.expiry(work.Now())
		erra, errb := work.PutExpiry(n, at), d.view.PutExpiry(n, at)
		got, want, err = outcome("", erra), outcome("", errb), errb
	default:
		rec := mvcc.Record{Type: mvcc.TypeString, Value: d.run.value(), ExpireAt: d.expiry(work.Now()), NoRev: k == 5}
		a, erra := work.Put(n, rec)
		b, errb := d.view.Put(n, rec)
		got, want, err = outcome(recordText(a, true), erra), outcome(recordText(b, true), errb), errb
	}
	if got != want {
		d.t.Fatalf("%s at %d: %s, the view says %s", storetest.Name(n), work.Now(), got, want)
	}
	return err
}

func (d *pair) expiry(now op.Timestamp) op.Timestamp {
	if d.r.IntN(2) == 0 {
		return 0
	}
	return now + op.Timestamp(1+d.r.IntN(20))
}

// outcome is what both have to say; their errors have different texts.
func outcome(text string, err error) string {
	var met *mvcc.IntentError
	switch {
	case errors.As(err, &met):
		return "intent"
	case errors.Is(err, mvcc.ErrOrder) || errors.Is(err, viewtest.ErrOrder):
		return "order"
	case err != nil:
		return err.Error()
	}
	return text
}

// intent lays an intent at a name, or takes it away.
func (d *pair) intent() {
	n := pairNames[d.r.IntN(len(pairNames))]
	d.now++
	err := d.run.batch(func(w mvcc.Writer) error {
		if there, err := w.Resolve(n, 1<<40, false, 0); err != nil || there {
			d.view.SetIntent(n, nil)
			return err
		}
		d.view.SetIntent(n, &op.Intent{Txn: 1 << 40, Name: n})
		return w.Lay(d.now, 1<<40, n, op.Write{Name: n, Value: d.run.value()})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *pair) compare() {
	now := d.now + 1
	d.view.Begin(now)
	snap := d.run.store.Snapshot()
	defer snap.Close()
	var work mvcc.Working
	work.Reset(snap, now)
	at := mvcc.NewAt(snap, 1<<40)
	for _, n := range pairNames {
		a, la, erra := work.Get(n)
		b, lb, errb := d.view.Get(n)
		if got, want := outcome(recordText(a, la), erra), outcome(recordText(b, lb), errb); got != want {
			d.t.Fatalf("afterwards %s at %d is %s, the view says %s", storetest.Name(n), now, got, want)
		}
		if _, err := mvcc.CurrentTimestamp(snap, n); err != nil {
			d.t.Fatal(err)
		}
		if _, _, err := at.Get(n); err != nil && outcome("", err) != "intent" {
			d.t.Fatal(err)
		}
	}
}

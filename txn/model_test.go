package txn_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kahuna/mvcc"
	"kahuna/mvcc/storetest"
	"kahuna/op"
	"kahuna/storage"
	"kahuna/txn"
)

// TestInterleavedTransactions runs transactions whose steps mix at random, with steps that are sent twice or never, deadlines
// that pass, and others who meet intents and end their transactions. At every moment what can be read is of committed
// transactions only and each name has at most one intent; what a committed transaction read was still so at its commit; and in
// the end all that committed is there, and nothing else.
func TestInterleavedTransactions(t *testing.T) {
	var done world
	for seed := range uint64(5) {
		w := newWorld(t, seed)
		for range 600 {
			w.step()
			w.verify()
		}
		w.finish()
		done.committed += w.committed
		done.lost += w.lost
		done.met += w.met
	}
	if done.committed < 50 || done.lost < 20 || done.met < 20 {
		t.Errorf("%d committed, %d lost, %d intents met: too few to say anything", done.committed, done.lost, done.met)
	}
}

type world struct {
	t     *testing.T
	r     *rand.Rand
	store *storage.Store
	now   op.Timestamp
	open  []*transaction
	all   []*transaction
	// history has what committed, oldest first: the model.
	history map[string][]version

	committed, lost, met int
}

type version struct {
	at    op.Timestamp
	value string // empty: deleted
}

type transaction struct {
	start, deadline op.Timestamp
	reads           map[string]op.Timestamp
	writes          []op.Write
	stage           int
	at              op.Timestamp
	over            bool
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, r: rand.New(rand.NewPCG(seed, 3)), store: storetest.Open(t, t.TempDir()), now: 1, history: map[string][]version{}}
}

func (w *world) step() {
	w.now += op.Timestamp(1 + w.r.IntN(3))
	switch {
	case len(w.open) < 2 || len(w.open) < 6 && w.r.IntN(3) == 0:
		w.begin()
	case w.r.IntN(6) == 0: // somebody asks about any transaction, over or not
		w.settle(w.all[w.r.IntN(len(w.all))])
	default:
		i := w.r.IntN(len(w.open))
		if x := w.open[i]; w.r.IntN(30) > 0 {
			w.advance(x)
		} else {
			x.over = true // its coordinator is gone
		}
		if w.open[i].over {
			w.open = append(w.open[:i], w.open[i+1:]...)
		}
	}
}

var letters = []string{"a", "b", "c", "d", "e"}

func (w *world) begin() {
	x := &transaction{start: w.now, deadline: w.now + op.Timestamp(10+w.r.IntN(80)), reads: map[string]op.Timestamp{}}
	for i, l := range w.r.Perm(len(letters)) {
		name := op.Key([]byte(letters[l]))
		switch {
		case i < 1+w.r.IntN(2):
			wr := op.Write{Name: name, Type: byte(mvcc.TypeString), Value: fmt.Appendf(nil, "%d", x.start)}
			if w.r.IntN(5) == 0 {
				wr.Deleted, wr.Value = true, nil
			}
			x.writes = append(x.writes, wr)
		case w.r.IntN(2) == 0:
			if !w.read(x, name) {
				return
			}
		}
	}
	w.open, w.all = append(w.open, x), append(w.all, x)
}

// read reads a name for a transaction; false when an intent is in the way, which is then settled.
func (w *world) read(x *transaction, n op.Name) bool {
	snap := w.store.Snapshot()
	defer snap.Close()
	seen, _, err := mvcc.NewAt(snap, x.start).Seen(n)
	if w.meets(err) {
		return false
	}
	x.reads[string(n.Key)] = seen.TS
	return true
}

// meets tells whether an intent was met, and has it settled.
func (w *world) meets(err error) bool {
	var met *mvcc.IntentError
	if !errors.As(err, &met) {
		if err != nil {
			w.t.Fatal(err)
		}
		return false
	}
	w.met++
	for _, x := range w.all {
		if x.start == met.Intent.Txn {
			w.settle(x)
			return true
		}
	}
	w.t.Fatalf("an intent of nobody: %+v", met.Intent)
	return true
}

// entry runs one operation as a log entry.
func (w *world) entry(f func(wr mvcc.Writer) (op.Result, error)) op.Result {
	b := w.store.NewBatch()
	res, err := f(mvcc.Writer{Batch: b})
	if err == nil {
		if err := b.Commit(); err != nil {
			w.t.Fatal(err)
		}
	}
	b.Discard()
	if w.meets(err) {
		return op.Result{Status: op.Blocked}
	}
	return res
}

func (w *world) settle(x *transaction) {
	if len(x.writes) == 0 {
		return
	}
	res := w.entry(func(wr mvcc.Writer) (op.Result, error) {
		return txn.Settle(wr.Batch, w.now, &op.Settle{Txn: x.start, Home: x.home(), Abort: w.r.IntN(8) == 0})
	})
	if res.Txn.Status != op.TxnPending {
		w.resolve(x, res.Txn.Status == op.TxnCommitted, res.Txn.At)
	}
}

func (x *transaction) home() op.Name { return x.writes[0].Name }

func (w *world) resolve(x *transaction, committed bool, at op.Timestamp) {
	var names []op.Name
	for _, wr := range x.writes {
		if w.r.IntN(4) > 0 {
			names = append(names, wr.Name)
		}
	}
	w.entry(func(wr mvcc.Writer) (op.Result, error) {
		return txn.Resolve(wr, &op.Resolve{Txn: x.start, Names: names, Committed: committed, At: at})
	})
}

// advance makes a transaction's next step, as its coordinator would.
func (w *world) advance(x *transaction) {
	switch {
	case x.stage < len(x.writes):
		w.prewrite(x)
	case x.stage == len(x.writes):
		x.at = w.now
		x.stage++
		if !w.check(x) {
			w.end(x)
		}
	default:
		w.decide(x)
	}
}

// prewrite lays the intents name by name, as if each were in a partition of its own; the home's comes at any place.
func (w *world) prewrite(x *transaction) {
	order := (x.stage + int(x.start)) % len(x.writes)
	o := &op.Prewrite{Txn: x.start, Home: x.home(), Writes: x.writes[order : order+1]}
	if o.AtHome = order == 0; o.AtHome {
		o.Deadline, o.Names = x.deadline, []op.Name{x.home()}
	}
	res := w.entry(func(wr mvcc.Writer) (op.Result, error) { return txn.Prewrite(wr, w.now, o, o.Txn) })
	switch {
	case res.Done && (o.AtHome || w.r.IntN(4) > 0): // now and then it is sent again
		x.stage++
	case res.Status == op.Conflict || res.Status == op.Aborted:
		w.end(x)
	}
}

func (w *world) check(x *transaction) bool {
	o := &op.Check{Txn: x.start, At: x.at}
	for name, at := range x.reads {
		o.Reads = append(o.Reads, op.Seen{Name: op.Key([]byte(name)), TS: at})
	}
	return w.entry(func(wr mvcc.Writer) (op.Result, error) { return txn.Check(wr.Batch, o, o.Txn) }).Done
}

func (w *world) end(x *transaction) {
	x.over = true
	w.lost++
}

func (w *world) decide(x *transaction) {
	x.over = true
	res := w.entry(func(wr mvcc.Writer) (op.Result, error) {
		return txn.Decide(wr.Batch, w.now, &op.Decide{Txn: x.start, Home: x.home(), At: x.at})
	})
	if !res.Done {
		w.lost++
		return
	}
	w.committed++
	for name, saw := range x.reads {
		if last := w.before(name, x.at); last.at != saw {
			w.t.Fatalf("%d read %s at %d, and at its commit %d it is at %d", x.start, name, saw, x.at, last.at)
		}
	}
	for _, wr := range x.writes {
		if last := w.before(string(wr.Name.Key), x.at); last.at > x.start {
			w.t.Fatalf("%d overwrote %s of %d", x.start, wr.Name.Key, last.at)
		}
		if last := w.before(string(wr.Name.Key), x.at); last.at > 0 || !wr.Deleted { // the deletion of nothing is nothing
			w.add(string(wr.Name.Key), version{x.at, string(wr.Value)})
		}
	}
}

// add puts a version in its place: decisions are not made in the order of commit timestamps.
func (w *world) add(name string, v version) {
	h := append(w.history[name], v)
	for i := len(h) - 1; i > 0 && h[i-1].at > h[i].at; i-- {
		h[i-1], h[i] = h[i], h[i-1]
	}
	w.history[name] = h
}

func (w *world) before(name string, at op.Timestamp) (v version) {
	for _, h := range w.history[name] {
		if h.at < at {
			v = h
		}
	}
	return v
}

// verify looks at all names as of now and as of some time before.
func (w *world) verify() {
	w.t.Helper()
	snap := w.store.Snapshot()
	defer snap.Close()
	for _, at := range []op.Timestamp{w.now, w.now - op.Timestamp(w.r.IntN(int(w.now)))} {
		for _, name := range letters {
			if text := w.difference(snap, name, at); text != "" {
				w.t.Fatal(text)
			}
		}
	}
	intents := storetest.Pairs(w.t, w.store, storage.KindIntent)
	marked := 0
	for _, p := range storetest.Pairs(w.t, w.store, storage.KindCurrent) {
		if p.Value[1]&4 != 0 {
			marked++
		}
	}
	if marked != len(intents) {
		w.t.Fatalf("%d intents, and %d names say they have one", len(intents), marked)
	}
}

// difference compares a read with the model. A read that meets an intent is not answered; that is the reader's to settle.
func (w *world) difference(r mvcc.Reader, name string, at op.Timestamp) string {
	rec, live, err := mvcc.NewAt(r, at).Get(op.Key([]byte(name)))
	var met *mvcc.IntentError
	if errors.As(err, &met) {
		return ""
	}
	want := w.before(name, at+1)
	if err != nil || rec.TS != want.at || live != (want.value != "") || live && !bytes.Equal(rec.Value, []byte(want.value)) {
		return fmt.Sprintf("%s at %d is %q at %d, %v; want %q at %d", name, at, rec.Value, rec.TS, err, want.value, want.at)
	}
	return ""
}

// finish ends all transactions and sees that nothing is left over.
func (w *world) finish() {
	for range 20 { // a resolution leaves out names at random
		w.now += 1000
		for _, x := range w.all {
			w.settle(x)
		}
	}
	w.verify()
	if left := storetest.Pairs(w.t, w.store, storage.KindIntent); len(left) > 0 {
		w.t.Fatalf("%d intents are left: %s", len(left), left[0])
	}
	snap := w.store.Snapshot()
	defer snap.Close()
	for name, h := range w.history {
		for _, v := range h {
			if text := w.difference(snap, name, v.at); text != "" {
				w.t.Fatal(text)
			}
		}
	}
}

// The checks above have to find a version that nobody committed, and one that is missing.
func TestInterleavedFindsDifferences(t *testing.T) {
	w := newWorld(t, 1)
	for w.committed < 5 {
		w.step()
	}
	w.finish()
	snap := w.store.Snapshot()
	defer snap.Close()
	for name, h := range w.history {
		if text := w.difference(snap, name, w.now); text != "" {
			t.Fatal(text)
		}
		w.history[name] = h[:len(h)-1]
		if w.difference(snap, name, w.now) == "" {
			t.Errorf("a version of %s that nobody committed was not found", name)
		}
		w.history[name] = append(h, version{w.now, "x"})
		if w.difference(snap, name, w.now) == "" {
			t.Errorf("a version of %s that is missing was not found", name)
		}
	}
}

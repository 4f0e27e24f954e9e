package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"kahuna/op"
)

// numbered applies an entry of one numbered bundle.
func (r *replica) numbered(number Number, units ...Unit) []op.Result {
	r.t.Helper()
	r.index++
	number.Units = len(units)
	e := Entry{Term: testTerm, First: r.now + 1, Units: units, Numbers: []Number{number}}
	for _, u := range units {
		for _, o := range u {
			r.now += op.Timestamp(op.Timestamps(o))
		}
	}
	results, err := r.Apply([]LogEntry{{Index: r.index, Term: testTerm, Data: AppendEntry(nil, &e)}})
	if err != nil {
		r.t.Fatal(err)
	}
	return results[0]
}

func incr(key string) *op.Incr { return &op.Incr{Key: []byte(key), Delta: 1} }

func TestWhatComesAgainRunsOnce(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	n := Number{Incarnation: 7, Slot: 1, Seq: 1}
	for range 3 {
		if got := r.numbered(n, Unit{incr("a")}, Unit{incr("b"), incr("a")}); got[0].Int != 1 || got[1].Int != 1 || got[2].Int != 2 {
			t.Fatalf("got %+v", got)
		}
	}
	r.restart()
	if got := r.numbered(n, Unit{incr("a")}, Unit{incr("b"), incr("a")}); got[2].Int != 2 {
		t.Errorf("after a restart: %+v", got)
	}
	n.Seq = 2
	if got := r.numbered(n, Unit{incr("a")}); got[0].Int != 3 {
		t.Errorf("the next number: %+v", got)
	}
	n.Seq = 1
	if got := r.numbered(n, Unit{incr("a")}); got[0].Status != op.Unknown {
		t.Errorf("a number that is gone: %+v", got)
	}
	if got := r.numbered(Number{Incarnation: 7, Slot: 2, Seq: 1}, Unit{incr("a")}); got[0].Int != 4 {
		t.Errorf("another slot: %+v", got)
	}
}

// Who learns that a bundle bounced sends it again under the next number. The same message, sent before and delayed, must not run as well.
func TestWhatBouncedDoesNotRunLater(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	held := op.Key([]byte("a"))
	txn := r.now
	r.one(&op.Prewrite{Txn: txn, Home: held, AtHome: true, Deadline: op.MaxTimestamp, Writes: []op.Write{{Name: held, Type: 1, Value: []byte("5")}}})
	n := Number{Incarnation: 7, Slot: 1, Seq: 1}
	if got := r.numbered(n, Unit{incr("a")}); got[0].Status != op.Blocked {
		t.Fatalf("got %+v", got)
	}
	r.one(&op.Resolve{Txn: txn, Names: []op.Name{held}})
	n2 := Number{Incarnation: 7, Slot: 2, Seq: 1}
	if got := r.numbered(n2, Unit{incr("a")}); got[0].Int != 1 {
		t.Fatalf("sent again: %+v", got)
	}
	if got := r.numbered(n, Unit{incr("a")}); got[0].Status != op.Blocked {
		t.Errorf("the late one: %+v", got)
	}
	if got := r.numbered(n2, Unit{incr("a")}); got[0].Int != 1 {
		t.Errorf("the number again: %+v", got)
	}
}

// An entry of another term is a no-op, but what its numbers say holds: what ran before is answered as it was, and what did not will
// not run any more.
func TestNumbersOfEntriesOfAnotherTerm(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	ran, late := Number{Incarnation: 7, Slot: 1, Seq: 1}, Number{Incarnation: 7, Slot: 2, Seq: 1}
	r.numbered(ran, Unit{incr("a")})
	for _, n := range []struct {
		number Number
		want   op.Result
	}{{ran, op.Result{Int: 1}}, {late, op.Result{Status: op.Again}}} {
		r.index++
		n.number.Units = 1
		e := Entry{Term: testTerm - 1, First: r.now + 1, Units: []Unit{{incr("a")}}, Numbers: []Number{n.number}}
		results, err := r.Apply([]LogEntry{{Index: r.index, Term: testTerm, Data: AppendEntry(nil, &e)}})
		if err != nil || results[0][0].Status != n.want.Status || results[0][0].Int != n.want.Int {
			t.Errorf("got %+v, %v", results, err)
		}
		r.now++
	}
	if got := r.numbered(late, Unit{incr("a")}); got[0].Status != op.Again {
		t.Errorf("the late one: %+v", got)
	}
	if got := r.numbered(Number{Incarnation: 7, Slot: 2, Seq: 2}, Unit{incr("a")}); got[0].Int != 2 {
		t.Errorf("the next one: %+v", got)
	}
}

func TestIncarnationsAreForgotten(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	for i := range incarnationsMax + 1 {
		r.numbered(Number{Incarnation: op.Timestamp(i + 1), Seq: 1}, Unit{incr(fmt.Sprint(i))})
	}
	r.restart()
	if got := r.numbered(Number{Incarnation: 1, Seq: 2}, Unit{incr("0")}); got[0].Status != op.Unknown {
		t.Errorf("one that is forgotten: %+v", got)
	}
	if got := r.numbered(Number{Incarnation: 2, Seq: 1}, Unit{incr("1")}); got[0].Int != 1 || len(r.numbers.last) != incarnationsMax {
		t.Errorf("one that is not: %+v, of %d", got, len(r.numbers.last))
	}
}

func TestLargeResultsAreNotKept(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(set("a", string(make([]byte, keptResultsBytes))))
	n := Number{Incarnation: 7, Seq: 1}
	old := &op.Set{Key: []byte("a"), Value: []byte("x"), WantOld: true}
	if got := r.numbered(n, Unit{old}); len(got[0].Value) != keptResultsBytes {
		t.Fatalf("got %d bytes", len(got[0].Value))
	}
	if got := r.numbered(n, Unit{old}); got[0].Status != op.Unknown {
		t.Errorf("again: %+v", got[0])
	}
}

// Numbers go with the state.
func TestNumbersAreInSnapshots(t *testing.T) {
	a := newReplica(t, op.Position{}, op.Position{})
	n := Number{Incarnation: 7, Seq: 1}
	a.numbered(n, Unit{incr("a")})
	b := newReplica(t, op.Position{}, op.Position{})
	if err := b.Restore(bytes.NewReader(a.snapshot())); err != nil {
		t.Fatal(err)
	}
	b.index, b.now = a.index, a.now
	if got := b.numbered(n, Unit{incr("a")}); got[0].Int != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestNumbersOfEntries(t *testing.T) {
	units := []Unit{{incr("a")}, {incr("b")}, {incr("c")}}
	good := []Number{{0, 1, 5, 0, 1}, {1, 2, 6, 255, 9}}
	if e, err := DecodeEntry(AppendEntry(nil, &Entry{Units: units, Numbers: good})); err != nil || len(e.Numbers) != 2 || e.Numbers[1] != good[1] {
		t.Errorf("%+v, %v", e.Numbers, err)
	}
	for _, bad := range [][]Number{{{3, 1, 5, 0, 1}}, {{0, 4, 5, 0, 1}}, {{0, 2, 5, 0, 1}, {1, 1, 5, 0, 1}}, {{0, 1, 0, 0, 1}}, {{0, 1, 5, 0, 0}}, {{0, 0, 5, 0, 1}}} {
		if _, err := DecodeEntry(AppendEntry(nil, &Entry{Units: units, Numbers: bad})); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
}

// Results are kept only as far as they fit the entry's writes: too much would stop the group on every replica.
func TestKeptResultsAreBounded(t *testing.T) {
	r := newReplica(t, op.Position{}, op.Position{})
	r.one(&op.Set{Key: []byte("big"), Value: big[:4<<20-4<<10]})
	r.one(&op.Set{Key: []byte("a"), Value: big[:keptResultsBytes-100]})
	e := Entry{Term: testTerm, First: r.now + 1, Units: []Unit{{&op.Expire{Key: []byte("big"), Expiry: op.Expiry{Mode: op.ExpiryIn, Milli: 1 << 30}}}}}
	read := func() Unit { return Unit{&op.Multi{Ops: []op.Op{&op.Get{Key: []byte("a")}}}} }
	const bundles = 40
	for i := range bundles {
		e.Units = append(e.Units, read())
		e.Numbers = append(e.Numbers, Number{At: i + 1, Units: 1, Incarnation: 7, Slot: byte(i), Seq: 1})
	}
	r.index, r.now = r.index+1, r.now+bundles+1
	results, err := r.Apply([]LogEntry{{Index: r.index, Term: testTerm, Data: AppendEntry(nil, &e)}})
	if err != nil || !results[0][0].Done {
		t.Fatal(err, results[0][0].Status)
	}
	kept := 0
	for i := range bundles {
		got := r.numbered(Number{Incarnation: 7, Slot: byte(i), Seq: 1}, read())[0]
		if got.Status == op.OK && len(got.Sub) == 1 {
			kept++
		} else if got.Status != op.Unknown {
			t.Fatalf("%+v", got.Status)
		}
	}
	if bytes := kept * keptResultsBytes; kept == 0 || 4<<20+bytes > entryWriteBytesMax {
		t.Errorf("%d of %d results are kept", kept, bundles)
	}
}

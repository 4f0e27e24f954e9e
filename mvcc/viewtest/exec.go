package viewtest

import (
	"bytes"
	"errors"
	"testing"

	"kahuna/mvcc"
	"kahuna/op"
)

var errInjected = errors.New("viewtest: injected failure")

// Exec runs o as the next operation, and holds run, the Run of a package, to what every package of rules promises:
//
//   - a failure of the View, at whichever call, comes back as it is, with no Result;
//   - an operation that ends with a Status other than OK has changed nothing, and so has a read;
//   - the Result outlives the operation.
func Exec(t testing.TB, v *View, o op.Op, run func(mvcc.View, op.Op) (op.Result, bool, error)) op.Result {
	t.Helper()
	now := v.Now() + 1
	v.Begin(now)
	before := v.Dump()
	calls := failures(t, v, o, run)
	v.Begin(now)
	res, handled, err := run(v, o)
	if !handled || err != nil || v.Calls() != calls {
		t.Fatalf("%T: handled %v, error %v, %d calls of the View after %d", o, handled, err, v.Calls(), calls)
	}
	if after := v.Dump(); (res.Status != op.OK || o.ReadOnly()) && after != before {
		t.Fatalf("%T answered status %d and changed\n%sto\n%s", o, res.Status, before, after)
	}
	answered := op.AppendResult(nil, &res)
	v.reclaim()
	if !bytes.Equal(op.AppendResult(nil, &res), answered) {
		t.Fatalf("the result of %T points into what the View lent out", o)
	}
	return res
}

// failures runs o with a failure at each of its calls in turn, and returns how many there are.
func failures(t testing.TB, v *View, o op.Op, run func(mvcc.View, op.Op) (op.Result, bool, error)) int {
	t.Helper()
	now := v.Now()
	for n := 1; ; n++ {
		v.Begin(now)
		v.FailAt(n, errInjected)
		res, _, err := run(v, o)
		calls := v.Calls()
		v.Undo()
		if calls < n {
			return calls
		}
		if !errors.Is(err, errInjected) || !bytes.Equal(op.AppendResult(nil, &res), op.AppendResult(nil, &op.Result{})) {
			t.Fatalf("%T: call %d of the View failed, and the end was %v with %+v", o, n, err, res)
		}
	}
}

package load

import (
	"testing"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// A checker that finds nothing in a good history must find what is planted in it.
func TestStamps(t *testing.T) {
	good := []Stamp{{Call: 1, Return: 2, First: 10, N: 5}, {Call: 1, Return: 9, First: 30, N: 1}, {Call: 3, Return: 4, First: 15, N: 2}}
	if found := Stamps(good); len(found) > 0 {
		t.Error(found)
	}
	for name, planted := range map[string]Stamp{
		"twice":             {Call: 1, Return: 9, First: 14, N: 1},
		"twice, from below": {Call: 1, Return: 9, First: 8, N: 3},
		"back":              {Call: 3, Return: 9, First: 9, N: 1},
	} {
		if found := Stamps(append(good[:len(good):len(good)], planted)); len(found) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestTransfers(t *testing.T) {
	good := []Transfer{
		{Call: 1, Return: 2, From: 0, Number: 1, Balances: map[int]int64{0: -5, 1: 5}},
		{Call: 3, Return: 4, From: -1, Number: 1, Balances: map[int]int64{0: -5, 1: 5, 2: 0}},
		{Call: 3, Return: 6, From: 1, Number: 2, Balances: map[int]int64{1: 4, 2: 1}},
		{Call: 5, Return: 6, From: -1, Number: 2, Balances: map[int]int64{0: -5, 1: 4, 2: 1}},
	}
	if found := Transfers(good, 3); len(found) > 0 {
		t.Error(found)
	}
	for name, planted := range map[string]Transfer{
		"half a transfer":          {Call: 3, Return: 9, From: -1, Number: 3, Balances: map[int]int64{0: -6, 1: 4, 2: 1}},
		"another past":             {Call: 3, Return: 9, From: -1, Number: 2, Balances: map[int]int64{0: -6, 1: 5, 2: 1}},
		"a stale look":             {Call: 7, Return: 9, From: -1, Number: 1, Balances: map[int]int64{0: -5, 1: 5, 2: 0}},
		"a transfer in the past":   {Call: 7, Return: 9, From: 2, Number: 2, Balances: map[int]int64{1: 4, 2: 1}},
		"a number that went twice": {Call: 3, Return: 9, From: 2, Number: 2, Balances: map[int]int64{0: -4, 2: 0}},
	} {
		if found := Transfers(append(good[:len(good):len(good)], planted), 3); len(found) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestDenials(t *testing.T) {
	key, lock := []byte("k"), []byte("l")
	denied := []*history.Event{
		{Op: &op.Set{Key: key, Value: []byte("denied")}},
		{Op: &op.LockAcquire{Name: lock, Owner: []byte("nobody")}},
	}
	look := func(owner string) *history.Event {
		return &history.Event{Op: &op.LockInfo{Name: lock}, Result: op.Result{Found: true, Lock: &op.LockState{Holds: []op.Hold{{Owner: []byte(owner)}}}}}
	}
	good := []*history.Event{{Op: &op.Get{Key: key}, Result: op.Result{Found: true, Value: []byte("v")}}, look("somebody")}
	versions := map[string][]op.Item{"k": {{Rev: 1, Value: []byte("v")}}}
	if found := Denials(denied, good, versions); len(found) > 0 {
		t.Error(found)
	}
	if len(Denials(denied, append(good[:2:2], &history.Event{Op: &op.Get{Key: key}, Result: op.Result{Found: true, Value: []byte("denied")}}), versions)) == 0 {
		t.Error("a read of what was denied is not found")
	}
	if len(Denials(denied, append(good[:2:2], look("nobody")), versions)) == 0 {
		t.Error("an owner who was denied the lock is not found")
	}
	if len(Denials(denied, good, map[string][]op.Item{"k": {{Rev: 1, Value: []byte("v")}, {Rev: 2, Value: []byte("denied")}}})) == 0 {
		t.Error("a version that was denied is not found")
	}
}

func TestFloors(t *testing.T) {
	if Floors(map[string]int{"a": 1}, map[string]int{"a": 1}) != nil || Floors(map[string]int{"a": 1}, map[string]int{"a": 2}) == nil || Floors(nil, map[string]int{"a": 1}) == nil {
		t.Error("floors are not compared")
	}
}

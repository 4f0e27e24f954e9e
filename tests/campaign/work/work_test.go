package work

import (
	"strings"
	"testing"

	"kahuna/op"
)

// expect fails unless something is found with a text; or anything, if there is none.
func expect(t *testing.T, found []string, want string) {
	t.Helper()
	for _, f := range found {
		if want != "" && strings.Contains(f, want) {
			return
		}
	}
	if want != "" || len(found) > 0 {
		t.Errorf("found %v, want %q", found, want)
	}
}

// A checker that finds nothing in a good history must find what is planted in it.
func TestLooks(t *testing.T) {
	good := []Look{
		{Call: 1, Return: 2, Fresh: true, Balances: []int64{0, 0}, Revs: []int64{0, 0}},
		{Call: 3, Return: 4, At: 10, Fresh: true, Balances: []int64{-5, 5}, Revs: []int64{1, 1}},
		{Call: 5, Return: 6, At: 20, Fresh: true, Balances: []int64{-6, 6}, Revs: []int64{2, 2}},
		{Call: 7, Return: 8, At: 10, Balances: []int64{-5, 5}, Revs: []int64{1, 1}},
		{Call: 5, Return: 9, At: 15, Fresh: true, Balances: []int64{-5, 5}, Revs: []int64{1, 1}},
	}
	expect(t, Looks(good), "")
	for want, planted := range map[string]Look{
		"have 1 together":    {Call: 9, Return: 10, Balances: []int64{-5, 6}, Revs: []int64{1, 2}},
		"a snapshot has":     {Call: 9, Return: 10, At: 10, Balances: []int64{-6, 6}, Revs: []int64{2, 2}},
		"of an earlier":      {Call: 9, Return: 10, At: 30, Balances: []int64{-5, 5}, Revs: []int64{1, 1}},
		"a stale look":       {Call: 9, Return: 10, Fresh: true, Balances: []int64{-5, 5}, Revs: []int64{1, 1}},
		"revision 2 of acco": {Call: 9, Return: 10, Balances: []int64{-7, 7}, Revs: []int64{2, 2}},
	} {
		expect(t, Looks(append(good[:len(good):len(good)], planted)), want)
	}
}

func TestTransferred(t *testing.T) {
	expect(t, Transferred([]int64{3, 4}, []int{3, 3}, []int{0, 1}), "")
	expect(t, Transferred([]int64{2, 3}, []int{3, 3}, []int{0, 1}), "account 0 was changed 2 times")
	expect(t, Transferred([]int64{3, 5}, []int{3, 3}, []int{0, 1}), "account 1 was changed 5 times")
}

func item(ts op.Timestamp, key string, rev uint64, value string) op.Item {
	return op.Item{TS: ts, Key: []byte(key), Rev: rev, Value: []byte(value)}
}

func TestChanges(t *testing.T) {
	versions := map[string][]op.Item{
		"a": {item(5, "a", 1, "old"), item(11, "a", 2, "x"), item(30, "a", 3, "z")},
		"b": {item(11, "b", 1, "y"), {TS: 15, Key: []byte("b"), Rev: 2, Deleted: true}},
	}
	pages := func(change func(all []Page)) []Page {
		all := []Page{{Next: 10},
			{Since: 10, Next: 12, Changes: []op.Item{item(11, "a", 2, "x"), item(11, "b", 1, "y")}},
			{Since: 12, Next: 20, Changes: []op.Item{{TS: 15, Key: []byte("b"), Rev: 2, Deleted: true}}},
			{Since: 20, Next: 25}}
		if change != nil {
			change(all)
		}
		return all
	}
	expect(t, Changes(pages(nil), versions), "")
	for want, change := range map[string]func(all []Page){
		"was never told":    func(all []Page) { all[2].Changes = nil },
		"is told twice":     func(all []Page) { all[1].Changes = append(all[1].Changes, all[1].Changes[1]) },
		"is in a page from": func(all []Page) { all[1].Changes, all[2].Changes = nil, append(all[1].Changes, all[2].Changes...) },
		"comes after a change": func(all []Page) {
			all[1].Changes[1].TS = 12
			all[1].Changes[0], all[1].Changes[1] = all[1].Changes[1], all[1].Changes[0]
		},
		"was told as":           func(all []Page) { all[1].Changes[0].Value = []byte("w") },
		"told and never was":    func(all []Page) { all[3].Changes = []op.Item{item(22, "c", 1, "?")} },
		"follows one that ends": func(all []Page) { all[2].Since = 13 },
	} {
		expect(t, Changes(pages(change), versions), want)
	}
}

// A page that ends inside a commit lacks a part of it, which then comes in no page or in one that begins behind it.
func TestPageEndsInsideACommit(t *testing.T) {
	versions := map[string][]op.Item{"a": {item(11, "a", 1, "x")}, "b": {item(11, "b", 1, "y")}}
	all := []Page{{Next: 10}, {Since: 10, Next: 11, Changes: []op.Item{item(11, "a", 1, "x")}}, {Since: 11, Next: 20, Changes: []op.Item{item(11, "b", 1, "y")}}}
	expect(t, Changes(all, versions), "is in a page from 11")
}

func TestValues(t *testing.T) {
	if got := values("1,22,"); len(got) != 2 || got[1] != 22 {
		t.Error(got)
	}
	if got := values(""); len(got) != 0 {
		t.Error(got)
	}
	if got := values("1,x,"); len(got) != 2 || got[1] != -1 {
		t.Errorf("what nobody wrote is passed over: %v", got)
	}
}

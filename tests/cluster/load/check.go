package load

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// Stamps judges timestamps of the global order: none is given twice, and who asks after another was answered gets larger ones.
func Stamps(stamps []Stamp) (found []string) {
	byFirst := slices.SortedFunc(slices.Values(stamps), func(a, b Stamp) int { return cmp.Compare(a.First, b.First) })
	for i := 1; i < len(byFirst); i++ {
		if a, b := byFirst[i-1], byFirst[i]; b.First < a.First+op.Timestamp(a.N) {
			found = append(found, fmt.Sprintf("a timestamp was given twice: %+v, %+v", a, b))
		}
	}
	calls := slices.SortedFunc(slices.Values(stamps), func(a, b Stamp) int { return cmp.Compare(a.Call, b.Call) })
	ends := slices.SortedFunc(slices.Values(stamps), func(a, b Stamp) int { return cmp.Compare(a.Return, b.Return) })
	var largest Stamp
	for _, s := range calls {
		for len(ends) > 0 && ends[0].Return < s.Call {
			if ends[0].First > largest.First {
				largest = ends[0]
			}
			ends = ends[1:]
		}
		if s.First <= largest.First {
			found = append(found, fmt.Sprintf("time went back: %+v after %+v", s, largest))
		}
	}
	return found
}

// Transfers judges transactions between accounts: all accounts together have 0 whenever somebody looks, what they have is a
// function of how many transfers there were, and that number never goes back in real time.
func Transfers(all []Transfer, accounts int) (found []string) {
	states := map[int64]map[int]int64{}
	for _, t := range all {
		if len(t.Balances) == accounts && t.From < 0 {
			sum := int64(0)
			for _, b := range t.Balances {
				sum += b
			}
			if sum != 0 {
				found = append(found, fmt.Sprintf("the accounts have %d together: %+v", sum, t))
			}
		}
		state := states[t.Number]
		if state == nil {
			state = map[int]int64{}
			states[t.Number] = state
		}
		for account, b := range t.Balances {
			if old, known := state[account]; known && old != b {
				found = append(found, fmt.Sprintf("after %d transfers account %d had %d, and %d: %+v", t.Number, account, old, b, t))
			}
			state[account] = b
		}
	}
	return append(found, transferOrder(all)...)
}

func transferOrder(all []Transfer) (found []string) {
	calls := slices.SortedFunc(slices.Values(all), func(a, b Transfer) int { return cmp.Compare(a.Call, b.Call) })
	ends := slices.SortedFunc(slices.Values(all), func(a, b Transfer) int { return cmp.Compare(a.Return, b.Return) })
	var largest int64
	for _, t := range calls {
		for len(ends) > 0 && ends[0].Return < t.Call {
			largest = max(largest, ends[0].Number)
			ends = ends[1:]
		}
		if t.Number < largest || t.From >= 0 && t.Number == largest {
			found = append(found, fmt.Sprintf("after %d transfers had ended, there were %d: %+v", largest, t.Number, t))
		}
	}
	return found
}

// Denials judges operations of which it was said that nothing was changed: nobody ever saw a value, or an owner, that only they
// would have brought in. (Counters and sequences are held to it by their sums.)
func Denials(denied, events []*history.Event, versions map[string][]op.Item) (found []string) {
	values, owners := map[string]*history.Event{}, map[string]*history.Event{}
	for _, e := range denied {
		switch o := e.Op.(type) {
		case *op.Set:
			values[string(o.Value)] = e
		case *op.LockAcquire:
			owners[string(o.Owner)] = e
		}
	}
	for _, e := range events {
		switch o := e.Op.(type) {
		case *op.Set:
			delete(values, string(o.Value))
		case *op.LockAcquire:
			delete(owners, string(o.Owner)) // asked again, with another end
		}
	}
	for key, items := range versions {
		for _, it := range items {
			if e := values[string(it.Value)]; e != nil {
				found = append(found, fmt.Sprintf("%s has a value whose write was denied: %v", key, e))
			}
		}
	}
	for _, e := range events {
		if d := values[string(e.Result.Value)]; e.Known() && d != nil {
			found = append(found, fmt.Sprintf("a read saw a value whose write was denied: %v; %v", d, e))
		}
		for owner, d := range owners {
			if holds(e, owner) {
				found = append(found, fmt.Sprintf("a lock is held by an owner who was denied it: %v; %v", d, e))
			}
		}
	}
	return found
}

func holds(e *history.Event, owner string) bool {
	if !e.Known() || e.Result.Lock == nil {
		return false
	}
	for _, h := range e.Result.Lock.Holds {
		if bytes.Equal(h.Owner, []byte(owner)) {
			return true
		}
	}
	return false
}

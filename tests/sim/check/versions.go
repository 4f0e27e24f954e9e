package check

import (
	"cmp"
	"slices"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// Versions judges reads of the past and acknowledged writes against the versions that each key has in the end, in any order: a
// read at a timestamp must have seen the newest version at or below it, and a write that was acknowledged must be there.
func Versions(events []*history.Event, versions map[string][]op.Item) (found []Violation) {
	sorted := map[string][]op.Item{}
	for key, items := range versions {
		sorted[key] = slices.SortedFunc(slices.Values(items), func(a, b op.Item) int { return cmp.Compare(a.Rev, b.Rev) })
		if v, bad := order(key, sorted[key]); bad {
			found = append(found, v)
		}
	}
	for _, e := range known(events) {
		items := sorted[string(e.Op.Target().Key)]
		if reason := judge(e, items); reason != "" {
			found = append(found, violation("versions", []*history.Event{e}, "%s", reason))
		}
	}
	return found
}

// order sees that revisions are without a hole and their timestamps rise.
func order(key string, items []op.Item) (Violation, bool) {
	for i, it := range items {
		if it.Rev != uint64(i+1) || i > 0 && it.TS <= items[i-1].TS {
			return violation("versions", nil, "key %s: revision %d at %d is at place %d", key, it.Rev, it.TS, i), true
		}
	}
	return Violation{}, false
}

func judge(e *history.Event, items []op.Item) string {
	switch o := e.Op.(type) {
	case *op.Set:
		if e.Result.Done && !has(items, e.Result.Rev, false, string(o.Value)) {
			return "an acknowledged write is not in the history of the key"
		}
	case *op.Delete:
		if e.Result.Done && e.Result.Rev != RevUnknown && !has(items, e.Result.Rev, true, "") {
			return "an acknowledged deletion is not in the history of the key"
		}
	case *op.Get:
		if e.At > 0 {
			return judgePast(e, items)
		}
		if e.Result.Found && !has(items, e.Result.Rev, false, string(e.Result.Value)) {
			return "a value was read that is not in the history of the key"
		}
	}
	return ""
}

func has(items []op.Item, rev uint64, deleted bool, value string) bool {
	return slices.ContainsFunc(items, func(it op.Item) bool {
		return it.Rev == rev && it.Deleted == deleted && string(it.Value) == value
	})
}

func judgePast(e *history.Event, items []op.Item) string {
	var at op.Item
	for _, it := range items {
		if it.TS <= e.At {
			at = it
		}
	}
	live := at.Rev > 0 && !at.Deleted
	switch {
	case e.Result.Found != live:
		return "a read of the past differs from the history of the key in whether it was there"
	case live && (e.Result.Rev != at.Rev || string(e.Result.Value) != string(at.Value)):
		return "a read of the past saw another version than the history of the key has"
	}
	return ""
}

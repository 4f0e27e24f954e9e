package check

import (
	"cmp"
	"slices"
	"strconv"

	"kahuna/op"
	"kahuna/tests/sim/history"
)

// taken is a run of numbers that a sequence gave out, or a counter was moved over: those above from, up to to. Requests that
// bore the same idempotency key are one.
type taken struct {
	request string
	from    int64
	to      int64
	called  *history.Event // the earliest of its calls
	ended   *history.Event // the earliest of its ends
}

// Sequences judges SeqNext on sequences that begin at 1 with step 1, and final, the last number that each gave out: no number is
// given twice, a request after another gets larger ones, a repeated request gets the same ones, and none are lost but by
// requests whose end is not known.
func Sequences(events []*history.Event, final map[string]int64) (found []Violation) {
	return ranges("sequences", events, final, func(e *history.Event) (string, int64, int64) {
		o := e.Op.(*op.SeqNext)
		return string(o.Idem), e.Result.Int - 1, int64(o.Count)
	})
}

// Counters judges Incr by positive amounts of counters that begin at 0, and their final values, in the same way.
func Counters(events []*history.Event, final map[string]int64) (found []Violation) {
	return ranges("counters", events, final, func(e *history.Event) (string, int64, int64) {
		delta := e.Op.(*op.Incr).Delta
		return "", e.Result.Int - delta, delta
	})
}

// ranges: of tells an event's idempotency key, the number before the first it was given, and how many it asked for.
func ranges(name string, events []*history.Event, final map[string]int64, of func(*history.Event) (string, int64, int64)) (found []Violation) {
	for key, list := range history.ByName(events) {
		acked, unknown := map[string]*taken{}, map[string]int64{}
		for i, e := range list {
			idem, from, count := of(e)
			request := idem
			if idem == "" {
				request = "#" + strconv.Itoa(i) // of this event alone
			}
			if !e.Known() {
				unknown[request] = count
				continue
			}
			if e.Result.Status != op.OK || e.Result.Int < from+1 {
				found = append(found, violation(name, []*history.Event{e}, "no number was given"))
				continue
			}
			found = append(found, merge(name, acked, &taken{request: request, from: from, to: from + count, called: e, ended: e})...)
		}
		calledEarlier(list, acked, of)
		found = append(found, disjoint(name, acked)...)
		found = append(found, realTime(name, acked)...)
		found = append(found, complete(name, key, acked, unknown, final[key])...)
	}
	return found
}

// merge adds what a request was given; a request that was made before must have been given the same.
func merge(name string, acked map[string]*taken, t *taken) []Violation {
	old := acked[t.request]
	if old == nil {
		acked[t.request] = t
		return nil
	}
	if old.from != t.from || old.to != t.to {
		return []Violation{violation(name, []*history.Event{old.ended, t.ended}, "the same request was given other numbers")}
	}
	if t.ended.Return < old.ended.Return {
		old.ended = t.ended
	}
	return nil
}

// calledEarlier moves the calls of requests to the earliest one, which may be of an attempt whose end was not seen.
func calledEarlier(list []*history.Event, acked map[string]*taken, of func(*history.Event) (string, int64, int64)) {
	for _, e := range list {
		if idem, _, _ := of(e); idem != "" && acked[idem] != nil && e.Call < acked[idem].called.Call {
			acked[idem].called = e
		}
	}
}

func sorted(acked map[string]*taken, by func(a, b *taken) int) []*taken {
	var all []*taken
	for _, t := range acked {
		all = append(all, t)
	}
	slices.SortFunc(all, by)
	return all
}

func disjoint(name string, acked map[string]*taken) (found []Violation) {
	all := sorted(acked, func(a, b *taken) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(all); i++ {
		if all[i].from < all[i-1].to {
			found = append(found, violation(name, []*history.Event{all[i-1].ended, all[i].ended}, "a number was given twice"))
		}
	}
	return found
}

// realTime: what was asked for after another request had ended is larger.
func realTime(name string, acked map[string]*taken) (found []Violation) {
	calls := sorted(acked, func(a, b *taken) int { return cmp.Compare(a.called.Call, b.called.Call) })
	ends := sorted(acked, func(a, b *taken) int { return cmp.Compare(a.ended.Return, b.ended.Return) })
	var largest *taken
	for _, t := range calls {
		for len(ends) > 0 && ends[0].ended.Return < t.called.Call {
			if largest == nil || ends[0].to > largest.to {
				largest = ends[0]
			}
			ends = ends[1:]
		}
		if largest != nil && t.from < largest.to {
			found = append(found, violation(name, []*history.Event{largest.ended, t.ended}, "a later request was given smaller numbers"))
		}
	}
	return found
}

// complete: all numbers up to the final one were asked for, and all that were given are there.
func complete(name, key string, acked map[string]*taken, unknown map[string]int64, final int64) []Violation {
	var least, most int64
	for _, t := range acked {
		least += t.to - t.from
	}
	most = least
	for request, count := range unknown {
		if acked[request] == nil {
			most += count
		}
	}
	if final < least || final > most {
		return []Violation{violation(name, nil, "%s ended at %d, not between %d (acknowledged) and %d (with those of unknown end)", key, final, least, most)}
	}
	return nil
}

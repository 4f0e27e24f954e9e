package check

import (
	"testing"

	"kahuna/op"
)

func lock(owner string, ttl int64) op.Op {
	return &op.LockAcquire{Name: []byte("l"), Owner: []byte(owner), TTLMilli: ttl}
}
func extend(owner string, ttl int64) op.Op {
	return &op.LockExtend{Name: []byte("l"), Owner: []byte(owner), TTLMilli: ttl}
}
func unlock(owner string) op.Op { return &op.LockRelease{Name: []byte("l"), Owner: []byte(owner)} }
func info() op.Op               { return &op.LockInfo{Name: []byte("l")} }
func token(n int64) op.Result   { return op.Result{Done: true, Int: n} }
func held(owner string, n op.Timestamp) op.Result {
	return op.Result{Found: true, Lock: &op.LockState{Permits: 1, Holds: []op.Hold{{Owner: []byte(owner), Token: n}}}}
}

func shared(owner string, ttl int64) op.Op {
	return &op.LockAcquire{Name: []byte("l"), Owner: []byte(owner), TTLMilli: ttl, Shared: true}
}
func permit(owner string, ttl int64) op.Op {
	return &op.LockAcquire{Name: []byte("l"), Owner: []byte(owner), TTLMilli: ttl, Permits: 2}
}
func heldBy(holds ...op.Hold) op.Result {
	return op.Result{Found: true, Lock: &op.LockState{Holds: holds}}
}

func TestSharedLocksAndPermits(t *testing.T) {
	a, b := op.Hold{Owner: []byte("a"), Token: 1}, op.Hold{Owner: []byte("b"), Token: 2}
	two := func() *past {
		return new(past).add(1, shared("a", 100), 0, 1, token(1)).add(2, shared("b", 100), 2, 3, token(2))
	}
	three := func(call, end int) *past {
		return new(past).add(1, permit("a", 100), 0, 1, token(1)).add(2, permit("b", 100), 2, 3, token(2)).add(3, permit("c", 100), call, end, token(3))
	}
	for name, c := range map[string]struct {
		past *past
		want string
	}{
		"readers":                       {two(), ""},
		"readers seen":                  {two().add(3, info(), 4, 5, heldBy(a, b)), ""},
		"a writer after readers":        {two().add(3, lock("c", 100), 102, 104, token(3)), ""},
		"an older reader extends":       {two().add(1, extend("a", 100), 4, 5, token(1)), ""},
		"a reader asks again":           {two().add(1, shared("a", 100), 4, 5, token(1)), ""},
		"an unknown reader asks again":  {new(past).add(1, shared("a", 100), 0, -1, op.Result{}).add(2, shared("b", 100), 2, 3, token(2)).add(1, shared("a", 100), 4, 5, token(1)), ""},
		"an older reader's token":       {two().add(3, shared("c", 100), 4, 5, token(1)), "two owners of one token"},
		"a new reader with a lower":     {new(past).add(1, shared("a", 100), 0, 1, token(5)).add(2, shared("b", 100), 2, 3, token(4)), "went back"},
		"permits":                       {three(100, 103), ""},
		"permits, one given back":       {three(10, 20).add(1, unlock("a"), 5, 6, op.Result{Done: true}), ""},
		"a writer beside readers":       {two().add(3, lock("c", 100), 4, 5, token(3)), "two owners at a time"},
		"a reader beside a writer":      {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, shared("b", 100), 2, 3, token(2)), "two owners at a time"},
		"too many permits":              {three(10, 20), "more owners than permits"},
		"a reader not seen":             {two().add(3, info(), 4, 5, heldBy(b)), "did not see"},
		"a reader with another's token": {two().add(3, info(), 4, 5, heldBy(b, op.Hold{Owner: []byte("a"), Token: 2})), "did not see"},
		"a token of two readers":        {new(past).add(1, shared("a", 100), 0, 1, token(1)).add(2, shared("b", 100), 2, 3, token(1)), "two owners of one token"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Locks(c.past.events()), c.want) })
	}
}

func TestLocks(t *testing.T) {
	var no op.Result
	for name, c := range map[string]struct {
		past *past
		want string
	}{
		"one after the other": {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, lock("b", 100), 2, 3, no).
			add(1, unlock("a"), 4, 5, op.Result{Done: true}).add(2, lock("b", 100), 6, 7, token(2)), ""},
		"after the lease":                {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, lock("b", 100), 99, 101, token(2)), ""},
		"released at the same time":      {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, unlock("a"), 2, 9, op.Result{Done: true}).add(2, lock("b", 100), 3, 4, token(2)), ""},
		"released, not known":            {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, unlock("a"), 2, -1, no).add(2, lock("b", 100), 50, 51, token(2)), ""},
		"shortened":                      {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, extend("a", 10), 2, 3, token(1)).add(2, lock("b", 100), 20, 21, token(2)), ""},
		"shortened, not known":           {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, extend("a", 10), 2, -1, no).add(2, lock("b", 100), 20, 21, token(2)), ""},
		"seen":                           {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, info(), 2, 3, held("a", 1)), ""},
		"extended too late":              {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, extend("a", 100), 99, 100, no), ""},
		"two owners":                     {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, lock("b", 100), 2, 3, token(2)), "two owners at a time"},
		"granted within a lease":         {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, lock("b", 5), 80, 90, token(2)), "two owners at a time"},
		"lost in spite of an extension":  {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, extend("a", 100), 90, 91, token(1)).add(2, lock("b", 100), 150, 151, token(2)), "two owners at a time"},
		"lost in spite of being renewed": {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, lock("a", 10), 90, 91, token(1)).add(2, lock("b", 100), 95, 96, token(2)), "two owners at a time"},
		"ended early":                    {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(1, extend("a", 100), 50, 51, no), "ended early"},
		"not seen":                       {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, info(), 2, 3, no), "did not see"},
		"another seen":                   {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, info(), 2, 3, held("b", 1)), "did not see"},
		"another token seen":             {new(past).add(1, lock("a", 100), 0, 1, token(1)).add(2, info(), 2, 3, held("a", 2)), "did not see"},
		"token back":                     {new(past).add(1, lock("a", 1), 0, 1, token(5)).add(2, lock("b", 1), 50, 51, token(4)), "went back"},
		"token of two":                   {new(past).add(1, lock("a", 1), 0, 1, token(5)).add(2, lock("b", 1), 50, 51, token(5)), "two owners of one token"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Locks(c.past.events()), c.want) })
	}
}

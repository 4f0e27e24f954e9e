package nodesim

import (
	"context"
	"strings"
	"testing"
	"time"

	"kahuna/op"
	"kahuna/tests/cluster/load"
)

// buggy is a node whose program has a mistake in it, of a kind that has been made before.
type buggy struct {
	*target
	bug    string
	stamps []op.Timestamp // taken before anybody asked
}

// impatience is how long a router with a bug waits before it sends a write again.
const impatience = 2 * time.Millisecond

func (b *buggy) Do(o op.Op) (op.Result, load.Outcome) {
	if b.bug == "a router that sends again without a number" && !o.ReadOnly() {
		return b.resend(o)
	}
	res, end := b.target.Do(o)
	if b.bug == "an unknown end that is told as a denial" && end == load.Answered && b.w.load.Seen("Incr")%50 == 7 {
		return op.Result{}, load.Denied
	}
	return res, end
}

func (b *buggy) resend(o op.Op) (op.Result, load.Outcome) {
	in := b.w.instance(b.i)
	if in == nil || !in.enter() {
		return op.Result{}, load.Denied
	}
	ctx, cancel := context.WithTimeout(in.ctx, impatience)
	out := in.node.Router().Do(ctx, []op.Op{o})[0]
	cancel()
	in.calls.Done()
	if out.Err == nil {
		return out.Result, load.Answered
	}
	return b.target.Do(o)
}

func (b *buggy) Timestamps(n int) (op.Timestamp, load.Outcome) {
	if b.bug != "a time client that hands out what it has in store" {
		return b.target.Timestamps(n)
	}
	const stock = 20
	if len(b.stamps) < n {
		first, end := b.target.Timestamps(stock)
		if end != load.Answered {
			return 0, end
		}
		b.stamps = nil
		for i := range stock {
			b.stamps = append(b.stamps, first+op.Timestamp(i))
		}
	}
	first := b.stamps[0]
	b.stamps = b.stamps[n:]
	return first, load.Answered
}

func (b *buggy) Atomic(ops []op.Op) ([]op.Result, load.Outcome) {
	if b.bug != "transactions that are not isolated" {
		return b.target.Atomic(ops)
	}
	var results []op.Result
	for i, o := range ops {
		res, end := b.target.Do(o)
		if end != load.Answered && i > 0 {
			return nil, load.Unknown
		}
		if end != load.Answered {
			return nil, end
		}
		results = append(results, res)
	}
	return results, load.Answered
}

// Each bug is found by the checkers, in a run like any other.
func TestBugsAreCaught(t *testing.T) {
	for bug, sign := range map[string]string{
		"a time client that hands out what it has in store": "time went back",
		"a router that sends again without a number":        "counters: ",
		"an unknown end that is told as a denial":           "",
		"transactions that are not isolated":                "the accounts have ",
	} {
		t.Run(bug, func(t *testing.T) {
			var found string
			for seed := range uint64(6) { // a bug need not show in each run
				r := simulate(t, seed+1, 2, func(t *target) load.Target { return &buggy{target: t, bug: bug} })
				if r.err != nil {
					t.Fatal(r.err)
				}
				found = strings.Join(r.load.Verdict(r.final, t.TempDir()), "\n")
				if found != "" && strings.Contains(found, sign) {
					return
				}
			}
			t.Errorf("not caught; found: %.1000s", found)
		})
	}
}

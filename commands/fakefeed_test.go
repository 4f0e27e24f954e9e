package commands

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"kahuna/cluster"
	"kahuna/fsm"
	"kahuna/op"
)

// fakeFeed is a Feed of a fake, whose history is kept from 2025-02-19 on.
type fakeFeed struct{ fake *fake }

func (f fakeFeed) Changes(_ context.Context, o *op.Changes) op.Outcome {
	f.fake.mu.Lock()
	defer f.fake.mu.Unlock()
	return f.changes(o)
}

func (f fakeFeed) changes(o *op.Changes) op.Outcome {
	at := f.fake.tick()
	switch {
	case f.fake.fail != nil:
		return op.Outcome{Err: f.fake.fail}
	case o.Since > at:
		return op.Outcome{Err: cluster.ErrFuture}
	case o.Since == 0:
		return op.Outcome{Result: op.Result{TS: at}}
	case o.Since < op.FromUnixMilli(1_740_000_000_000):
		return op.Outcome{Result: op.Result{Status: op.Collected}}
	}
	var items []op.Item
	for _, h := range f.fake.state.rows {
		for i, v := range h.versions {
			if h.name.Space == o.Space && bytes.HasPrefix(h.name.Key, o.Prefix) && v.TS > o.Since {
				items = append(items, op.Item{Key: h.name.Key, Value: v.Value, Rev: v.Rev, TS: v.TS, Deleted: v.Deleted, Lost: v.NoRev && i < len(h.versions)-1, Type: fsm.ItemType(v.Type)})
			}
		}
	}
	slices.SortFunc(items, func(a, b op.Item) int { return cmp.Or(cmp.Compare(a.TS, b.TS), bytes.Compare(a.Key, b.Key)) })
	for i := range items {
		if i >= int(o.Limit) && items[i].TS != items[i-1].TS {
			return op.Outcome{Result: op.Result{Items: items[:i], TS: items[i-1].TS}}
		}
	}
	return op.Outcome{Result: op.Result{Items: items, TS: at}}
}

func (f fakeFeed) AwaitChanges(ctx context.Context, o *op.Changes, then func(op.Outcome)) {
	go func() { then(f.await(ctx, o)) }()
}

func (f fakeFeed) await(ctx context.Context, o *op.Changes) op.Outcome {
	for {
		f.fake.mu.Lock()
		out, moved := f.changes(o), f.fake.moved
		f.fake.mu.Unlock()
		if out.Err != nil || out.Status != op.OK || len(out.Items) > 0 {
			return out
		}
		select {
		case <-moved:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				out.Err = fmt.Errorf("%w: the wait was ended", cluster.ErrTryAgain)
			}
			return out
		}
	}
}

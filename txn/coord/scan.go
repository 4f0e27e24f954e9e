package coord

import (
	"bytes"
	"context"
	"slices"

	"kahuna/fsm"
	"kahuna/glob"
	"kahuna/op"
)

// scan reads a page from the snapshot and puts the transaction's own writes into it.
func (t *tx) scan(ctx context.Context, o *op.Scan) (op.Result, error) {
	seen := op.ScanSeen{Space: o.Space, From: o.From, To: o.To, Prefix: o.Prefix}
	if o.ByName {
		seen.Start, seen.End = o.Start, o.End
	}
	if err := t.lockRange(ctx, seen); err != nil {
		return op.Result{}, err
	}
	res, err := t.readRange(ctx, o)
	if err != nil || res.Status != op.OK {
		return res, err
	}
	if !o.ByName && res.Next != nil {
		seen.To = *res.Next
	}
	if err := t.note(seen, res.Items); err != nil {
		return op.Result{}, err
	}
	for _, n := range t.order {
		if n.written && inPage(o, &res, n.id) {
			res.Items = overlay(res.Items, o, n)
		}
	}
	if o.ByName && len(res.Items) > int(o.Limit) {
		res.Items = res.Items[:o.Limit]
		res.Next = &op.Position{Name: res.Items[len(res.Items)-1].Key}
	}
	return res, nil
}

// note remembers a range that was scanned, and the earliest expiry in it.
func (t *tx) note(s op.ScanSeen, items []op.Item) error {
	t.scans = append(t.scans, s)
	t.bytes += nameBytes + len(s.Prefix) + len(s.Start) + len(s.End)
	for i := range items {
		if e := items[i].ExpireAt; e > 0 && (t.ends == 0 || e < t.ends) {
			t.ends = e
		}
	}
	return t.room()
}

// inPage tells whether a name lies in what a page covers.
func inPage(o *op.Scan, res *op.Result, n op.Name) bool {
	if n.Space != o.Space || !bytes.HasPrefix(n.Key, o.Prefix) || len(o.Match) > 0 && !glob.Match(o.Match, n.Key) {
		return false
	}
	at := op.Position{Slot: n.Slot(), Name: n.Key}
	if fsm.Compare(at, o.From) < 0 || !fsm.IsEnd(o.To) && fsm.Compare(at, o.To) >= 0 {
		return false
	}
	if !o.ByName {
		return res.Next == nil || fsm.Compare(at, *res.Next) < 0
	}
	if c := bytes.Compare(n.Key, o.Start); c < 0 || c == 0 && o.After {
		return false
	}
	return (len(o.End) == 0 || bytes.Compare(n.Key, o.End) < 0) && (res.Next == nil || bytes.Compare(n.Key, res.Next.Name) <= 0)
}

// overlay puts what a name has become into a page, in its place.
func overlay(items []op.Item, o *op.Scan, n *name) []op.Item {
	at, found := slices.BinarySearchFunc(items, n.id, func(it op.Item, id op.Name) int {
		if o.ByName {
			return bytes.Compare(it.Key, id.Key)
		}
		return fsm.Compare(op.Position{Slot: op.Slot(it.Key), Name: it.Key}, op.Position{Slot: id.Slot(), Name: id.Key})
	})
	if n.next.Deleted {
		if found {
			items = slices.Delete(items, at, at+1)
		}
		return items
	}
	it := op.Item{Key: n.id.Key, Rev: n.next.Rev, TS: n.next.TS, ExpireAt: n.next.ExpireAt, Type: fsm.ItemType(n.next.Type)}
	if o.Values {
		it.Value = n.next.Value
	}
	if found {
		items[at] = it
		return items
	}
	return slices.Insert(items, at, it)
}

// count counts in the snapshot and corrects that by the transaction's own writes.
func (t *tx) count(ctx context.Context, o *op.Count) (op.Result, error) {
	seen := op.ScanSeen{Space: o.Space, From: o.From, To: o.To}
	if err := t.lockRange(ctx, seen); err != nil {
		return op.Result{}, err
	}
	res, err := t.readRange(ctx, o)
	if err != nil || res.Status != op.OK {
		return res, err
	}
	if err := t.note(seen, nil); err != nil {
		return op.Result{}, err
	}
	in := &op.Scan{Space: o.Space, From: o.From, To: o.To}
	for _, n := range t.order {
		if !n.written || !inPage(in, &op.Result{}, n.id) {
			continue
		}
		if n.seen.Live {
			res.Int--
		}
		if !n.next.Deleted {
			res.Int++
		}
	}
	return res, nil
}

// deleteRange deletes a page of names, one by one.
func (t *tx) deleteRange(ctx context.Context, o *op.DeleteRange) (op.Result, error) {
	page, err := t.scan(ctx, &op.Scan{Space: o.Space, From: o.From, To: o.To, Limit: o.Limit})
	if err != nil || page.Status != op.OK {
		return page, err
	}
	res := op.Result{Done: true, Next: page.Next}
	for i := range page.Items {
		if page.Items[i].TS > o.UpTo {
			continue
		}
		if _, err := (view{t, ctx, t.start}).Delete(op.Name{Space: o.Space, Key: page.Items[i].Key}); err != nil {
			return op.Result{}, err
		}
		res.Int++
	}
	return res, nil
}

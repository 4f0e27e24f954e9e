package coord

import (
	"context"
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

func keyOf(id op.Name) string { return string(storage.AppendCurrent(nil, id)) }

// touch gives a name as the snapshot has it, which is read once.
func (t *tx) touch(ctx context.Context, id op.Name) (*name, error) {
	key := keyOf(id)
	if n := t.names[key]; n != nil {
		return n, nil
	}
	if err := t.touchAll(ctx, []op.Name{id}); err != nil {
		return nil, err
	}
	return t.names[key], nil
}

// targets are the names that operations are about, save those whose names are not known before.
func targets(ops []op.Op) (ids []op.Name) {
	for _, o := range ops {
		if id := o.Target(); len(id.Key) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// touchAll reads the names that have not been read yet, all at once.
func (t *tx) touchAll(ctx context.Context, ids []op.Name) error {
	fresh := t.unknown(ids)
	if len(fresh) == 0 {
		return nil
	}
	at, err := t.lockNames(ctx, fresh)
	if err != nil {
		return err
	}
	ops := make([]op.Op, len(fresh))
	for i, id := range fresh {
		ops[i] = &op.Version{Name: id, Full: true}
	}
	out := t.c.router.ReadAt(ctx, at, ops, true)
	newer := false
	for i := range out {
		switch {
		case out[i].Err != nil:
			return out[i].Err
		case out[i].Status == op.Collected:
			return ErrConflict // a newer version has replaced one that is not kept
		}
		newer = newer || changedSince(&out[i], t.snap)
	}
	if newer {
		if err := t.moveTo(ctx, at); err != nil {
			return err
		}
	}
	for i := range out {
		t.add(fresh[i], &out[i])
	}
	return t.room()
}

// unknown are those of the names that have not been touched, each once.
func (t *tx) unknown(ids []op.Name) (fresh []op.Name) {
	var seen map[string]bool
	for _, id := range ids {
		key := keyOf(id)
		if t.names[key] != nil || seen[key] {
			continue
		}
		if fresh = append(fresh, id); len(ids) > 1 {
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[key] = true
		}
	}
	return fresh
}

func (t *tx) add(id op.Name, out *op.Outcome) {
	n := &name{id: id, seen: op.Seen{Name: id, TS: out.TS, Live: out.Found}, record: mvcc.Record{Rev: out.Rev}}
	if out.Found {
		n.record = mvcc.Record{TS: out.TS, Rev: out.Rev, Type: mvcc.Type(out.Int), ExpireAt: out.ExpireAt, Value: out.Value}
	}
	t.names[keyOf(id)] = n
	t.order = append(t.order, n)
	t.bytes += nameBytes + 2*(len(id.Key)+len(id.Sub)) + len(out.Value)
}

// saved is what a name was to become before a step.
type saved struct {
	n       *name
	written bool
	next    mvcc.Record
}

// write makes r what a name becomes.
func (t *tx) write(n *name, r mvcc.Record) error {
	t.before = append(t.before, saved{n, n.written, n.next})
	if !n.written {
		t.writes++
	}
	t.bytes += len(r.Value) - len(n.next.Value)
	n.next, n.written = r, true
	return t.room()
}

func (t *tx) unwrite(n *name) {
	t.before = append(t.before, saved{n, n.written, n.next})
	t.bytes -= len(n.next.Value)
	t.writes--
	n.next, n.written = mvcc.Record{}, false
}

// step begins a step, whose writes undo takes back.
func (t *tx) step() {
	clear(t.before)
	t.before = t.before[:0]
}

func (t *tx) undo() {
	for i := len(t.before) - 1; i >= 0; i-- {
		was := &t.before[i]
		t.bytes += len(was.next.Value) - len(was.n.next.Value)
		switch {
		case was.n.written && !was.written:
			t.writes--
		case was.written && !was.n.written:
			t.writes++
		}
		was.n.next, was.n.written = was.next, was.written
	}
	t.step()
	t.err = nil
}

// room tells when the transaction takes more than it may.
func (t *tx) room() error {
	switch o := &t.c.o; {
	case t.writes > o.NamesMax:
		return fmt.Errorf("%w: the transaction is too large (it writes more than %d names)", errTooLarge, o.NamesMax)
	case t.bytes > o.WorkingBytesMax:
		return fmt.Errorf("%w: the transaction is too large (what it reads and writes takes more than %d bytes of memory)", errTooLarge, o.WorkingBytesMax)
	}
	return nil
}

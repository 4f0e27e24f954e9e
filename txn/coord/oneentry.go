package coord

import (
	"context"
	"errors"

	"kahuna/cluster"
	"kahuna/mvcc"
	"kahuna/op"
)

// oneEntryNames is how many names a transaction in one entry has touched at most. What only read is not put into the log without need.
const oneEntryNames = 4096

// inOneEntry makes a transaction on keys of one partition to one operation, which watches all that was touched and writes what it
// has become: then it needs no intents and no record. ok is false when the transaction is of another kind.
func (t *tx) inOneEntry() (m *op.Multi, ok bool) {
	if !t.c.o.SingleEntry || len(t.scans) > 0 || len(t.order) == 0 || len(t.order) > oneEntryNames {
		return nil, false
	}
	m = &op.Multi{}
	home := t.c.router.Partition(t.order[0].id)
	for _, n := range t.order {
		if n.id.Space != op.SpaceKey || len(n.id.Sub) > 0 || t.c.router.Partition(n.id) != home {
			return nil, false
		}
		m.Watches = append(m.Watches, n.seen)
		if !n.written {
			continue
		}
		m.Ops = append(m.Ops, n.operation())
	}
	return m, len(m.Ops) > 0 && op.Size(m) <= t.c.o.BytesMax
}

// operation makes a name what it is to become, given that it still is what was seen.
func (n *name) operation() op.Op {
	until := op.Expiry{Mode: op.ExpiryClear}
	if n.next.ExpireAt > 0 {
		until = op.Expiry{Mode: op.ExpiryAt, Milli: n.next.ExpireAt.UnixMilli()}
	}
	switch {
	case n.next.Deleted:
		return &op.Delete{Key: n.id.Key}
	case n.next.Rev == n.record.Rev:
		return &op.Expire{Key: n.id.Key, Expiry: until}
	case n.next.Type != mvcc.TypeString:
		return &op.Put{Key: n.id.Key, Type: byte(n.next.Type), Value: n.next.Value, NoRev: n.next.NoRev, Expiry: until}
	}
	return &op.Set{Key: n.id.Key, Value: n.next.Value, NoRev: n.next.NoRev, Expiry: until}
}

// end commits the transaction, in one log entry if it can.
func (t *tx) end(ctx context.Context) error {
	m, ok := t.inOneEntry()
	if !ok {
		_, err := t.commit(ctx)
		return err
	}
	_, done, err := t.c.single(ctx, m.Ops, m.Watches)
	if errors.Is(err, cluster.ErrParted) {
		_, err = t.commit(ctx)
		return err
	}
	if err == nil && !done {
		err = ErrConflict
	}
	return err
}

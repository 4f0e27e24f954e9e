package cluster

import (
	"context"
	"fmt"
	"slices"

	"kahuna/op"
)

// Hold keeps the history at and after a timestamp, 0 for now, for ttlMilli milliseconds from now. ErrFuture, ErrCollected and
// ErrHolds say why not. After ErrUncertain there may be a hold, which ends by itself.
func (h *History) Hold(ctx context.Context, at op.Timestamp, ttlMilli int64) (hold Hold, err error) {
	err = h.change(ctx, func(d *pastDocument, now op.Timestamp) error {
		hold = Hold{ID: now, At: at, Until: now.Add(ttlMilli)}
		if at == 0 {
			hold.At = now
		}
		switch {
		case hold.At > now:
			return fmt.Errorf("%w: timestamp %d is not yet past", ErrFuture, at)
		case hold.At < d.Safe:
			return fmt.Errorf("%w: timestamp %d was collected; the history is kept from %d on", ErrCollected, at, d.Safe)
		case len(d.Holds) >= h.holdsMax:
			return fmt.Errorf("%w: there are %d (limit %d); release one or wait until one ends", ErrHolds, len(d.Holds), h.holdsMax)
		}
		d.Holds = append(d.Holds, hold)
		return nil
	})
	return hold, err
}

// Renew makes a hold last for ttlMilli milliseconds from now. It is false when there is no such hold any more.
func (h *History) Renew(ctx context.Context, id op.Timestamp, ttlMilli int64) (bool, error) {
	return h.one(ctx, id, func(d *pastDocument, i int, now op.Timestamp) { d.Holds[i].Until = now.Add(ttlMilli) })
}

// Release ends a hold. It is false when there is none.
func (h *History) Release(ctx context.Context, id op.Timestamp) (bool, error) {
	return h.one(ctx, id, func(d *pastDocument, i int, _ op.Timestamp) { d.Holds = slices.Delete(d.Holds, i, i+1) })
}

func (h *History) one(ctx context.Context, id op.Timestamp, fn func(d *pastDocument, i int, now op.Timestamp)) (found bool, err error) {
	err = h.change(ctx, func(d *pastDocument, now op.Timestamp) error {
		i := slices.IndexFunc(d.Holds, func(hold Hold) bool { return hold.ID == id && !h.over(&hold, now) })
		if found = i >= 0; !found {
			return errUnchanged
		}
		fn(d, i, now)
		return nil
	})
	return found, err
}

// Holds lists the holds in the order in which they were granted, and a present timestamp to judge their ends by. One that has
// run out stands for some seconds more, and can be renewed.
func (h *History) Holds(ctx context.Context) (holds []Hold, now op.Timestamp, err error) {
	d, err := h.past(ctx)
	if err != nil {
		return nil, 0, err
	}
	if now, err = h.router.Now(ctx, 1); err != nil {
		return nil, 0, err
	}
	return slices.DeleteFunc(d.Holds, func(hold Hold) bool { return h.over(&hold, now) }), now, nil
}

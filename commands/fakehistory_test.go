package commands

import (
	"context"
	"slices"

	"kahuna/cluster"
	"kahuna/op"
)

// fakeHistory is a History that is kept from 2025-02-19 on.
type fakeHistory struct {
	fake  *fake
	holds []cluster.Hold
}

func (h *fakeHistory) now() op.Timestamp {
	h.fake.mu.Lock()
	defer h.fake.mu.Unlock()
	return h.fake.tick()
}

func (h *fakeHistory) Hold(_ context.Context, at op.Timestamp, ttlMilli int64) (cluster.Hold, error) {
	now := h.now()
	if at == 0 {
		at = now
	}
	switch {
	case at > now:
		return cluster.Hold{}, cluster.ErrFuture
	case at < op.FromUnixMilli(1_740_000_000_000):
		return cluster.Hold{}, cluster.ErrCollected
	}
	hold := cluster.Hold{ID: now, At: at, Until: now.Add(ttlMilli)}
	h.holds = append(h.holds, hold)
	return hold, h.fake.fail
}

func (h *fakeHistory) Renew(_ context.Context, id op.Timestamp, ttlMilli int64) (bool, error) {
	i := h.find(id)
	if i >= 0 {
		h.holds[i].Until = h.now().Add(ttlMilli)
	}
	return i >= 0, h.fake.fail
}

func (h *fakeHistory) Release(_ context.Context, id op.Timestamp) (bool, error) {
	i := h.find(id)
	if i >= 0 {
		h.holds = slices.Delete(h.holds, i, i+1)
	}
	return i >= 0, h.fake.fail
}

func (h *fakeHistory) find(id op.Timestamp) int {
	return slices.IndexFunc(h.holds, func(hold cluster.Hold) bool { return hold.ID == id })
}

func (h *fakeHistory) Holds(context.Context) ([]cluster.Hold, op.Timestamp, error) {
	return slices.Clone(h.holds), h.now(), h.fake.fail
}

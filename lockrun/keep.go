package lockrun

import (
	"context"
	"errors"
	"time"

	"kahuna/client"
	"kahuna/internal/clock"
)

// freshen renews the leases unless most of them is left: a lock that was waited for was granted at a time not known.
func (h *holder) freshen(ctx context.Context) error {
	if time.Until(h.ends) > h.lock.TTL*5/6 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	held := h.grants(h.lock.Names)
	return h.keeper.Try(ctx, first, func(ctx context.Context) (err error) {
		h.ends, err = h.renew(ctx, held, h.ends)
		return err
	})
}

// renew makes leases begin again and gives when they end; the old end with an error. errTaken: one of them is not this owner's
// any more.
func (h *holder) renew(ctx context.Context, held []grant, old time.Time) (ends time.Time, err error) {
	var commands [][]string
	for _, g := range held {
		commands = append(commands, []string{"LOCKEXTEND", g.name, h.lock.Owner, millis(h.lock.TTL)})
	}
	sent := time.Now()
	replies, err := h.keeper.Pipeline(ctx, commands...)
	if err != nil {
		return old, err
	}
	for i, r := range replies {
		if r.Err() != nil {
			return old, r.Err()
		}
		if r.Nil() || r.Int != held[i].token { // another token: another grant, with others in between
			return old, errTaken
		}
	}
	return sent.Add(h.lock.TTL), nil
}

// keep renews leases until ctx ends or one is lost, which gives errTaken. They end at ends at the earliest; renewed hears of
// every new end. Whatever else goes wrong is tried again, also after their end: only the server knows whether it has given a
// lock to another.
func (h *holder) keep(ctx context.Context, held []grant, ends time.Time, renewed func(ends time.Time)) error {
	ttl := h.lock.TTL
	attempt := min(ttl/6, callTimeout)
	policy := client.Policy{Attempt: attempt, Repeatable: true}
	for {
		if !clock.Pause(ctx, time.Until(ends)-ttl*2/3) {
			return context.Cause(ctx)
		}
		err := h.keeper.Try(ctx, policy, func(ctx context.Context) (err error) {
			ends, err = h.renew(ctx, held, ends)
			return err
		})
		switch {
		case err == nil:
			renewed(ends)
		case errors.Is(err, errTaken):
			return err
		case !clock.Pause(ctx, attempt):
			return context.Cause(ctx)
		}
	}
}

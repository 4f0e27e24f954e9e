package main

import (
	"context"
	"sync"

	"github.com/rs/zerolog"

	"kahuna/commands"
)

// users keeps the users of a handler those that the cluster agrees on.
type users struct {
	stop    context.CancelFunc
	running sync.WaitGroup
}

// followUsers loads the users, and then again with every change until close.
func followUsers(h *commands.Handler, log zerolog.Logger) *users {
	tell := func(err error) { log.Error().Err(err).Msg("users can't be read; they keep the rights that they had") }
	if err := h.LoadUsers(); err != nil {
		tell(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	u := &users{stop: cancel}
	u.running.Go(func() { h.FollowUsers(ctx, tell) })
	return u
}

func (u *users) close() {
	u.stop()
	u.running.Wait()
}

package main

import (
	"context"

	"kahuna/commands"
	"kahuna/resp"
	"kahuna/server"
)

// session is a session of commands as the server of connections sees it.
type session struct {
	*commands.Session
	limits server.Limits
	cmds   []commands.Request
}

// Serve hands over commands that arrived together.
func (s *session) Serve(ctx context.Context, cmds []server.Command, w *resp.Writer) bool {
	for i := range cmds {
		s.cmds = append(s.cmds, commands.Request{Args: cmds[i].Args, Refused: cmds[i].Refused})
	}
	keep := s.Session.Serve(ctx, s.cmds, w)
	clear(s.cmds)
	s.cmds = s.cmds[:0]
	return keep
}

// Limits are the same for all, save that who listens to messages may be silent.
func (s *session) Limits() server.Limits {
	l := s.limits
	l.KeepIdle = s.Listening()
	l.Unauthenticated = s.Unauthenticated()
	return l
}

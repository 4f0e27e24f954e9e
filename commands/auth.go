package commands

import (
	"context"

	"kahuna/acl"
	"kahuna/resp"
)

// parseAuth makes a request of its own step, so that what is pipelined behind it is judged as the new user's.
func parseAuth(p *parser) request {
	args := p.words()
	switch {
	case len(args) > 2:
		p.fail(errSyntax)
	case len(args) == 1 && p.h.users.Default().User().NoPassword():
		p.fail(errNoPassword)
	}
	return request{run: func(ctx context.Context, c *call) error {
		user, password := acl.Default, args[len(args)-1]
		if len(args) == 2 {
			user = string(args[0])
		}
		if err := c.s.authenticate(ctx, user, password, "AUTH"); err != nil {
			return err
		}
		c.w.SimpleString("OK")
		return nil
	}}
}

// authenticate makes the session a user's if the password is right. After some wrong ones it takes its time.
func (s *Session) authenticate(ctx context.Context, user string, password []byte, command string) error {
	h, who := s.h, newGuesser(s.conn.Remote, user)
	wait, ok := h.guesses.begin(who, h.now())
	if !ok {
		s.noteFailedAuth(user, command)
		return userError(errTooManyAuth)
	}
	if wait > 0 {
		select {
		case <-h.after(wait):
		case <-ctx.Done():
			h.guesses.end(who, true, true, h.now())
			return ctx.Err()
		}
	}
	e, right := h.users.Get(user), false
	if e != nil {
		right = e.User().Authenticate(password)
	} else {
		(*acl.User)(nil).Authenticate(password) // takes as long
	}
	h.guesses.end(who, wait > 0, right, h.now())
	if !right {
		s.noteFailedAuth(user, command)
		return userError(errWrongPass)
	}
	s.become(e, true)
	return nil
}

// helloAsked is what HELLO was given.
type helloAsked struct {
	proto       int // 0: as it is
	auth, named bool
	user, name  string
	password    []byte
}

func parseHello(p *parser) request {
	a := helloAsked{}
	if p.more() {
		a.proto = p.protocol()
	}
	for p.more() {
		switch {
		case len(p.args) > 2 && p.is("AUTH"):
			a.auth, a.user, a.password = true, string(p.next()), p.next()
		case len(p.args) > 1 && p.is("SETNAME"):
			a.named, a.name = true, p.clientName()
		default:
			p.fail("ERR Syntax error in HELLO option '" + shown(p.next(), 128) + "'")
		}
	}
	return request{run: func(ctx context.Context, c *call) error { return c.hello(ctx, &a) }}
}

// hello is a step of its own, as AUTH is.
func (c *call) hello(ctx context.Context, a *helloAsked) error {
	if a.auth {
		if err := c.s.authenticate(ctx, a.user, a.password, "HELLO"); err != nil {
			return err
		}
	}
	if !c.s.authenticated() {
		return userError(errNoAuthHello)
	}
	if a.proto != 0 {
		c.w.SetProto(a.proto)
	}
	if a.named {
		c.s.setName(a.name)
	}
	c.s.hello(c.w)
	return nil
}

func (p *parser) protocol() int {
	v, ok := parseInt(p.next())
	switch {
	case !ok:
		p.fail("ERR Protocol version is not an integer or out of range")
	case v != 2 && v != 3:
		p.fail(errNoProto)
	}
	return int(v)
}

// mode is what a client takes the server for, by the port that it came by.
func (s *Session) mode() string {
	if s.conn.Cluster {
		return "cluster"
	}
	return "standalone"
}

func (s *Session) hello(w *resp.Writer) {
	info := s.h.backend.Info()
	w.Map(7)
	for _, f := range [][2]string{{"server", "redis"}, {"version", info.RedisVersion}} {
		w.BulkString(f[0])
		w.BulkString(f[1])
	}
	w.BulkString("proto")
	w.Int(int64(w.Proto()))
	w.BulkString("id")
	w.Int(s.conn.ID)
	w.BulkString("mode")
	w.BulkString(s.mode())
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("modules")
	w.Array(0)
}

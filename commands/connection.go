package commands

import (
	"strconv"

	"kahuna/resp"
)

func connectionRows() []Command {
	const early = "noscript loading stale fast no_auth allow_busy"
	rows := []Command{
		{Name: "ping", Arity: -1, Flags: "fast", Syntax: "[message]", Since: "1.0.0", Summary: "PONG, or the message.", parse: parsePing},
		{Name: "echo", Arity: 2, Flags: "loading stale fast", Syntax: "message", Since: "1.0.0", Summary: "The message.", parse: parseEcho},
		{Name: "hello", Arity: -1, Flags: early, Syntax: "[protover [AUTH username password] [SETNAME clientname]]", Since: "6.0.0", Summary: "Chooses the version of the protocol, 2 or 3, and tells about the server.", parse: parseHello},
		{Name: "auth", Arity: -2, Flags: early, Syntax: "[username] password", Since: "1.0.0", Summary: "Says who the client is.", parse: parseAuth},
		{Name: "select", Arity: 2, Flags: "loading stale fast", Syntax: "index", Since: "1.0.0", Summary: "There is one database, 0.", parse: parseSelect},
		{Name: "quit", Arity: -1, Flags: early, Since: "1.0.0", Summary: "Ends the connection.", direct: directQuit},
		{Name: "reset", Arity: 1, Flags: early, Since: "6.2.0", Summary: "Makes the connection as if it were new.", direct: directReset},
		clientRow(),
	}
	return grouped("connection", "connection", rows)
}

func parsePing(p *parser) request {
	if len(p.args) > 1 {
		p.arity()
	}
	if !p.more() {
		return pong
	}
	text := p.next()
	return request{local: func(c *call) {
		if c.s.listensInRESP2(c.w) {
			c.pongBeside(text)
			return
		}
		c.w.Bulk(text)
	}}
}

var pong = request{local: func(c *call) {
	if c.s.listensInRESP2(c.w) {
		c.pongBeside(nil)
		return
	}
	c.w.SimpleString("PONG")
}}

// pongBeside answers PING in the form of a message, which is all that a subscribed client in RESP2 understands.
func (c *call) pongBeside(text []byte) {
	c.w.Array(2)
	c.w.BulkString("pong")
	c.w.Bulk(text)
}

func parseEcho(p *parser) request {
	text := p.next()
	return request{local: func(c *call) { c.w.Bulk(text) }}
}

func parseSelect(p *parser) request {
	if p.int() != 0 {
		p.fail(errDBIndex)
	}
	return replyLocalOK
}

var replyLocalOK = request{local: func(c *call) { c.w.SimpleString("OK") }}

func directQuit(s *Session, x *execution) {
	s.closing = true
	x.w.SimpleString("OK")
}

func directReset(s *Session, x *execution) {
	s.dropTransaction()
	s.rollback()
	s.dropSubscriptions()
	s.leaveMonitor()
	s.mute = nil
	if s.conn.Collect != nil {
		s.conn.Collect()
	}
	x.w.SetProto(2)
	s.setName("")
	x.w.SimpleString("RESET")
}

// checkPassword judges a user and a password. No passwords are configured: the default user is let in with any.
func (p *parser) checkPassword(user string) {
	if user != "default" {
		p.fail(errWrongPass)
	}
}

func parseAuth(p *parser) request {
	switch len(p.args) {
	case 1:
		p.fail(errNoPassword)
	case 2:
		p.checkPassword(string(p.args[0]))
	default:
		p.fail(errSyntax)
	}
	return replyLocalOK
}

func parseHello(p *parser) request {
	proto, named, name := 0, false, ""
	if p.more() {
		proto = p.protocol()
	}
	for p.more() {
		switch {
		case len(p.args) > 2 && p.is("AUTH"):
			user := string(p.next())
			p.next()
			p.checkPassword(user)
		case len(p.args) > 1 && p.is("SETNAME"):
			named, name = true, p.clientName()
		default:
			p.fail("ERR Syntax error in HELLO option '" + shown(p.next(), 128) + "'")
		}
	}
	return request{local: func(c *call) {
		if proto != 0 {
			c.w.SetProto(proto)
		}
		if named {
			c.s.setName(name)
		}
		c.s.hello(c.w)
	}}
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

// clientName takes a name that fits the line of CLIENT LIST.
func (p *parser) clientName() string {
	name := p.next()
	if len(name) > p.h.limits.NameBytes {
		p.fail("ERR " + tooLarge("name", p.h.limits.NameBytes))
	}
	if !printable(name) {
		p.fail(errClientName)
	}
	return string(name)
}

// printable tells whether text has no spaces, newlines or special characters.
func printable(text []byte) bool {
	for _, b := range text {
		if b < '!' || b > '~' {
			return false
		}
	}
	return true
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
	w.BulkString("standalone")
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("modules")
	w.Array(0)
}

func parseID(b []byte) (int64, bool) {
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil && v > 0
}

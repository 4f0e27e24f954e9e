package commands

import (
	"strconv"
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
	s.becomeDefault()
	x.w.SimpleString("RESET")
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

func parseID(b []byte) (int64, bool) {
	v, err := strconv.ParseInt(string(b), 10, 64)
	return v, err == nil && v > 0
}

package commands

import (
	"fmt"
	"strings"

	"kahuna/pubsub"
)

func clientRow() Command {
	const flags = "noscript loading stale"
	row := Command{
		Name: "client", Arity: -2, Flags: flags, Since: "2.4.0", Group: "connection", Categories: "connection", Complexity: "Depends on subcommand.", Summary: "About connections.",
		Sub: []Command{
			{Name: "id", Arity: 2, Flags: flags, Since: "5.0.0", Complexity: "O(1)", Summary: "The number of this connection.", parse: parseClientID},
			{Name: "getname", Arity: 2, Flags: flags, Since: "2.6.9", Complexity: "O(1)", Summary: "The name of this connection, or nil.", parse: parseClientGetName},
			{Name: "setname", Arity: 3, Flags: flags, Syntax: "connection-name", Since: "2.6.9", Complexity: "O(1)", Summary: "Gives this connection a name.", parse: parseClientSetName},
			{Name: "setinfo", Arity: 4, Flags: flags + " fast", Syntax: "LIB-NAME libname | LIB-VER libver", Since: "7.2.0", Complexity: "O(1)", Summary: "Says which library the client uses.", parse: parseClientSetInfo},
			{Name: "info", Arity: 2, Flags: flags, Since: "6.2.0", Complexity: "O(1)", Summary: "This connection's line of CLIENT LIST.", parse: parseClientInfo},
			{Name: "list", Arity: -2, Flags: flags + " admin", Syntax: "[TYPE type] [ID client-id [client-id ...]]", Since: "2.4.0", Complexity: "O(N) where N is the number of client connections", Summary: "The connections of this node.", parse: parseClientList},
			{Name: "kill", Arity: -3, Flags: flags + " admin", Syntax: "ip:port | [ID client-id] [TYPE type] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME yes/no] [MAXAGE seconds]", Since: "2.4.0", Complexity: "O(N) where N is the number of client connections", Summary: "Closes connections of this node.", parse: parseClientKill},
			{Name: "unblock", Arity: -3, Flags: flags + " admin", Syntax: "client-id [TIMEOUT | ERROR]", Since: "5.0.0", Complexity: "O(1)", Summary: "Ends the wait of a connection of this node: 1, or 0 if it does not wait. It is answered as when its time is over, or with an error.", parse: parseClientUnblock},
			{Name: "pause", Arity: -3, Flags: flags + " admin", Syntax: "timeout [WRITE | ALL]", Since: "3.0.0", Complexity: "O(1)", Summary: "Holds back the commands of this node's clients, or those that may write, for so many milliseconds. Leases and expiries run on.", parse: parseClientPause},
			{Name: "unpause", Arity: 2, Flags: flags + " admin", Since: "6.2.0", Complexity: "O(N) where N is the number of clients that wait", Summary: "Ends CLIENT PAUSE.", parse: parseClientUnpause},
			{Name: "no-evict", Arity: 3, Flags: flags + " admin", Syntax: "ON | OFF", Since: "7.0.0", Complexity: "O(1)", Summary: "Accepted; connections are not evicted.", parse: parseOnOff},
			{Name: "no-touch", Arity: 3, Flags: flags, Syntax: "ON | OFF", Since: "7.2.0", Complexity: "O(1)", Summary: "Accepted; keys have no access times.", parse: parseOnOff},
			{Name: "reply", Arity: 3, Flags: flags, Syntax: "ON | OFF | SKIP", Since: "3.2.0", Complexity: "O(1)", Summary: "Whether replies are sent: always, never, or not to the next command.", direct: directClientReply},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("client")},
		},
	}
	row.Sub = append(row.Sub, trackingRows(flags)...)
	return row
}

func parseClientID(*parser) request {
	return request{local: func(c *call) { c.w.Int(c.s.conn.ID) }}
}

func parseClientGetName(*parser) request {
	return request{local: func(c *call) {
		c.s.mu.Lock()
		name := c.s.name
		c.s.mu.Unlock()
		if name == "" {
			c.w.Null()
			return
		}
		c.w.BulkString(name)
	}}
}

func (s *Session) setName(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

func parseClientSetName(p *parser) request {
	name := p.clientName()
	return request{local: func(c *call) {
		c.s.setName(name)
		c.w.SimpleString("OK")
	}}
}

func parseClientSetInfo(p *parser) request {
	attribute := p.next()
	value := p.next()
	if len(value) > p.h.limits.NameBytes {
		p.fail("ERR " + tooLarge("name", p.h.limits.NameBytes))
	}
	var field func(s *Session) *string
	switch strings.ToLower(string(attribute)) {
	case "lib-name":
		field = func(s *Session) *string { return &s.libName }
	case "lib-ver":
		field = func(s *Session) *string { return &s.libVer }
	default:
		p.fail("ERR Unrecognized option '" + shown(attribute, 128) + "'")
	}
	if !printable(value) {
		p.fail("ERR " + strings.ToLower(string(attribute)) + " cannot contain spaces, newlines or special characters.")
	}
	return request{local: func(c *call) {
		c.s.mu.Lock()
		*field(c.s) = string(value)
		c.s.mu.Unlock()
		c.w.SimpleString("OK")
	}}
}

func parseClientInfo(*parser) request {
	return request{local: func(c *call) {
		c.s.proto.Store(int32(c.w.Proto()))
		c.w.Verbatim("txt", c.s.line())
	}}
}

// line describes a connection with the fields of Redis, for clients want all of them; those about memory mean nothing here. Any goroutine may call it.
func (s *Session) line() string {
	s.mu.Lock()
	name, libName, libVer := s.name, s.libName, s.libVer
	s.mu.Unlock()
	now, cmd := s.h.now(), "NULL"
	if row := s.command.Load(); row != nil {
		cmd = row.fullName()
	}
	flags := ""
	multi := int(s.queued.Load())
	if multi >= 0 {
		flags += "x"
	}
	sub, psub, ssub := s.subs[pubsub.Channel].Load(), s.subs[pubsub.Pattern].Load(), s.subs[pubsub.Shard].Load()
	if sub+psub+ssub > 0 {
		flags = "P" + flags
	}
	if flags == "" {
		flags = "N"
	}
	if s.blocked() {
		flags = "b"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=0 sub=%d psub=%d ssub=%d multi=%d watch=%d qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		s.conn.ID, s.conn.Remote, s.conn.Local, name, int64(now.Sub(s.since).Seconds()), max(now.UnixMilli()-s.seen.Load(), 0)/1000,
		flags, sub, psub, ssub, multi, s.watches.Load(), cmd, s.userName(), max(s.proto.Load(), 2), libName, libVer)
}

func parseClientList(p *parser) request {
	var ids map[int64]bool
	kind := ""
	for p.more() {
		switch {
		case len(p.args) > 1 && p.is("TYPE"):
			kind = p.clientType()
		case len(p.args) > 1 && p.is("ID"):
			ids = map[int64]bool{}
			for p.more() {
				id, ok := parseID(p.next())
				if !ok {
					p.fail("ERR Invalid client ID")
				}
				ids[id] = true
			}
		default:
			p.fail(errSyntax)
		}
	}
	return request{local: func(c *call) {
		var b strings.Builder
		c.s.proto.Store(int32(c.w.Proto()))
		for _, s := range c.s.h.clients() {
			if (kind == "" || kind == s.kind()) && (ids == nil || ids[s.conn.ID]) {
				b.WriteString(s.line())
			}
		}
		c.w.Verbatim("txt", b.String())
	}}
}

// clientType takes a type of client, of which there are two here: normal ones and subscribers.
func (p *parser) clientType() string {
	arg := p.next()
	switch kind := lower(arg); kind {
	case "normal", "pubsub", "master", "replica":
		return kind
	case "slave":
		return "replica"
	}
	p.fail("ERR Unknown client type '" + shown(arg, 128) + "'")
	return ""
}

// kind is the type of a client. Any goroutine may call it.
func (s *Session) kind() string {
	if s.subs[pubsub.Channel].Load()+s.subs[pubsub.Pattern].Load()+s.subs[pubsub.Shard].Load() > 0 {
		return "pubsub"
	}
	return "normal"
}

func parseOnOff(p *parser) request {
	if !p.is("ON") && !p.is("OFF") {
		p.fail(errSyntax)
	}
	return replyLocalOK
}

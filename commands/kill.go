package commands

// killFilter chooses the connections that CLIENT KILL closes; nil fields choose all.
type killFilter struct {
	id            int64
	addr, laddr   string
	user          string
	kind          string
	olderThan     int64 // seconds
	includeCaller bool
}

func parseClientKill(p *parser) request {
	if len(p.args) == 1 {
		return killOne(string(p.next()))
	}
	f := killFilter{}
	for p.more() {
		switch {
		case len(p.args) < 2:
			p.fail(errSyntax)
		case p.is("ID"):
			id, ok := parseID(p.next())
			if !ok {
				p.fail(errBadClientID)
			}
			f.id = id
		case p.is("TYPE"):
			f.kind = p.clientType()
		case p.is("ADDR"):
			f.addr = string(p.next())
		case p.is("LADDR"):
			f.laddr = string(p.next())
		case p.is("USER"):
			if f.user = string(p.next()); p.h.users.Get(f.user) == nil {
				p.fail("ERR No such user '" + shown([]byte(f.user), 128) + "'")
			}
		case p.is("MAXAGE"):
			if f.olderThan = p.int(); f.olderThan < 1 {
				p.fail(errMaxAge)
			}
		case p.is("SKIPME"):
			f.includeCaller = p.skipMe()
		default:
			p.fail(errSyntax)
		}
	}
	return request{local: func(c *call) { c.w.Int(int64(c.s.h.kill(f, c.s))) }}
}

// skipMe takes yes or no; no means that the caller may be closed too.
func (p *parser) skipMe() (include bool) {
	switch {
	case p.is("NO"):
		return true
	case p.is("YES"):
	default:
		p.fail(errSyntax)
	}
	return false
}

func killOne(addr string) request {
	return request{local: func(c *call) {
		if c.s.h.kill(killFilter{addr: addr, includeCaller: true}, c.s) == 0 {
			c.w.Error(errNoSuchClient)
			return
		}
		c.w.SimpleString("OK")
	}}
}

// kill closes what the filter chooses and returns how many. The caller itself gets its reply first.
func (h *Handler) kill(f killFilter, caller *Session) (n int) {
	for _, s := range h.clients() {
		if !f.chooses(s) || s == caller && !f.includeCaller {
			continue
		}
		n++
		if s == caller {
			s.closing = true
		} else {
			s.cut()
		}
	}
	return n
}

// cut closes the connection from outside. It is gone for who looks at the connections from then on.
func (s *Session) cut() {
	if s.conn.Kill != nil {
		s.wasCut.Store(true)
		s.conn.Kill()
	}
}

func (f *killFilter) chooses(s *Session) bool {
	return (f.kind == "" || f.kind == s.kind()) &&
		(f.olderThan == 0 || int64(s.h.now().Sub(s.since).Seconds()) >= f.olderThan) &&
		(f.id == 0 || f.id == s.conn.ID) &&
		(f.addr == "" || f.addr == s.conn.Remote) &&
		(f.laddr == "" || f.laddr == s.conn.Local) &&
		(f.user == "" || f.user == s.userName())
}
